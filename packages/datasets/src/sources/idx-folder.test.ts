import fs from "node:fs";
import { gzipSync } from "node:zlib";
import { inputRows, labelsOf } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { openDataset } from "../open-dataset.ts";
import { counting, errorOf, idxFile, SMALL_DATASET, useFolder } from "../testing.test-support.ts";

const folder = useFolder();

/** The small dataset with some files changed, or left out where undefined. */
function withChanges(changes: Readonly<Record<string, Uint8Array | undefined>>): Record<string, Uint8Array> {
  const files = Object.entries({ ...SMALL_DATASET, ...changes });
  return Object.fromEntries(files.filter((file): file is [string, Uint8Array] => file[1] !== undefined));
}

describe("a folder of idx files", () => {
  test("becomes a training and a test split with normalised pixels", async () => {
    const spec = `mnist:${folder.write(SMALL_DATASET)}`;
    const { name, train, test, normalisation } = await openDataset(spec, { normalize: { mean: [0], std: [1] } });
    expect(name).toBe(spec);
    expect(train).toMatchObject({
      name: `${spec} train`,
      size: 4,
      inputs: [{ shape: [1, 2, 3] }],
      targets: [{ classes: 10 }],
    });
    expect(test).toMatchObject({
      name: `${spec} test`,
      size: 2,
      inputs: [{ shape: [1, 2, 3] }],
      targets: [{ classes: 10 }],
    });
    expect(normalisation).toEqual({ divisor: 255, mean: [0], std: [1] });
    const batch = await train.batch(Uint32Array.of(2, 0));
    expect(labelsOf(batch)).toEqual(Uint32Array.of(9, 3));
    expect(inputRows(batch)).toEqual({
      rows: 2,
      cols: 6,
      data: Float32Array.from([12, 13, 14, 15, 16, 17, 0, 1, 2, 3, 4, 5], (x) => x / 255),
    });
    expect(inputRows(await test.batch(Uint32Array.of(1))).data[5]).toBe(1);
  });

  test("declares the normalisation of MNIST", async () => {
    const { normalisation } = await openDataset(`mnist:${folder.write(SMALL_DATASET)}`);
    expect(normalisation).toEqual({ divisor: 255, mean: [0.1307], std: [0.3081] });
  });

  test("may have dots in its names and be packed, file by file", async () => {
    folder.write({
      "train-images.idx3-ubyte": SMALL_DATASET["train-images-idx3-ubyte"]!,
      "train-labels-idx1-ubyte.gz": gzipSync(SMALL_DATASET["train-labels-idx1-ubyte"]!),
      "t10k-images.idx3-ubyte.gz": gzipSync(SMALL_DATASET["t10k-images-idx3-ubyte"]!),
      // Packed in spite of its name: some download tools leave it so.
      "t10k-labels-idx1-ubyte": gzipSync(SMALL_DATASET["t10k-labels-idx1-ubyte"]!),
      "readme.txt": counting(3),
    });
    const { train, test } = await openDataset(`mnist:${folder.path()}`);
    expect(labelsOf(await train.batch(Uint32Array.of(0, 1, 2, 3)))).toEqual(Uint32Array.of(3, 0, 9, 1));
    expect(labelsOf(await test.batch(Uint32Array.of(0, 1)))).toEqual(Uint32Array.of(7, 2));
  });

  test("may have more classes than ten when told so", async () => {
    const files = withChanges({ "t10k-labels-idx1-ubyte": idxFile([2], Uint8Array.of(46, 0)) });
    const { test } = await openDataset(`mnist:${folder.write(files)}`, { classes: 47 });
    expect(test.targets![0]!.classes).toBe(47);
    expect(labelsOf(await test.batch(Uint32Array.of(0)))).toEqual(Uint32Array.of(46));
  });

  const bad: readonly (readonly [
    what: string,
    changes: Readonly<Record<string, Uint8Array | undefined>>,
    code: string,
    message: RegExp,
  ])[] = [
    [
      "lacks a file",
      { "t10k-labels-idx1-ubyte": undefined },
      "ERR_DATASET_INCOMPLETE",
      /no file of the test labels; looked for t10k-labels-idx1-ubyte, t10k-labels\.idx1-ubyte, .*holds t10k-images-idx3-ubyte, train/,
    ],
    [
      "has a truncated file",
      { "train-images-idx3-ubyte": SMALL_DATASET["train-images-idx3-ubyte"]!.subarray(0, 30) },
      "ERR_IDX",
      /train-images-idx3-ubyte: .*found 14 bytes of data, expected 24/,
    ],
    ["has an empty file", { "train-labels-idx1-ubyte": new Uint8Array(0) }, "ERR_IDX", /an empty file/],
    [
      "has images and labels of different counts",
      { "train-labels-idx1-ubyte": idxFile([3], counting(3)) },
      "ERR_SHAPE",
      /found 4 images and 3 labels in .*train-labels/,
    ],
    [
      "has a label that is no class",
      { "train-labels-idx1-ubyte": idxFile([4], Uint8Array.of(0, 1, 10, 255)) },
      "ERR_LABEL_RANGE",
      /train-labels-idx1-ubyte: label 10 of example 2 is not one of 0\.\.9/,
    ],
    [
      "has images of different sizes in its splits",
      { "t10k-images-idx3-ubyte": idxFile([2, 3, 2], counting(12)) },
      "ERR_SHAPE",
      /training images of 2 x 3 and test images of 3 x 2/,
    ],
    [
      "has no examples",
      {
        "t10k-images-idx3-ubyte": idxFile([0, 2, 3], counting(0)),
        "t10k-labels-idx1-ubyte": idxFile([0], counting(0)),
      },
      "ERR_DATASET_EMPTY",
      /t10k-images-idx3-ubyte: holds no examples/,
    ],
    [
      "has images where labels belong",
      { "train-labels-idx1-ubyte": SMALL_DATASET["train-images-idx3-ubyte"] },
      "ERR_IDX",
      /magic number 0x00000803/,
    ],
    [
      "has a gzip file that unpacks to a thousand times its size",
      { "train-images-idx3-ubyte": gzipSync(new Uint8Array(2 ** 26 + 1)) },
      "ERR_GZIP",
      /unpack to more than 67108864, the limit for a file of this size/,
    ],
    [
      "has a damaged gzip file",
      { "train-images-idx3-ubyte": gzipSync(SMALL_DATASET["train-images-idx3-ubyte"]!).fill(0x55, 12, 20) },
      "ERR_GZIP",
      /train-images-idx3-ubyte: damaged gzip data/,
    ],
    [
      "has a gzip file cut short",
      { "train-images-idx3-ubyte": gzipSync(SMALL_DATASET["train-images-idx3-ubyte"]!).subarray(0, 20) },
      "ERR_GZIP",
      /unexpected end of file/,
    ],
  ];
  for (const [what, changes, code, message] of bad) {
    test(`that ${what} is refused and says so`, async () => {
      const spec = `mnist:${folder.write(withChanges(changes))}`;
      const error = await errorOf(() => openDataset(spec));
      expect(error).toMatchObject({ code, fault: "input" });
      expect(error.message).toMatch(message);
    });
  }

  test("that is missing, empty, a file, or has a folder for a file is refused and says so", async () => {
    expect(await errorOf(() => openDataset(`mnist:${folder.path("none")}`))).toMatchObject({
      code: "ERR_FILE_NOT_FOUND",
    });
    const empty = await errorOf(() => openDataset(`mnist:${folder.path()}`));
    expect(empty).toMatchObject({ code: "ERR_DATASET_INCOMPLETE" });
    expect(empty.message).toContain("the folder is empty");
    folder.write(withChanges({ "train-images-idx3-ubyte": undefined }));
    const file = await errorOf(() => openDataset(`mnist:${folder.path("t10k-labels-idx1-ubyte")}`));
    expect(file).toMatchObject({ code: "ERR_NOT_A_FILE" });
    expect(file.message).toContain("found a file, expected a folder");
    fs.mkdirSync(folder.path("train-images-idx3-ubyte"));
    const inner = await errorOf(() => openDataset(`mnist:${folder.path()}`));
    expect(inner).toMatchObject({ code: "ERR_NOT_A_FILE" });
    expect(inner.message).toContain("found a folder, expected a file");
  });

  test("refuses a normalisation of three channels, since images have one", async () => {
    const spec = `mnist:${folder.write(SMALL_DATASET)}`;
    const normalize = { mean: [0, 0, 0], std: [1, 1, 1] };
    expect((await errorOf(() => openDataset(spec, { normalize }))).code).toBe("ERR_NORMALIZE");
  });
});
