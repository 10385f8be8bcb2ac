/** Solving by columns gives the same bytes in one process, in threads, and with the workers of a queue. */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { createRng } from "@secateur/core";
import { encodeNpy } from "@secateur/formats";
import { expect, onTestFinished, test } from "vitest";
import { hasRedis, startRedis } from "./redis.test-support.ts";
import { call, refused, smallProblem, temporaryFolder } from "./testing.test-support.ts";

/** Rows of two panels of columns, and the bytes that a call writes for them. */
async function wideProblem() {
  const folder = await temporaryFolder();
  const [n, p] = [3, 17_000];
  const rng = createRng(5);
  const numbers = (length: number): Float32Array => Float32Array.from({ length }, () => rng.normal());
  await writeFile(join(folder, "G.npy"), encodeNpy({ shape: [n, p], data: numbers(n * p) }));
  await writeFile(join(folder, "w.npy"), encodeNpy({ shape: [p], data: numbers(p) }));
  const files = ["--gradients", "G.npy", "--weights", "w.npy", "--keep", "900", "--option", "pool=4"];
  return {
    folder,
    async solved(...more: readonly string[]) {
      const argv = ["solve", ...files, ...more, "--out", "out.npy", "--force", "--json"];
      const { code, stdout } = await call(argv, { cwd: folder });
      expect(code).toBe(0);
      const { solveMs: _ms, places, ...document } = JSON.parse(stdout);
      return { places, document, bytes: await readFile(join(folder, "out.npy")) };
    },
  };
}

test("two threads that hold columns write what one process writes", async () => {
  const { solved } = await wideProblem();
  const { places, ...alone } = await solved("--column-shards", "2");
  expect(places).toMatchObject([{ where: "this process", shards: 1 }]);
  expect(alone.document).toMatchObject({ solver: "chita", method: "columns", nonzeros: 900 });
  const { places: threads, ...apart } = await solved("--column-shards", "2", "--workers", "2");
  expect(apart).toEqual(alone);
  // Both threads are of this process.
  expect(threads).toMatchObject([{ shards: 2 }]);
  // The ordinary solve keeps the same weights, but for rounding.
  const whole = await solved();
  expect(Math.abs(whole.document.objective - alone.document.objective)).toBeLessThan(1e-4 * alone.document.objective);
}, 240_000);

test.runIf(hasRedis)(
  "workers of a queue write it too",
  async () => {
    const { folder, solved } = await wideProblem();
    const { places: _, ...alone } = await solved("--column-shards", "2");
    const queue = ["--queue", await startRedis(), "--store", join(folder, "store")];
    const stop = new AbortController();
    const worker = call(["worker", ...queue, "--jobs", "2"], { cwd: folder, signal: stop.signal });
    const { places: _elsewhere, ...apart } = await solved("--column-shards", "2", ...queue, "--listen", "127.0.0.1");
    expect(apart).toEqual(alone);
    stop.abort();
    expect((await worker).stdout).toContain("2 runs made, 0 failed");
  },
  240_000,
);

test("a store that is none ends the command", async () => {
  const { folder } = await wideProblem();
  const argv = ["solve", "--gradients", "G.npy", "--weights", "w.npy", "--keep", "900", "--column-shards", "2"];
  // In a process of its own: what was left open would keep it.
  const main = new URL("../dist/main.js", import.meta.url).pathname;
  const child = spawn(process.execPath, [main, ...argv, "--workers", "2", "--store", "."], { cwd: folder });
  onTestFinished(() => void child.kill("SIGKILL"));
  expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(2);
}, 60_000);

test.each([
  [["--workers", "2"], "--workers"],
  [["--column-shards", "2", "--solver", "magnitude"], "--column-shards is of chita alone"],
  [["--column-shards", "2", "--listen", "here"], "--listen"],
  [["--column-shards", "2", "--ridge", "0"], "the ridge is 0"],
  [["--column-shards", "0"], "--column-shards"],
  [["--column-shards", "2", "--store", "s"], "--store"],
  [["--column-shards", "2", "--queue", "redis://127.0.0.1:1", "--store", "s", "--listen", "a:b"], "--listen"],
])("refuses %j in one message", async (more, words) => {
  const { gradients, weights } = await smallProblem();
  const argv = ["solve", "--gradients", gradients, "--weights", weights, "--keep", "3", ...more];
  expect(await refused(argv)).toContain(words);
});
