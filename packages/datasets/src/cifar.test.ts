import fs from "node:fs";
import { gzipSync } from "node:zlib";
import { inputRows, labelsOf } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { openDataset } from "./open-dataset.ts";
import { counting, errorOf, useFolder } from "./testing.test-support.ts";

const folder = useFolder();

/** A record: labels, then 3072 pixels whose red, green and blue begin at different values. */
function record(labels: readonly number[], start: number): Uint8Array {
  const planes = [0, 1, 2].flatMap((channel) => [...counting(1024, start + 10 * channel)]);
  return Uint8Array.of(...labels, ...planes);
}

const batch = (...records: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(records));

/** All six files of CIFAR-10 with one image each, but two in the second. */
const CIFAR10: Readonly<Record<string, Uint8Array>> = {
  "data_batch_1.bin": batch(record([3], 1)),
  "data_batch_2.bin": batch(record([4], 2), record([0], 3)),
  "data_batch_3.bin": batch(record([5], 4)),
  "data_batch_4.bin": batch(record([6], 5)),
  "data_batch_5.bin": batch(record([9], 6)),
  "test_batch.bin": batch(record([7], 200)),
};

function without(...names: string[]): Record<string, Uint8Array> {
  return Object.fromEntries(Object.entries(CIFAR10).filter(([name]) => !names.includes(name)));
}

describe("a folder of CIFAR-10 batches", () => {
  test("gives the images of all batches in order, normalised by channel, with the files' own labels", async () => {
    const spec = `cifar10:${folder.write(CIFAR10)}`;
    const { train, test, normalisation, warnings } = await openDataset(spec);
    expect(warnings).toBeUndefined();
    expect(train).toMatchObject({
      name: `${spec} train`,
      size: 6,
      inputs: [{ shape: [3, 32, 32] }],
      targets: [{ classes: 10 }],
    });
    expect(test).toMatchObject({
      name: `${spec} test`,
      size: 1,
      inputs: [{ shape: [3, 32, 32] }],
      targets: [{ classes: 10 }],
    });
    expect(normalisation).toEqual({ divisor: 255, mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] });
    const batch = await train.batch(Uint32Array.of(0, 1, 2, 3, 4, 5));
    const inputs = inputRows(batch);
    expect(labelsOf(batch)).toEqual(Uint32Array.of(3, 4, 0, 5, 6, 9));
    // The first pixel of the second image is (2, 12, 22); one rounding to f32 a step, as torchvision does.
    const f = Math.fround;
    const normal = (value: number, mean: number, std: number): number => f(f(f(value / 255) - f(mean)) / f(std));
    expect(inputs.data[3072]).toBe(normal(2, 0.4914, 0.2023));
    expect(inputs.data[3072 + 1024]).toBe(normal(12, 0.4822, 0.1994));
    expect(inputs.data[3072 + 2048]).toBe(normal(22, 0.4465, 0.201));
  });

  test("takes another normalisation, one number a channel or one for all", async () => {
    const spec = `cifar10:${folder.write(CIFAR10)}`;
    const { test } = await openDataset(spec, { normalize: { mean: [0, 0, 0], std: [1, 0.5, 0.25] } });
    const inputs = inputRows(await test.batch(Uint32Array.of(0)));
    const pixels = [200, 210, 220].map((value) => Math.fround(value / 255));
    expect([inputs.data[0], inputs.data[1024], inputs.data[2048]]).toEqual([pixels[0], pixels[1]! * 2, pixels[2]! * 4]);
    const { normalisation } = await openDataset(spec, { normalize: { mean: [0.5], std: [0.5] } });
    expect(normalisation).toEqual({ divisor: 255, mean: [0.5], std: [0.5] });
    expect((await errorOf(() => openDataset(spec, { normalize: { mean: [0, 0], std: [1, 1] } }))).code).toBe(
      "ERR_NORMALIZE",
    );
  });

  test("may have some of its training files only, and says so", async () => {
    const { train, warnings } = await openDataset(
      `cifar10:${folder.write(without("data_batch_1.bin", "data_batch_4.bin"))}`,
    );
    expect(labelsOf(await train.batch(Uint32Array.of(0, 1, 2, 3)))).toEqual(Uint32Array.of(4, 0, 5, 9));
    expect(warnings).toEqual([`${folder.path()}: 3 of the 5 training files are there`]);
  });

  test("uses the whole records of a file that ends early, and says how many", async () => {
    const cut = CIFAR10["data_batch_2.bin"]!.slice(0, 3073 + 100);
    const { train, warnings } = await openDataset(`cifar10:${folder.write({ ...CIFAR10, "data_batch_2.bin": cut })}`);
    expect(train.size).toBe(5);
    expect(warnings).toEqual([
      `${folder.path("data_batch_2.bin")}: its 3173 bytes are no whole number of records of 3073 bytes; the 1 whole records are used and the last 100 bytes are not`,
    ]);
  });

  test("may be packed, and may lie in the folder of the published archive", async () => {
    const inner = folder.path("cifar-10-batches-bin");
    fs.mkdirSync(inner);
    for (const [name, content] of Object.entries(CIFAR10)) fs.writeFileSync(`${inner}/${name}.gz`, gzipSync(content));
    const { train, test } = await openDataset(`cifar10:${folder.path()}`);
    expect([train.size, test.size]).toEqual([6, 1]);
  });

  const bad: readonly (readonly [what: string, files: Record<string, Uint8Array>, code: string, message: RegExp])[] = [
    [
      "without a test batch",
      without("test_batch.bin"),
      "ERR_DATASET_INCOMPLETE",
      /test split; looked for test_batch\.bin/,
    ],
    [
      "without training batches",
      { "test_batch.bin": CIFAR10["test_batch.bin"]! },
      "ERR_DATASET_INCOMPLETE",
      /training split/,
    ],
    [
      "with a batch of less than a record",
      { ...CIFAR10, "test_batch.bin": counting(3072) },
      "ERR_DATASET_EMPTY",
      /test_batch\.bin \(3072 bytes; a record has 3073\)/,
    ],
    [
      "with an empty batch",
      { ...CIFAR10, "data_batch_1.bin": new Uint8Array(0) },
      "ERR_DATASET_EMPTY",
      /data_batch_1\.bin \(0 bytes/,
    ],
    [
      "with a label of 10",
      { ...CIFAR10, "test_batch.bin": batch(record([0], 0), record([10], 0)) },
      "ERR_LABEL_RANGE",
      /label 10 of example 1 is not one of 0\.\.9/,
    ],
  ];
  for (const [what, files, code, message] of bad) {
    test(`${what} is refused`, async () => {
      const error = await errorOf(() => openDataset(`cifar10:${folder.write(files)}`));
      expect(error.code).toBe(code);
      expect(error.message).toMatch(message);
    });
  }

  test("is needed: the name alone is refused, and so is a folder that is not there", async () => {
    expect((await errorOf(() => openDataset("cifar10"))).code).toBe("ERR_DATA_SPEC");
    expect((await errorOf(() => openDataset("cifar100:"))).code).toBe("ERR_DATA_SPEC");
    expect((await errorOf(() => openDataset(`cifar10:${folder.path("nothing")}`))).code).toBe("ERR_FILE_NOT_FOUND");
  });
});

test("a folder of CIFAR-100 gives the fine labels, which come second", async () => {
  const files = { "train.bin": batch(record([19, 99], 1), record([0, 42], 2)), "test.bin": batch(record([5, 7], 3)) };
  const { train, test, warnings } = await openDataset(`cifar100:${folder.write(files)}`);
  expect(train).toMatchObject({ size: 2, inputs: [{ shape: [3, 32, 32] }], targets: [{ classes: 100 }] });
  expect(labelsOf(await train.batch(Uint32Array.of(0, 1)))).toEqual(Uint32Array.of(99, 42));
  expect(labelsOf(await test.batch(Uint32Array.of(0)))).toEqual(Uint32Array.of(7));
  expect(warnings).toBeUndefined();
});
