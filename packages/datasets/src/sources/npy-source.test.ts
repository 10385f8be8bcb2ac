import { inputRows } from "@secateur/core";
import { encodeNpy, readNpyNumbers } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { openDataset } from "../open-dataset.ts";
import type { NumberArray } from "../source.ts";
import { errorOf, useFolder } from "../testing.test-support.ts";

const folder = useFolder();

/** Reads arrays from memory, so that tests can hand over any element type. */
const fromMemory = (arrays: Readonly<Record<string, NumberArray>>) => (path: string) => {
  const array = arrays[path];
  if (array === undefined) throw new Error(`no array ${path}`);
  return array;
};

const x: NumberArray = { shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
const y: NumberArray = { shape: [3], data: Float64Array.of(2, 0, 1) };

describe("npy: with two files", () => {
  test("reads them from disk with @secateur/formats and uses them for training and testing alike", async () => {
    const { writeFileSync } = await import("node:fs");
    writeFileSync(folder.path("X.npy"), encodeNpy({ shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) }));
    writeFileSync(folder.path("Y.npy"), encodeNpy({ shape: [3], data: Float64Array.of(2, 0, 1) }));
    const spec = `npy:${folder.path("X.npy")},${folder.path("Y.npy")}`;
    const { name, train, test, normalisation } = await openDataset(spec, { readArray: readNpyNumbers });
    expect(name).toBe(spec);
    expect(test).toBe(train);
    expect(train).toMatchObject({ name: spec, size: 3, inputs: [{ shape: [2] }], targets: [{ classes: 3 }] });
    expect(normalisation).toEqual({ divisor: 1, mean: [0], std: [1] });
    expect(await train.batch(Uint32Array.of(2, 1))).toEqual({
      size: 2,
      inputs: { input: { shape: [2, 2], data: Float32Array.of(5, 6, 3, 4) } },
      targets: { labels: { shape: [2], data: Uint32Array.of(1, 0) } },
    });
  });

  test("normalises features or channels when asked to, and divides nothing by 255", async () => {
    const readArray = fromMemory({ x, y });
    const normalize = { mean: [1, 2], std: [2, 4] };
    const { train } = await openDataset("npy:x,y", { readArray, normalize });
    expect(inputRows(await train.batch(Uint32Array.of(1))).data).toEqual(Float32Array.of(1, 0.5));
  });

  test("keeps bytes as bytes, and gives the same values whether or not they go through tables", async () => {
    const bytes: NumberArray = { shape: [2, 300], data: Uint8Array.from({ length: 600 }, (_, i) => i * 7) };
    const labels: NumberArray = { shape: [2, 1], data: Uint8Array.of(1, 0) };
    const readArray = fromMemory({ bytes, labels });
    const wide = { mean: new Array<number>(300).fill(3), std: new Array<number>(300).fill(2) };
    const perFeature = await openDataset("npy:bytes,labels", { readArray, normalize: wide });
    const overall = await openDataset("npy:bytes,labels", { readArray, normalize: { mean: [3], std: [2] } });
    const indices = Uint32Array.of(0, 1);
    const expected = await overall.train.batch(indices);
    expect(await perFeature.train.batch(indices)).toEqual(expected);
    expect(inputRows(expected).data).toEqual(Float32Array.from(bytes.data, (value) => (value - 3) / 2));
  });

  test("takes images of one or several channels", async () => {
    const images: NumberArray = { shape: [1, 3, 2, 2], data: new Float64Array(12).fill(1) };
    const grey: NumberArray = { shape: [1, 3, 4], data: new Float64Array(12).fill(1) };
    const label: NumberArray = { shape: [1], data: Uint8Array.of(0) };
    const readArray = fromMemory({ images, grey, label });
    const normalize = { mean: [1, 2, 3], std: [1, 1, 1] };
    const { train } = await openDataset("npy:images,label", { readArray, normalize, classes: 5 });
    expect(train).toMatchObject({ inputs: [{ shape: [3, 2, 2] }], targets: [{ classes: 5 }] });
    expect(inputRows(await train.batch(Uint32Array.of(0))).data).toEqual(
      Float32Array.of(0, 0, 0, 0, -1, -1, -1, -1, -2, -2, -2, -2),
    );
    expect((await openDataset("npy:grey,label", { readArray })).train.inputs[0]!.shape).toEqual([3, 4]);
  });
});

describe("npy: with four files", () => {
  test("has a training and a test split, with the classes of both", async () => {
    const readArray = fromMemory({
      x,
      y,
      xt: { shape: [1, 2], data: Float32Array.of(7, 8) },
      yt: { shape: [1], data: Uint8Array.of(6) },
    });
    const { train, test } = await openDataset("npy:x,y,xt,yt", { readArray });
    expect(train).toMatchObject({ name: "npy:x,y,xt,yt train", size: 3, targets: [{ classes: 7 }] });
    expect(test).toMatchObject({ name: "npy:x,y,xt,yt test", size: 1, targets: [{ classes: 7 }] });
    expect(inputRows(await test.batch(Uint32Array.of(0))).data).toEqual(Float32Array.of(7, 8));
  });

  test("needs examples of one shape", async () => {
    const readArray = fromMemory({
      x,
      y,
      xt: { shape: [1, 3], data: new Float32Array(3) },
      yt: { shape: [1], data: Uint8Array.of(0) },
    });
    const error = await errorOf(() => openDataset("npy:x,y,xt,yt", { readArray }));
    expect(error.code).toBe("ERR_SHAPE");
    expect(error.message).toContain("training examples of shape [2] and test examples of shape [3]");
  });
});

describe("npy: refuses", () => {
  const labels = (...values: number[]): NumberArray => ({ shape: [values.length], data: Float64Array.from(values) });
  const floats = (shape: number[], ...values: number[]): NumberArray => ({ shape, data: Float64Array.from(values) });
  const bad: readonly (readonly [what: string, x: NumberArray, y: NumberArray, code: string, message: RegExp])[] = [
    ["counts that differ", x, labels(0, 1), "ERR_SHAPE", /x: found 3 examples and 2 labels in y/],
    ["a scalar for labels", x, floats([], 1), "ERR_SHAPE", /targets of shape \[n\]/],
    ["a vector for inputs", floats([3], 1, 2, 3), y, "ERR_SHAPE", /x: found an array of shape \[3\]/],
    ["no examples", floats([0, 2]), labels(), "ERR_DATASET_EMPTY", /x: holds no examples/],
    ["examples without features", floats([3, 0]), y, "ERR_DATASET_EMPTY", /x: holds no examples/],
    ["NaN for a target", x, labels(Number.NaN, 1, 2), "ERR_NOT_FINITE", /y: feature 0 of example 0 is NaN/],
    ["a label far too large", x, labels(0, 1, 1e6), "ERR_LABEL_RANGE", /label 1000000 .*0\.\.65535/],
    [
      "NaN and infinity among the inputs",
      floats([3, 2], 1, 2, 3, Number.NaN, Number.NEGATIVE_INFINITY, Number.NaN),
      y,
      "ERR_NOT_FINITE",
      /x: feature 1 of example 1 is NaN; 3 number\(s\) in 2 example\(s\)/,
    ],
    ["numbers beyond f32", floats([1, 1], 1e300), labels(0), "ERR_NOT_FINITE", /is 1e\+300, too large for float32/],
  ];
  for (const [what, x, y, code, message] of bad) {
    test(what, async () => {
      const error = await errorOf(() => openDataset("npy:x,y", { readArray: fromMemory({ x, y }) }));
      expect(error).toMatchObject({ code, fault: "input" });
      expect(error.message).toMatch(message);
    });
  }

  test("a label that is not below the given number of classes", async () => {
    const error = await errorOf(() => openDataset("npy:x,y", { readArray: fromMemory({ x, y }), classes: 2 }));
    expect(error.message).toMatch(/label 2 of example 0 is not one of the whole numbers 0\.\.1/);
  });

  test("a fraction among class numbers, with its place in the file", async () => {
    const labels: NumberArray = { shape: [3], data: Float32Array.of(0, 1, 0.5) };
    const error = await errorOf(() => openDataset("npy:x,y", { readArray: fromMemory({ x, y: labels }), classes: 2 }));
    expect(error.message).toMatch(/label 0\.5 of example 2 is not one of the whole numbers 0\.\.1/);
  });

  test("anything but one, two or four paths", async () => {
    for (const spec of ["npy", "npy:", "npy:x,", "npy:x,y,z", "npy:a,b,c,d,e"]) {
      const error = await errorOf(() => openDataset(spec, { readArray: fromMemory({}) }));
      expect(error.code).toBe("ERR_DATA_SPEC");
      expect(error.message).toContain("npy:X.npy or npy:X.npy,Y.npy or npy:Xtrain.npy");
    }
  });

  test("to guess how arrays are read: without a reader it says which to pass", async () => {
    const error = await errorOf(() => openDataset("npy:x,y"));
    expect(error.code).toBe("ERR_READER_MISSING");
    expect(error.message).toContain("readArray: readNpyNumbers");
  });

  test("a missing file with the reader's own error", async () => {
    const spec = `npy:${folder.path("none.npy")},y`;
    const error = await errorOf(() => openDataset(spec, { readArray: readNpyNumbers }));
    expect(error.code).toBe("ERR_FILE_NOT_FOUND");
  });
});

describe("npy: targets", () => {
  const inputs: NumberArray = { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
  const open = async (y: NumberArray | undefined, targets?: "classes" | "values") => {
    const readArray = fromMemory({ x: inputs, ...(y ? { y } : {}) });
    const { train } = await openDataset(y ? "npy:x,y" : "npy:x", { readArray, ...(targets ? { targets } : {}) });
    return { train, batch: await train.batch(Uint32Array.of(1, 0)) };
  };

  test("may be missing: the data are unlabelled", async () => {
    const { train, batch } = await open(undefined);
    expect(train.targets).toBeUndefined();
    expect(batch).toEqual({ size: 2, inputs: { input: { shape: [2, 3], data: Float32Array.of(4, 5, 6, 1, 2, 3) } } });
  });

  test("are values where some number is no whole one, of any width, or where that is asked for", async () => {
    const half = await open({ shape: [2, 2], data: Float64Array.of(0.5, 1, 2, 3) });
    expect(half.train.targets).toEqual([{ name: "values", shape: [2], dtype: "f32" }]);
    expect(half.batch.targets).toEqual({ values: { shape: [2, 2], data: Float32Array.of(2, 3, 0.5, 1) } });
    const asked = await open({ shape: [2], data: Uint8Array.of(7, 200) }, "values");
    expect(asked.batch.targets).toEqual({ values: { shape: [2], data: Float32Array.of(200, 7) } });
  });

  test("are whole numbers by position where an example has several", async () => {
    const { train, batch } = await open({ shape: [2, 2], data: Float64Array.of(0, 1, -100, 3) });
    expect(train.targets).toEqual([{ name: "labels", shape: [2], dtype: "i32", classes: 4 }]);
    expect(batch.targets).toEqual({ labels: { shape: [2, 2], data: Int32Array.of(-100, 3, 0, 1) } });
  });

  test("go with inputs of any number of dimensions", async () => {
    const x: NumberArray = { shape: [1, 1, 2, 1, 2], data: Uint8Array.of(1, 2, 3, 4) };
    const { train } = await openDataset("npy:x", { readArray: fromMemory({ x }) });
    expect(train.inputs[0]!.shape).toEqual([1, 2, 1, 2]);
  });
});

test("npy: whole numbers below 0 are numbers to be met, unless the network has classes", async () => {
  const below: NumberArray = { shape: [3], data: Float64Array.of(-3, 0, 4) };
  const readArray = fromMemory({ x, below });
  const { train } = await openDataset("npy:x,below", { readArray });
  expect(train.targets).toEqual([{ name: "values", shape: [], dtype: "f32" }]);
  const refused = await errorOf(() => openDataset("npy:x,below", { readArray, classes: 5 }));
  expect(refused.message).toMatch(/label -3 of example 0 .*--task regression/);
});

test("npz: takes the arrays of an archive by their names, the model's inputs as inputs and others as targets", async () => {
  const readArrays = () =>
    new Map([
      ["labels", y],
      ["x", x],
    ]);
  const { train, test: other } = await openDataset("npz:a.npz", { readArrays, inputNames: ["x"] });
  expect(other).toBe(train);
  expect(train).toMatchObject({
    size: 3,
    inputs: [{ name: "x", shape: [2] }],
    targets: [{ name: "labels", classes: 3 }],
  });
  const bad = () =>
    new Map([
      ["x", x],
      ["labels", { shape: [2], data: Float64Array.of(1, 2) }],
    ]);
  await expect(openDataset("npz:a.npz", { readArrays: bad, inputNames: ["x"] })).rejects.toThrow(
    /3 examples of 'x' and an array of shape \[2\] in a\.npz: labels/,
  );
  await expect(openDataset("npz:a.npz", { readArrays: () => new Map() })).rejects.toThrow(/a\.npz/);
  await expect(openDataset("npz:a.npz")).rejects.toThrow(/npz:a\.npz/);
});

describe("npy: by name", () => {
  const digit: NumberArray = { shape: [3], data: Float64Array.of(2, 0, 1) };
  const angle: NumberArray = { shape: [3, 2], data: Float32Array.of(0.5, 1, 1.5, 2, 2.5, 3) };
  const open = (spec: string, inputNames?: string[]) =>
    openDataset(spec, { readArray: fromMemory({ x, digit, angle }), ...(inputNames ? { inputNames } : {}) });

  test("has the model's inputs for inputs and every other array for a target, whatever their order", async () => {
    const { train, test: same } = await open("npy:digit=digit,image=x,angle=angle", ["image"]);
    expect(same).toBe(train);
    expect(train.inputs).toEqual([{ name: "image", shape: [2], dtype: "f32" }]);
    expect(train.targets).toEqual([
      { name: "digit", shape: [], dtype: "u32", classes: 3 },
      { name: "angle", shape: [2], dtype: "f32" },
    ]);
    const { inputs, targets } = await train.batch(Uint32Array.of(2));
    expect(inputs["image"]!.data).toEqual(Float32Array.of(5, 6));
    expect(targets!["angle"]!.data).toEqual(Float32Array.of(2.5, 3));
  });

  test("takes the first for the input where nothing is known of the model", async () => {
    const { train } = await open("npy:any=x,angle=angle");
    expect([train.inputs[0]!.name, train.targets![0]!.name]).toEqual(["any", "angle"]);
  });

  test("is not meant by a path with = behind a folder", async () => {
    const readArray = fromMemory({ "/year=2024/x": x, "./digit=1/y": y });
    const { train } = await openDataset("npy:/year=2024/x,./digit=1/y", { readArray });
    expect(train.targets).toMatchObject([{ name: "labels", classes: 3 }]);
  });

  test.each([
    ["npy:image=x,digit", /NAME=FILE for every array/],
    ["npy:image=x,image=angle", /each name once/],
    ["npy:image=,digit=digit", /NAME=FILE/],
  ])("refuses %s", async (spec, says) => {
    expect((await errorOf(() => open(spec))).message).toMatch(says);
  });

  test("refuses arrays of unequal numbers of examples, and a normalisation", async () => {
    const short: NumberArray = { shape: [2], data: Float64Array.of(0, 1) };
    const readArray = fromMemory({ x, short });
    expect((await errorOf(() => openDataset("npy:x=x,y=short", { readArray }))).message).toMatch(
      /3 examples of 'x' .*\[2\]/,
    );
    const normalize = { mean: [0], std: [1] };
    expect((await errorOf(() => openDataset("npy:x=x,y=short", { readArray, normalize }))).message).toMatch(
      /normalise them/,
    );
  });
});
