import { connect } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { PruneError } from "@secateur/core";
import { expect, onTestFinished, test } from "vitest";
import { joinMeeting } from "./join-meeting.ts";
import { isMemberLost, type Meeting, openMeeting, pskCiphers, pskIdentity } from "./open-meeting.ts";

const quiet = new AbortController().signal;

async function opened(): Promise<Meeting> {
  const meeting = await openMeeting({ host: "127.0.0.1" });
  onTestFinished(() => meeting.close());
  return meeting;
}

/** A member that says what it was asked. */
function member({ place }: Meeting, names: readonly string[], signal = quiet) {
  const answer = async (name: string, method: string, argument: unknown): Promise<unknown> => {
    if (method === "fail") throw new PruneError("ERR_TEST", `${name} cannot`, {});
    if (method === "never") return await new Promise(() => {});
    return { name, method, argument };
  };
  return joinMeeting({ place, names, where: `with ${names.join()}`, answer, signal });
}

test("what members brought answers in the order in which it is asked for, whoever came first, until they are sent home", async () => {
  const meeting = await opened();
  const stayed = [member(meeting, ["c"]), member(meeting, ["b", "a"])];
  const [a, b, c] = await meeting.all(["a", "b", "c"], { signal: quiet });
  // Larger than a piece of a socket, so that frames are put together; typed arrays stay what they are.
  const large = Float64Array.from({ length: 300_000 }, (_, i) => i);
  expect(await a!.call("say", large)).toEqual({ name: "a", method: "say", argument: large });
  expect(await Promise.all([c!.call("one"), b!.call("two")])).toMatchObject([{ name: "c" }, { name: "b" }]);
  await expect(b!.call("fail")).rejects.toMatchObject({ code: "ERR_TEST", message: "b cannot" });
  await meeting.close();
  await Promise.all(stayed);
});

test("a member that goes away fails what it was asked, and another takes its place", async () => {
  const meeting = await opened();
  const stop = new AbortController();
  const first = member(meeting, ["a"], stop.signal);
  first.catch(() => {});
  const [a] = await meeting.all(["a"], { signal: quiet });
  const asked = a!.call("never");
  asked.catch(() => {});
  stop.abort();
  await expect(asked).rejects.toSatisfy(isMemberLost);
  await expect(first).rejects.toMatchObject({ code: "ERR_ABORTED" });
  const second = member(meeting, ["a"]);
  const [again] = await meeting.all(["a"], { signal: quiet });
  expect(await again!.call("say", 1)).toMatchObject({ argument: 1 });
  // A third one with the same name: the one before may be a machine that fell silent.
  const third = member(meeting, ["a"]);
  await second;
  await meeting.close();
  await third;
});

test("what a member was asked fails when another takes its place, however silent it is", async () => {
  const meeting = await opened();
  const first = member(meeting, ["a"]);
  first.catch(() => {});
  const [a] = await meeting.all(["a"], { signal: quiet });
  const asked = a!.call("never");
  const second = member(meeting, ["a"]);
  await expect(asked).rejects.toSatisfy(isMemberLost);
  const [again] = await meeting.all(["a"], { signal: quiet });
  expect(await again!.call("say", 1)).toMatchObject({ argument: 1 });
  await meeting.close();
  await second;
});

test("nobody comes in without the key, and what is no message of ours is dropped", async () => {
  const meeting = await opened();
  const stranger = { ...meeting, place: { ...meeting.place, key: "00".repeat(32) } };
  await expect(member(stranger, ["a"])).rejects.toMatchObject({ code: "ERR_MEETING" });
  const socket = connect(meeting.place.port, "127.0.0.1");
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write("GET / HTTP/1.1\r\n\r\n");
  await closed;
  const stop = AbortSignal.timeout(20);
  await expect(meeting.all(["a"], { signal: stop })).rejects.toMatchObject({ code: "ERR_ABORTED" });
});

test("closing waits for no member that hears nothing, and for nobody who waits", async () => {
  const meeting = await openMeeting({ host: "127.0.0.1" });
  const socket = connect(meeting.place.port, "127.0.0.1"); // never says a word
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve));
  const waiting = meeting.all(["nobody"], { signal: quiet });
  waiting.catch(() => {});
  await meeting.close();
  await expect(waiting).rejects.toMatchObject({ code: "ERR_ABORTED" });
  socket.destroy();
});

test("a member that sends rubbish is gone", async () => {
  const meeting = await opened();
  const socket = tlsConnect({
    ...{ host: "127.0.0.1", port: meeting.place.port, ...pskCiphers, checkServerIdentity: () => undefined },
    pskCallback: () => ({ psk: Buffer.from(meeting.place.key, "hex"), identity: pskIdentity }),
  });
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(Buffer.from([3, 0, 0, 0, 9, 9, 9]));
  await closed;
});

test("a member hears that the host is gone", async () => {
  const meeting = await opened();
  await meeting.close();
  await expect(member(meeting, ["a"])).rejects.toMatchObject({ code: "ERR_MEETING" });
});
