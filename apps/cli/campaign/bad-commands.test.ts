import { readdir } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { call, smallProblem, smallTask } from "../src/testing.test-support.ts";
import { badCommands } from "./bad-commands.ts";

/** Commands of one test: a loaded machine takes a third of a second for each. */
const PORTION = 25;

describe("bad commands are refused in one line with a code, with exit 2, and write nothing:", () => {
  const portions = Array.from({ length: Math.ceil(badCommands.length / PORTION) }, (_, i) => PORTION * i);

  test("there are two hundred of them", () => {
    expect(badCommands.length).toBeGreaterThanOrEqual(200);
  });

  test.each(portions)("from number %i on", async (start) => {
    const { folder, model, data } = await smallTask();
    const { gradients, weights } = await smallProblem();
    const words = new Map(Object.entries({ MODEL: model, DATA: data, G: gradients, W: weights }));
    const before = await readdir(folder);
    const wrong: string[] = [];
    for (const { argv, code } of badCommands.slice(start, start + PORTION)) {
      const typed = argv.map((word) => words.get(word) ?? word);
      const { code: exit, stdout, stderr } = await call(typed, { cwd: folder });
      const last = stderr.trimEnd().split("\n").at(-1) ?? "";
      const isRefused = exit === 2 && stdout === "" && last.includes(`[${code}`) && last.endsWith("]");
      const isPlain = !/[\p{Cc}]/u.test(last) && stderr.length < 6000 && !/^ {4}at /m.test(stderr);
      if (!isRefused || !isPlain) wrong.push(`${argv.join(" ").slice(0, 120)}: exit ${exit}, ${last.slice(0, 160)}`);
    }
    expect(wrong).toEqual([]);
    expect(await readdir(folder)).toEqual(before);
  });
});
