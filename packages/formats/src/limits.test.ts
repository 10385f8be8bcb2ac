import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as limits from "./limits.ts";

/** Numbers as the page writes them. */
const written = (value: number): string => value.toLocaleString("en-US");

test("the page of limits says the numbers that are enforced", () => {
  const page = readFileSync(new URL("../../../docs/limits.md", import.meta.url), "utf8");
  const { MAX_SHARING, MAX_RANK, ...counts } = limits;
  for (const value of Object.values(counts).filter((limit) => typeof limit === "number")) {
    expect(page).toContain(`| ${written(value)}`);
  }
  expect(page).toContain(`| ${MAX_RANK} |`);
  expect(page).toContain(`| ${MAX_SHARING} times the file's size together |`);
  expect(page).toContain(`| ${written(limits.maxPickleNodes(0))}, and one more for every 8 bytes |`);
  expect(page).toContain(`| ${written(limits.maxPickleVisits(0))}, and one more for every byte of the pickle |`);
  expect(page).toContain(`| ${written(limits.maxNameCharacters(0))}, and 16 for every byte of the pickle |`);
});
