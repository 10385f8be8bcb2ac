/** The executable itself, in a process of its own: started once, interrupted once. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { smallArch, smallTask } from "./testing.test-support.ts";

const executable = fileURLToPath(new URL("../dist/main.js", import.meta.url));

function start(argv: readonly string[]): {
  child: ChildProcess;
  ended: Promise<{ code: number | null; stderr: string }>;
} {
  const child = spawn(process.execPath, [executable, ...argv], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr?.on("data", (chunk) => {
    stderr += String(chunk);
  });
  const ended = new Promise<{ code: number | null; stderr: string }>((resolve) => {
    child.on("close", (code) => resolve({ code, stderr }));
  });
  return { child, ended };
}

test("Ctrl-C ends a long run at once with code 130 and leaves only the state to go on from", async () => {
  const { folder, data } = await smallTask();
  const before = await readdir(folder);
  const events = join(folder, "events.jsonl");
  const out = join(folder, "t.safetensors");
  const argv = ["train", "--arch", smallArch, "--data", data, "--epochs", "1000000", "--out", out, "--events", events];
  const { child, ended } = start(argv);
  // Into the training itself: before the end of its first epoch there is no state to leave.
  const state = join(folder, "t.training.safetensors");
  const deadline = performance.now() + 30_000; // a busy machine may start a process slowly
  while (!existsSync(state) && performance.now() < deadline) await sleep(20);
  const interrupted = performance.now();
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  // Well under a second on a free machine; this bound only tells a stop from a run to the end.
  expect(performance.now() - interrupted).toBeLessThan(20_000);
  expect(code).toBe(130);
  expect(stderr).toMatch(/^secateur train: .*interrupted.*\[ERR_ABORTED\]\n$/);
  expect((await readdir(folder)).filter((name) => !before.includes(name)).sort()).toEqual([
    "events.jsonl",
    "t.training.safetensors",
  ]);
});

// A device that is always full; other systems have none.
test.skipIf(process.platform !== "linux")(
  "a full disk behind stdout is one message and code 1, without a stack",
  async () => {
    const full = openSync("/dev/full", "w");
    const child = spawn(process.execPath, [executable, "explain", "magnitude"], { stdio: ["ignore", full, "pipe"] });
    let stderr = "";
    child.stderr?.on("data", (chunk) => {
      stderr += String(chunk);
    });
    const code = await new Promise((resolve) => {
      child.on("close", resolve);
    });
    closeSync(full);
    expect(stderr).toMatch(/^secateur: the result cannot be written to stdout \(ENOSPC.*\) \[ERR_STDOUT\]\n$/);
    expect(code).toBe(1);
  },
);
