import { arrayDataset, createRng, createRunContext, type LayerInputs, type Model, matrix } from "@secateur/core";
import { createNetwork, mlp } from "@secateur/nn";
import { expect, test } from "vitest";
import { activations } from "./activations.ts";

const rng = createRng("inputs");
const X = matrix(
  40,
  5,
  Float64Array.from({ length: 200 }, (_, i) => (i % 5 === 3 ? 0 : rng.normal())),
);
const data = arrayDataset({ inputs: X, labels: new Uint32Array(40), classes: 2 });
const examples = Uint32Array.from({ length: 40 }, (_, i) => i);
const model = createNetwork(mlp({ sizes: [5, 4, 2] }), { dtype: "f64" });

test("H is the mean of x x' with the damping on its diagonal; inputs that are always 0 are counted and said", async () => {
  const notes: string[] = [];
  const ctx = createRunContext({ onEvent: (event) => event.type === "note" && notes.push(event.code) });
  const request = { model, data, examples, params: ["fc1.weight"], inputs: "parallel" as const };
  const found = [];
  for await (const layer of activations({ damping: 0.1 }).estimate(request, ctx)) found.push(layer);
  const [first] = found;
  const H = first!.curvature.gram!();
  let trace = 0;
  for (let i = 0; i < 5; i++) for (let e = 0; e < 40; e++) trace += X.data[e * 5 + i]! ** 2 / 40;
  expect(first!.damping).toBeCloseTo((0.1 * trace) / 5, 12);
  for (let i = 0; i < 5; i++) {
    for (let j = 0; j < 5; j++) {
      let sum = i === j ? first!.damping : 0;
      for (let e = 0; e < 40; e++) sum += (X.data[e * 5 + i]! * X.data[e * 5 + j]!) / 40;
      expect(H.data[i * 5 + j]).toBeCloseTo(sum, 12);
    }
  }
  const mean = (j: number): number =>
    Float64Array.from(X.data).reduce((sum, value, i) => sum + (i % 5 === j ? value / 40 : 0), 0);
  for (let j = 0; j < 5; j++) expect(first!.curvature.means!()[j]).toBeCloseTo(mean(j), 12);
  expect([first!.count, first!.dead, notes]).toEqual([40, 1, ["dead-inputs"]]);
  const unit = Float64Array.of(0, 0, 1, 0, 0);
  const column = new Float64Array(5);
  await first!.curvature.apply(unit, column);
  expect([...column]).toEqual([2, 7, 12, 17, 22].map((i) => H.data[i]!));
});

test("pieces of any length add up to the same H", async () => {
  async function* pieces(sizes: readonly number[]) {
    let from = 0;
    for (const size of sizes) {
      yield matrix(size, 5, X.data.subarray(from * 5, (from + size) * 5));
      from += size;
    }
  }
  const gramOf = async (sizes: readonly number[]): Promise<Float64Array> => {
    const entry: LayerInputs = { targets: [{ param: "w", firstRow: 0, rows: 1 }], cols: 5, chunks: pieces(sizes) };
    const source: Model = {
      ...{
        name: "pieces",
        inputs: [],
        outputs: [],
        params: () => [],
        read: async () => matrix(1, 5),
        write: async () => {},
      },
      async *layerInputs() {
        yield entry;
      },
    };
    const request = { model: source, data, examples, params: ["w"], inputs: "parallel" as const };
    for await (const { curvature } of activations().estimate(request, createRunContext())) {
      return Float64Array.from(curvature.gram!().data);
    }
    throw new Error("no layer came");
  };
  const whole = await gramOf([40]);
  for (const sizes of [
    [1, 39],
    [13, 0, 27],
    [20, 20],
  ]) {
    (await gramOf(sizes)).forEach((value, i) => {
      expect(value).toBeCloseTo(whole[i]!, 12);
    });
  }
});

test("to match the dense model, moments with its inputs come along, of the weights before any was written", async () => {
  const network = createNetwork(mlp({ sizes: [5, 4, 2] }), { dtype: "f64", seed: 2 });
  const hidden = async (): Promise<Float64Array> => {
    const pieces: number[] = [];
    for await (const { chunks } of network.layerInputs(request, createRunContext())) {
      for await (const { data: rows } of chunks) pieces.push(...rows);
    }
    return Float64Array.from(pieces);
  };
  const request = { data, examples, params: ["fc2.weight"], inputs: "sequential" as const };
  const before = await hidden();
  const both = { ...request, params: ["fc1.weight", "fc2.weight"], model: network, match: "dense" as const };
  const dense = [];
  for await (const layer of activations().estimate(both, createRunContext())) {
    dense.push(layer.dense!);
    if (dense.length > 1) continue;
    const w = await network.read("fc1.weight");
    w.data.fill(0, 0, 10);
    await network.write("fc1.weight", w);
  }
  const after = await hidden();
  for (let i = 0; i < 4; i++) {
    for (let j = 0; j < 4; j++) {
      let [cross, own] = [0, 0];
      for (let e = 0; e < 40; e++) cross += (after[e * 4 + i]! * before[e * 4 + j]!) / 40;
      for (let e = 0; e < 40; e++) own += (before[e * 4 + i]! * before[e * 4 + j]!) / 40;
      expect(dense[1]!.cross.data[i * 4 + j]).toBeCloseTo(cross, 12);
      expect(dense[1]!.own.data[i * 4 + j]).toBeCloseTo(own, 12);
    }
  }
  expect(after).not.toEqual(before);
});

test("few rows are damped by themselves and said, many and what is asked are not", async () => {
  const dampingFor = async (count: number, options?: { damping: number }): Promise<[number, string[]]> => {
    const notes: string[] = [];
    const ctx = createRunContext({ onEvent: (event) => event.type === "note" && notes.push(event.code) });
    const request = {
      model,
      data,
      examples: examples.slice(0, count),
      params: ["fc1.weight"],
      inputs: "parallel" as const,
    };
    for await (const { damping, curvature } of activations(options).estimate(request, ctx)) {
      const trace = Float64Array.from(curvature.diagonal()).reduce((sum, value) => sum + value, 0) - 5 * damping;
      return [(5 * damping) / trace, notes.filter((code) => code !== "dead-inputs")];
    }
    throw new Error("no layer came");
  };
  expect(await dampingFor(20)).toEqual([0, []]);
  const [few, notes] = await dampingFor(19);
  expect(few).toBeCloseTo(0.01, 12);
  expect(notes).toEqual(["calibration-damped"]);
  expect((await dampingFor(4))[1]).toEqual(["calibration-rank", "calibration-damped"]);
  expect(await dampingFor(19, { damping: 0 })).toEqual([0, []]);
});

test("models without layer inputs, layers without examples and a negative damping are refused", async () => {
  const request = { model, data, examples, params: ["fc1.weight"], inputs: "parallel" as const };
  const first = (one: Parameters<ReturnType<typeof activations>["estimate"]>[0]) =>
    activations().estimate(one, createRunContext())[Symbol.asyncIterator]().next();
  const { layerInputs: _, ...blind } = model;
  await expect(first({ ...request, model: blind })).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
  await expect(first({ ...request, examples: new Uint32Array(0) })).rejects.toMatchObject({
    code: "ERR_IMPOSSIBLE",
    message: expect.stringContaining("fc1.weight"),
  });
  expect(() => activations({ damping: -1 })).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
});

test("inputs a thousand times as far from 0 as they spread leave the digits of their variances, with the dense model's, too", async () => {
  const [rows, cols] = [300, 3];
  const far = createRng("far");
  const numbers = () =>
    Float32Array.from({ length: rows * cols }, (_, i) =>
      i % cols === 2 ? 700 : 1000 + (i % cols) * 500 + far.normal(),
    );
  const [x, z] = [numbers(), numbers()];
  const sourceOf = (all: Float32Array): Model => ({
    ...{ name: "far", inputs: [], outputs: [], params: () => [] },
    ...{ read: async () => matrix(1, cols), write: async () => {} },
    async *layerInputs() {
      const chunks = (async function* () {
        for (const from of [0, 100, 200]) yield matrix(100, cols, all.subarray(from * cols, (from + 100) * cols));
      })();
      yield { targets: [{ param: "w", firstRow: 0, rows: 1 }], cols, chunks };
    },
  });
  const meanOf = (a: Float32Array, i: number, b?: Float32Array, j = 0): number => {
    let sum = 0;
    for (let r = 0; r < rows; r++) sum += a[r * cols + i]! * (b ? b[r * cols + j]! : 1);
    return sum / rows;
  };
  const request = { model: sourceOf(x), dense: sourceOf(z), match: "dense" as const, data, examples, params: ["w"] };
  for await (const { curvature, dense } of activations({ damping: 0 }).estimate(
    { ...request, inputs: "sequential" },
    createRunContext(),
  )) {
    for (const [found, a, b] of [
      [curvature.gram!(), x, x],
      [dense!.cross, x, z],
      [dense!.own, z, z],
    ] as const) {
      for (let i = 0; i < cols; i++) {
        for (let j = 0; j < cols; j++) {
          const covariance = found.data[i * cols + j]! - meanOf(a, i) * meanOf(b, j);
          const expected = meanOf(a, i, b, j) - meanOf(a, i) * meanOf(b, j);
          // Both sides lose ten of sixteen digits in the differences of numbers of a million; in f32 nothing would be left.
          expect(Math.abs(covariance - expected)).toBeLessThan(1e-5);
        }
      }
      if (a === b) expect(found.data[1]).toBe(found.data[cols]);
    }
  }
});

test("a convolution with windows to spare takes some of them, those of the dense model in step, and says so", async () => {
  const cols = 2;
  const total = 4000;
  const numbers = Float64Array.from({ length: total * cols }, () => rng.normal());
  const source: Model = {
    ...{ name: "windows", inputs: [], outputs: [], params: () => [] },
    ...{ read: async () => matrix(1, cols), write: async () => {} },
    async *layerInputs({ inputs }) {
      const chunks = (async function* () {
        // The dense model sees twice of it.
        const data = inputs === "parallel" ? numbers.map((value) => 2 * value) : numbers;
        for (let from = 0; from < total; from += 500)
          yield matrix(500, cols, data.subarray(from * cols, (from + 500) * cols));
      })();
      yield { targets: [{ param: "w", firstRow: 0, rows: 1 }], cols, rows: total, chunks };
    },
  };
  const request = { model: source, data, examples, params: ["w"], inputs: "sequential", match: "dense" } as const;
  const taken = async (rowsPerInput?: number) => {
    const codes: string[] = [];
    const ctx = createRunContext({ onEvent: (event) => event.type === "note" && codes.push(event.code) });
    for await (const layer of activations({ damping: 0, rowsPerInput }).estimate(request, ctx)) return { layer, codes };
    throw new Error("no layer came");
  };
  const { layer, codes } = await taken();
  expect([layer.count, codes]).toEqual([128 * cols, ["inputs-sampled"]]);
  const H = layer.curvature.gram!().data;
  H.forEach((value: number, i: number) => {
    expect(layer.dense!.cross.data[i]).toBeCloseTo(2 * value, 12);
    expect(layer.dense!.own.data[i]).toBeCloseTo(4 * value, 12);
  });
  const all = await taken(Number.POSITIVE_INFINITY);
  expect([all.layer.count, all.codes]).toEqual([total, []]);
  // A mean of 256 squares of unit variance is off by about sqrt(2 / 256).
  expect(Math.abs(H[0]! - all.layer.curvature.gram!().data[0]!)).toBeLessThan(0.3);
  expect(() => activations({ rowsPerInput: 3 })).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
});
