/**
 * A meeting: whoever leads a computation asks members, in threads of this process or on other machines, who hold what is too large for one of them. Members
 * come by a socket with TLS, whose key only those know who read the job that told them to come (a pre-shared key: there are no certificates).
 */
import { randomBytes } from "node:crypto";
import { type AddressInfo, isIPv6, type Socket } from "node:net";
import { createServer, type TLSSocket, type TlsOptions } from "node:tls";
import { isPruneError } from "@secateur/core";
import { cancelled, memberLost, noMeeting } from "../errors.ts";
import { errorFrom } from "../threads/error-data.ts";
import { type Frame, onFrames, sendFrame } from "./frames.ts";

/** Where members come to. */
export interface MeetingPlace {
  readonly host: string;
  readonly port: number;
  /** Hexadecimal. */
  readonly key: string;
}

/** What a member brought. */
export interface Brought {
  /** Which member holds it, for people. */
  readonly where: string;
  /** @throws what the method throws; ERR_MEMBER_LOST where the member is gone */
  call(method: string, argument?: unknown): Promise<unknown>;
}

/** A meeting that is open. */
export interface Meeting {
  readonly place: MeetingPlace;
  /**
   * Waits until everything of these names was brought by members that are there.
   *
   * @param around.onMissing - told every 15 seconds what is not there
   * @throws ERR_ABORTED, also where the meeting is closed
   */
  all(
    names: readonly string[],
    around: { readonly signal: AbortSignal; readonly onMissing?: (names: readonly string[]) => void },
  ): Promise<readonly Brought[]>;
  /** Sends the members home, and does not wait longer than a second for those that do not hear it. */
  close(): Promise<void>;
}

/** Of keys that both sides know: encrypted with a key made anew for each connection. Node's TLS 1.3 has none of them. */
export const pskCiphers: Pick<TlsOptions, "ciphers" | "minVersion" | "maxVersion"> = {
  ciphers: "ECDHE-PSK-CHACHA20-POLY1305",
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.2",
};
/** Whom a key is of. */
export const pskIdentity = "secateur";

const missingMs = 15_000;
const closeMs = 1000;

/**
 * Opens a meeting.
 *
 * @param spec.host - by which members reach this machine; "127.0.0.1" lets in those of this machine alone
 * @param spec.port - default: any that is free
 * @throws ERR_MEETING where the port cannot be opened
 */
export async function openMeeting({ host, port: asked = 0 }: { host: string; port?: number }): Promise<Meeting> {
  const key = randomBytes(32);
  const there = new Map<string, Brought & { readonly member: Member }>();
  const members = new Set<Member>();
  const sockets = new Set<Socket>();
  const closed = new AbortController();
  let onChange = (): void => {};
  const server = createServer({
    ...pskCiphers,
    pskCallback: (_socket, identity) => (identity === pskIdentity ? key : null),
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("secureConnection", (socket) => {
    const member = new Member(socket, (names, where) => {
      for (const name of names) {
        // Somebody else has it, whose machine may be gone without a word.
        there.get(name)?.member.end();
        there.set(name, { where, member, call: (method, argument) => member.call({ name, method, with: argument }) });
      }
      onChange();
    });
    members.add(member);
    socket.on("close", () => {
      members.delete(member);
      for (const [name, brought] of there) if (brought.member === member) there.delete(name);
    });
  });
  server.on("tlsClientError", () => {}); // strangers
  await new Promise<void>((resolve, reject) => {
    server.on("error", (error) => reject(noMeeting(host, error)));
    server.listen({ port: asked, host: isOwn(host) ? host : isIPv6(host) ? "::" : "0.0.0.0" }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    place: { host, port, key: key.toString("hex") },
    async all(names, { signal, onMissing }) {
      const ended = AbortSignal.any([signal, closed.signal]);
      let wake = (): void => {};
      const onEnd = (): void => wake();
      ended.addEventListener("abort", onEnd);
      try {
        for (;;) {
          if (ended.aborted) throw cancelled();
          const missing = names.filter((name) => !there.has(name));
          if (missing.length === 0) return names.map((name) => there.get(name)!);
          const changed = await new Promise<boolean>((resolve) => {
            const timer = setTimeout(() => resolve(false), missingMs);
            wake = () => {
              clearTimeout(timer);
              resolve(true);
            };
            onChange = wake;
          });
          if (!changed) onMissing?.(missing);
        }
      } finally {
        ended.removeEventListener("abort", onEnd);
      }
    },
    async close() {
      closed.abort();
      for (const member of members) member.end();
      const gone = new Promise<void>((resolve) => server.close(() => resolve()));
      const late = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, closeMs);
      await gone;
      clearTimeout(late);
    },
  };
}

function isOwn(host: string): boolean {
  return host === "127.0.0.1" || host === "::1" || host === "localhost";
}

/** The host's end of a member's socket. */
class Member {
  readonly #socket: TLSSocket;
  readonly #open = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  #where = "";
  #calls = 0;

  constructor(socket: TLSSocket, onBring: (names: readonly string[], where: string) => void) {
    this.#socket = socket;
    socket.setNoDelay(true);
    onFrames(socket, (frame) => {
      if (frame.type === "bring") {
        this.#where = frame.where;
        onBring(frame.names, frame.where);
      } else this.#hear(frame);
    });
    socket.on("error", () => {}); // its close follows
    socket.on("close", () => {
      for (const { reject } of this.#open.values()) reject(memberLost(this.#where));
      this.#open.clear();
    });
  }

  async call(spec: { name: string; method: string; with: unknown }): Promise<unknown> {
    if (this.#socket.destroyed) throw memberLost(this.#where);
    const id = this.#calls++;
    return await new Promise((resolve, reject) => {
      sendFrame(this.#socket, { type: "call", id, ...spec });
      this.#open.set(id, { resolve, reject });
    });
  }

  end(): void {
    if (!this.#socket.destroyed) sendFrame(this.#socket, { type: "end" });
    this.#socket.end();
    // One that hears nothing is not waited for, nor what it was asked.
    setTimeout(() => this.#socket.destroy(), closeMs).unref();
  }

  #hear(frame: Frame): void {
    if (frame.type !== "answer" && frame.type !== "failed") return;
    const call = this.#open.get(frame.id);
    this.#open.delete(frame.id);
    if (frame.type === "answer") call?.resolve(frame.value);
    else call?.reject(errorFrom(frame.error));
  }
}

/** Whether an error says that a member is gone, so that the computation may begin again with another. */
export function isMemberLost(error: unknown): boolean {
  return isPruneError(error) && error.code === "ERR_MEMBER_LOST";
}
