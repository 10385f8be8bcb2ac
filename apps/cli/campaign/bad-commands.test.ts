import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { call, smallProblem, smallTask } from "../src/testing.test-support.ts";
import { badCommands } from "./bad-commands.ts";

test("two hundred bad commands are refused in one line with a code, with exit 2, and write nothing", async () => {
  const { folder, model, data } = await smallTask();
  const { gradients, weights } = await smallProblem();
  const words = new Map(Object.entries({ MODEL: model, DATA: data, G: gradients, W: weights }));
  const before = await readdir(folder);
  expect(badCommands.length).toBeGreaterThanOrEqual(200);
  const wrong: string[] = [];
  for (const { argv, code } of badCommands) {
    const {
      code: exit,
      stdout,
      stderr,
    } = await call(
      argv.map((word) => words.get(word) ?? word),
      { cwd: folder },
    );
    const lines = stderr.trimEnd().split("\n");
    const last = lines.at(-1) ?? "";
    const isRefused = exit === 2 && stdout === "" && last.includes(`[${code}`) && last.endsWith("]");
    const isPlain = !/[\p{Cc}]/u.test(last) && stderr.length < 6000 && !/^ {4}at /m.test(stderr);
    if (!isRefused || !isPlain) wrong.push(`${argv.join(" ").slice(0, 120)}: exit ${exit}, ${last.slice(0, 160)}`);
  }
  expect(wrong).toEqual([]);
  expect(await readdir(join(folder))).toEqual(before);
});
