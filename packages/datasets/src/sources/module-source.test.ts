import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openDataset } from "../open-dataset.ts";

const folder = mkdtempSync(join(tmpdir(), "module-data-"));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
function moduleOf(text: string): string {
  const path = join(folder, `${++count}.mjs`);
  writeFileSync(path, text);
  return `module:${path}`;
}

const batch = (numbers: string, labels: string): string =>
  `{ inputs: { x: { shape: [${labels.split(",").length}, 2], data: Float32Array.of(${numbers}) } }, targets: { t: { shape: [${labels.split(",").length}], data: Int32Array.of(${labels}) } } }`;

test.each([
  [
    "an async generator",
    `export default async function* () { yield ${batch("1,2,3,4", "0,1")}; yield ${batch("5,6", "2")}; }`,
  ],
  ["a list", `export default [${batch("1,2", "0")}, ${batch("3,4,5,6", "1,2")}];`],
])("batches of %s are joined, one split for both uses", async (_what, text) => {
  const { train, test: other } = await openDataset(moduleOf(text));
  expect(other).toBe(train);
  expect(train.size).toBe(3);
  const { inputs, targets } = await train.batch(Uint32Array.of(2, 0));
  expect(inputs["x"]).toEqual({ shape: [2, 2], data: Float32Array.of(5, 6, 1, 2) });
  expect(targets!["t"]).toEqual({ shape: [2], data: Int32Array.of(2, 0) });
});

test.each([
  ["export default 5;", /another default export, expected an iterable/],
  ["export default [];", /no examples|empty/],
  ["export default [{}];", /a batch without inputs/],
  ["export default [{ inputs: { x: { shape: [2, 2], data: Float32Array.of(1) } } }];", /shape \[2, 2\] with 1 numbers/],
  [
    `export default [${batch("1,2", "0")}, { inputs: { x: { shape: [1, 1], data: Float32Array.of(1) } } }];`,
    /another shape/,
  ],
  [
    `export default [${batch("1,2", "0")}, { inputs: { x: { shape: [1, 2], data: Float32Array.of(1, 2) } } }];`,
    /different names/,
  ],
  ["export default function* () { throw new Error('no disk'); }", /an error in it \(Error: no disk\)/],
  ["export default", /a module that cannot be run/],
])("what is no data is refused: %s", async (text, says) => {
  await expect(openDataset(moduleOf(text))).rejects.toThrow(says);
});
