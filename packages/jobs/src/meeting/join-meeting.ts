/** A member of a meeting: brings what it holds, and answers what the host asks until it is sent home. */
import { connect } from "node:tls";
import { cancelled, meetingLeft, noMeeting } from "../errors.ts";
import { errorData } from "../threads/error-data.ts";
import { onFrames, sendFrame } from "./frames.ts";
import { type MeetingPlace, pskCiphers, pskIdentity } from "./open-meeting.ts";

/** A host that does not answer within this is taken for unreachable. */
const connectMs = 20_000;

/**
 * Goes to a meeting and stays until its end.
 *
 * @param spec.names - of what it brings
 * @param spec.answer - a call of the host; what it throws goes to the host
 * @throws ERR_MEETING where the place cannot be reached; ERR_MEETING_LOST where the connection is lost, which another try finds out about; ERR_ABORTED
 */
export async function joinMeeting(spec: {
  place: MeetingPlace;
  names: readonly string[];
  where: string;
  answer: (name: string, method: string, argument: unknown) => Promise<unknown>;
  signal: AbortSignal;
}): Promise<void> {
  const { place, names, where, answer, signal } = spec;
  const shown = `${place.host}:${place.port}`;
  const psk = Buffer.from(place.key, "hex");
  const socket = connect({
    ...{ host: place.host, port: place.port, ...pskCiphers, pskCallback: () => ({ psk, identity: pskIdentity }) },
    // Who has the key is the host; there is no certificate to look at.
    checkServerIdentity: () => undefined,
  });
  socket.setNoDelay(true);
  const late = setTimeout(() => socket.destroy(new Error("it does not answer")), connectMs);
  let leave = (): void => {};
  try {
    await new Promise<void>((resolve, reject) => {
      let isThere = false;
      leave = () => {
        socket.destroy();
        reject(cancelled());
      };
      signal.addEventListener("abort", leave, { once: true });
      if (signal.aborted) leave();
      socket.on("secureConnect", () => {
        isThere = true;
        clearTimeout(late);
        sendFrame(socket, { type: "bring", names, where });
      });
      socket.on("error", (error) => reject(isThere ? meetingLeft(shown) : noMeeting(shown, error)));
      socket.on("close", () => reject(isThere ? meetingLeft(shown) : noMeeting(shown, new Error("it hung up"))));
      onFrames(socket, (frame) => {
        if (frame.type === "end") {
          resolve();
          socket.end();
        }
        if (frame.type !== "call") return;
        const { id, name, method } = frame;
        void Promise.resolve()
          .then(() => answer(name, method, frame.with))
          .then((value) => sendFrame(socket, { type: "answer", id, value }))
          .catch((error) => sendFrame(socket, { type: "failed", id, error: errorData(error) }));
      });
    });
  } finally {
    clearTimeout(late);
    signal.removeEventListener("abort", leave);
  }
}
