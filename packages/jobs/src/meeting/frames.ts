/** What members of a meeting say to each other: structured clones (typed arrays stay what they are), each behind its length. */
import type { Duplex } from "node:stream";
import { deserialize, serialize } from "node:v8";
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
  /** The host: it is over. */
  | { readonly type: "end" };

/** Longer ones are no message of ours. */
const mostBytes = 2 ** 31;

/** Sends a message. */
export function sendFrame(stream: Duplex, frame: Frame): void {
  const body = serialize(frame);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  stream.write(length);
  stream.write(body);
}

/** Hears messages, in their order. A stream that says something else is ended. */
export function onFrames(stream: Duplex, hear: (frame: Frame) => void): void {
  let pieces: Buffer[] = [];
  let held = 0;
  stream.on("data", (piece: Buffer) => {
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
      try {
        hear(deserialize(whole.subarray(4, 4 + length)) as Frame);
      } catch {
        stream.destroy();
        return;
      }
    }
  });
}
