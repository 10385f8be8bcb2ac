/** What members of a meeting say to each other: structured clones (typed arrays stay what they are), each behind its length. */
import type { Duplex } from "node:stream";
import { deserialize, serialize } from "node:v8";
import { frameTooLong } from "../errors.ts";
import type { ErrorData } from "../threads/messages.ts";

/** A message between the host of a meeting and a member. */
export type Frame =
  /** The member: what it brings. */
  | { readonly type: "bring"; readonly names: readonly string[]; readonly where: string }
  /** The host: asks what was brought under a name. */
  | {
      readonly type: "call";
      readonly id: number;
      readonly name: string;
      readonly method: string;
      readonly with: unknown;
    }
  | { readonly type: "answer"; readonly id: number; readonly value: unknown }
  | { readonly type: "failed"; readonly id: number; readonly error: ErrorData }
  /** Either side, now and then: it is still there. */
  | { readonly type: "alive" }
  /** The host: it is over. */
  | { readonly type: "end" };

/** Longer ones are no message of ours, and cannot be written at once. */
const mostBytes = 2 ** 31 - 1;
/**
 * Both sides say that they are there this often, and count as gone after so long without a word. A side says nothing within a piece of work, such as a panel of columns or a file that is
 * read, which takes seconds as a rule; nothing bounds it. A worker that is gone is missed long before by its queue, and by its socket where its process ended; a command whose machine is gone is missed
 * by this alone.
 */
const aliveMs = 10_000;
const goneMs = 300_000;

/** Sends a message. @throws ERR_FRAME for one that is too long */
export function sendFrame(stream: Duplex, frame: Frame): void {
  const body = serialize(frame);
  if (body.length > mostBytes) throw frameTooLong(body.length, mostBytes);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  stream.write(length);
  stream.write(body);
}

/** Hears messages, in their order. A stream that says something else, or nothing for long, is ended. */
export function onFrames(stream: Duplex, hear: (frame: Frame) => void): void {
  let pieces: Buffer[] = [];
  let held = 0;
  let heardAt = performance.now();
  let turnedAt = heardAt;
  let isSpared = false;
  const timer = setInterval(() => {
    const now = performance.now();
    // Where it is this side that was away, it has not looked yet at what came meanwhile: a turn more, once.
    if (now - turnedAt > 2 * aliveMs && !isSpared) {
      heardAt = Math.max(heardAt, now - goneMs + aliveMs / 2);
      isSpared = true;
    }
    turnedAt = now;
    if (now - heardAt > goneMs) stream.destroy();
    else if (stream.writable) sendFrame(stream, { type: "alive" });
  }, aliveMs);
  timer.unref();
  stream.on("close", () => clearInterval(timer));
  stream.on("data", (piece: Buffer) => {
    heardAt = performance.now();
    isSpared = false;
    pieces.push(piece);
    held += piece.length;
    while (held >= 4) {
      if (pieces[0]!.length < 4) pieces = [Buffer.concat(pieces)];
      const length = pieces[0]!.readUInt32LE();
      if (length > mostBytes) {
        stream.destroy();
        return;
      }
      if (held < 4 + length) return;
      const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
      const rest = whole.subarray(4 + length);
      pieces = rest.length === 0 ? [] : [rest];
      held = rest.length;
      let frame: Frame;
      try {
        frame = deserialize(whole.subarray(4, 4 + length)) as Frame;
      } catch {
        stream.destroy();
        return;
      }
      if (frame.type !== "alive") hear(frame);
    }
  });
}
