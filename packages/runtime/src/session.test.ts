import { architecture, mlp, type NetworkSpec } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import type { KernelName } from "./file/packed-model.ts";
import { type LoadOptions, load } from "./index.ts";
import { encodePacked, lowerNetwork, type PackGraph } from "./pack.ts";
import { logitsOf, packed, randomNumbers, randomTensors } from "./session.test-support.ts";

/** Relative to the largest logit. Sums of some hundred f32 products, layer after layer, against nn's in f64. */
const tolerance = 1e-5;

function waves(size: number, seed = 7): Float32Array {
  return Float32Array.from({ length: size }, randomNumbers(seed));
}

function featuresOf(spec: NetworkSpec): number {
  return spec.inputShape.reduce((product, extent) => product * extent, 1);
}

async function outputsOf(
  graph: PackGraph,
  inputs: Float32Array,
  dims: readonly number[],
  options?: LoadOptions,
): Promise<Float32Array> {
  const session = await load(await packed(graph), options);
  const { logits } = await session.run({ input: { data: inputs, dims } });
  await session.close();
  return logits!.data;
}

function expectClose(found: Float32Array, expected: Float64Array): void {
  const size = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  expect(found.length).toBe(expected.length);
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!), `number ${i}: ${value} for ${expected[i]}`).toBeLessThan(tolerance * size);
  });
}

/** Every operator with weights run by one kernel, where it has that kernel. */
function withKernel(graph: PackGraph, kernel: KernelName): PackGraph {
  const operators = graph.operators.map((operator) => {
    if (operator.tensors.length === 0 || operator.op.endsWith("Normalization")) return operator;
    return { ...operator, kernel: operator.op === "Conv" && kernel === "block16" ? "block4" : kernel } as const;
  });
  return { ...graph, operators };
}

const odd: NetworkSpec = {
  name: "odd sizes",
  inputShape: [3, 13, 11],
  classes: 5,
  layers: [
    { kind: "conv2d", name: "a", in: 3, out: 6, kernel: [3, 3], stride: 2, padding: 1 },
    { kind: "silu", name: "act" },
    { kind: "conv2d", name: "b", in: 6, out: 6, kernel: [3, 3], padding: 2, dilation: 2, groups: 2 },
    { kind: "batch-norm", name: "bn", channels: 6 },
    { kind: "add", name: "sum", inputs: ["bn", "act"] },
    { kind: "relu6", name: "r" },
    { kind: "conv2d", name: "d", in: 6, out: 6, kernel: [3, 3], stride: 3, padding: 1, groups: 6 },
    { kind: "gelu", name: "g" },
    { kind: "conv2d", name: "e", in: 6, out: 3, kernel: [1, 1], stride: 2, inputs: ["r"] },
    { kind: "average-pool", size: 2, stride: 2, padding: 1, name: "p", inputs: ["e"] },
    { kind: "concat", inputs: ["p", "g"] },
    { kind: "flatten" },
    { kind: "layer-norm", name: "ln", features: 0 },
    { kind: "dense", name: "fc", in: 0, out: 5, bias: true },
    { kind: "log-softmax" },
  ],
};

/** `odd` with the features that its concatenation gives, for a layout. */
function oddNetwork(): NetworkSpec {
  // 13 x 11 by stride 2 is 7 x 6, by stride 3 then 3 x 2; by 2 it is 4 x 3, pooled with padding 3 x 2.
  const features = (3 + 6) * 3 * 2;
  const layers = odd.layers.map((layer) =>
    layer.kind === "layer-norm" ? { ...layer, features } : layer.kind === "dense" ? { ...layer, in: features } : layer,
  );
  return { ...odd, layers };
}

const networks: readonly NetworkSpec[] = [
  architecture("mlpnet"),
  mlp({ sizes: [17, 9, 33, 3] }),
  architecture("lenet5"),
  architecture("resnet20"),
  architecture("resnet20a"),
  oddNetwork(),
];

describe.each(networks.map((spec) => [spec.name, spec] as const))("%s, packed,", (_, spec) => {
  const examples = 3;
  const inputs = waves(examples * featuresOf(spec));
  const dims = [examples, ...spec.inputShape];
  const sparse = randomTensors(spec, 0.8);
  // What nn computes in f64 takes longer than everything else here, and is the same for every kernel.
  let sparseLogits: Promise<Float64Array> | undefined;

  test.each(["dense", "sparse", "block4", "block16"] as const)(
    "gives nn's logits by its %s kernels, alone and in a batch",
    async (kernel) => {
      sparseLogits ??= logitsOf(spec, sparse, inputs, examples);
      const expected = await sparseLogits;
      const graph = withKernel(lowerNetwork(spec, sparse), kernel);
      expectClose(await outputsOf(graph, inputs, dims, { batch: examples }), expected);
      const alone = await outputsOf(graph, inputs.slice(0, featuresOf(spec)), [1, ...spec.inputShape]);
      expectClose(alone, expected.slice(0, spec.classes));
    },
  );

  test("holds the bias of a layer that says nothing of one, as nn's layers have it", () => {
    const layers = spec.layers.map((layer) => ("bias" in layer && layer.bias ? { ...layer, bias: undefined } : layer));
    const names = (graph: PackGraph) => [...graph.tensors.keys()];
    expect(names(lowerNetwork({ ...spec, layers }, sparse))).toEqual(names(lowerNetwork(spec, sparse)));
  });

  test("gives nn's logits with both builds", async () => {
    const tensors = randomTensors(spec, 0.5, 5);
    const expected = await logitsOf(spec, tensors, inputs, examples);
    const bytes = await encodePacked(lowerNetwork(spec, tensors));
    for (const build of ["simd", "relaxed-simd"] as const) {
      const session = await load(bytes, { batch: examples, build });
      expectClose((await session.run({ input: { data: inputs, dims } }))["logits"]!.data, expected);
      expect(session.build).toBe(build);
    }
  });

  test("gives the same bytes with any number of threads, run after run", async () => {
    const graph = lowerNetwork(spec, randomTensors(spec, 0.9, 3));
    const bytes = await packed(graph);
    const alone = await load(bytes);
    const one = inputs.slice(0, featuresOf(spec));
    const other = waves(one.length, 9);
    const run = (session: typeof alone, data: Float32Array) =>
      session.run({ input: { data, dims: [1, ...spec.inputShape] } });
    const expected = await run(alone, one);
    for (const threads of [2, 3]) {
      const session = await load(bytes, { threads });
      expect(session.threads).toBe(threads);
      for (let round = 0; round < 5; round++) {
        expect(await run(session, one)).toEqual(expected);
        // Another image in between: nothing of it may stay behind.
        await run(session, other);
      }
      await session.close();
    }
  });
});

test("a network of pixels by rows (NHWC) gives nn's logits", async () => {
  const spec: NetworkSpec = { ...oddNetwork(), inputShape: [13, 11, 3], layout: "nhwc" };
  const tensors = randomTensors(spec, 0.5);
  const inputs = waves(2 * featuresOf(spec));
  const expected = await logitsOf(spec, tensors, inputs, 2);
  expectClose(await outputsOf(lowerNetwork(spec, tensors), inputs, [2, ...spec.inputShape], { batch: 2 }), expected);
});

describe("sums are never subnormal, on which processors are many times slower:", () => {
  const smallest = 2 ** -126;
  // 2 x 3 positions with a border, so that a mask of positions takes part; the first output has products of 2^-130, the second of 2^-100.
  const graph = (activation: object, kernel: KernelName): PackGraph => ({
    inputs: [{ name: "x", dims: [1, 1, 2, 3] }],
    outputs: [{ name: "y", dims: [1, 2, 2, 3] }],
    operators: [
      {
        ...{ op: "Conv", name: "conv", inputs: ["x"], tensors: ["w"], output: "y", kernel },
        attributes: { pads: [1, 1, 1, 1], ...activation },
      },
    ],
    tensors: new Map([
      [
        "w",
        {
          dims: [2, 1, 3, 3],
          data: Float32Array.from({ length: 18 }, (_, i) => (i % 9 === 4 ? 2 ** (i < 9 ? -70 : -40) : 0)),
        },
      ],
    ]),
  });
  const x = Float32Array.of(1, -1, 1.5, 2, -3, 0.5).map((v) => v * 2 ** -60);

  test.each([
    ["as they are", {}, (v: number) => v],
    ["with what is below zero removed", { activation: "Relu" }, (v: number) => Math.max(v, 0)],
    ["clipped", { activation: "Clip", low: -1, high: 2 ** -100 }, (v: number) => Math.min(v, 2 ** -100)],
  ] as const)("%s", async (_, activation, expected) => {
    for (const kernel of ["sparse", "block4", "dense"] as const) {
      for (const build of ["simd", "relaxed-simd"] as const) {
        const session = await load(await encodePacked(graph(activation, kernel)), { build });
        const { y } = await session.run({ x: { data: x, dims: [1, 1, 2, 3] } });
        y!.data.forEach((value, i) => {
          expect(value === 0 || Math.abs(value) >= smallest, `${kernel} ${value}`).toBe(true);
          const exact = expected(x[i % 6]! * 2 ** (i < 6 ? -70 : -40));
          // By 2^-126 for the guard, and as much for a sum that becomes zero.
          expect(Math.abs(value - exact)).toBeLessThanOrEqual(2 * smallest);
          expect(i >= 6 && exact !== 0 && value === 0, `${exact} is lost`).toBe(false);
        });
      }
    }
  });
});
