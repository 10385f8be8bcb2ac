import { expect, test } from "vitest";
import { pairsBySolver } from "./option-pairs.ts";

test("each text goes to the method that it names, the longest that fits, in the order given", () => {
  const pairs = ["chita:pool=3", "pkg:chita:pool=4", "cbs+cbs:window=2", "chita:stages=3"];
  expect([...pairsBySolver(pairs, ["pkg", "pkg:chita", "chita", "cbs+cbs"])]).toEqual([
    ["pkg", []],
    ["pkg:chita", ["pool=4"]],
    ["chita", ["pool=3", "stages=3"]],
    ["cbs+cbs", ["window=2"]],
  ]);
});

test("a text that names none of the methods is refused, with the nearest", () => {
  expect(() => pairsBySolver(["chitta:pool=3"], ["chita"])).toThrow(
    /'chitta' is none of --solvers.*did you mean 'chita'/,
  );
  expect(() => pairsBySolver(["pool=3"], ["chita", "cbs"])).toThrow(
    /found 'pool=3', allowed is SOLVER:KEY=VALUE with SOLVER one of chita, cbs/,
  );
});
