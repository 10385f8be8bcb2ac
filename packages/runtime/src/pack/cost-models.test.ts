import { bindBudget, layoutParams, referenceKernels } from "@secateur/core";
import { createNetwork, mlp, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
import { costModels, type DenseCost, denseCosts } from "./cost-models.ts";
import { defaultCosts, kernelTimes } from "./costs.ts";
import { type LayeredNetwork, lowerNetwork } from "./lower-network.ts";
import type { PackGraph } from "./pack-graph.ts";
import { packGraph } from "./pack-graph-file.ts";

const convolutional: NetworkSpec = {
  ...{ name: "small", inputShape: [8, 6, 6], classes: 3 },
  layers: [
    { kind: "conv2d", name: "conv", in: 8, out: 16, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "norm", channels: 16 },
    { kind: "relu" },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 16, out: 3, bias: true },
  ],
};

/** Bytes of masks and values, as a file's prefix says. */
function streamBytes(file: Uint8Array): number {
  const view = new DataView(file.buffer);
  return view.getUint32(16, true) + view.getUint32(20, true);
}

test("a budget's bytes and milliseconds are those that packing the pruned network gives", async () => {
  for (const spec of [mlp({ sizes: [40, 48, 3] }), convolutional]) {
    for (const values of ["f32", "int8"] as const) {
      const network = createNetwork(spec, { seed: 1 });
      const graphOf = (): PackGraph => {
        const tensors = network.tensors().map(({ name, shape, data }) => {
          return [name, { dims: shape, data: Float32Array.from(data) }] as const;
        });
        return lowerNetwork(network.spec as LayeredNetwork, new Map(tensors));
      };
      const params = layoutParams(network);
      const limits = [
        { kind: "bytes", amount: 0.6 },
        { kind: "milliseconds", amount: 0.95 },
      ] as const;
      const bound = bindBudget({ limits, costs: costModels(graphOf(), { values }) }, params);
      const score = Float64Array.from({ length: bound.units.count }, (_, u) => (7 * u) % 11);
      const mask = bound.constraint(bound.sparsity, referenceKernels).select(score);
      const [bytes, milliseconds] = bound.reached(mask);
      expect(bytes!.reached).toBeLessThanOrEqual(0.6);
      expect(milliseconds!.reached).toBeLessThanOrEqual(0.95);
      const stored = { values, compression: "none" } as const;
      const dense = await packGraph(graphOf(), { ...stored, masks: false });
      for (const { name, start, size } of params) {
        const { data } = network.weights.get(name)!;
        for (let j = 0; j < size; j++) data[j] = mask[start + j] === 1 ? 1 + j : 0;
      }
      const pruned = await packGraph(graphOf(), stored);
      // Sums of fractions of bytes and of nanoseconds.
      expect(bytes!.reached * streamBytes(dense.bytes)).toBeCloseTo(streamBytes(pruned.bytes), 6);
      const ms = (layers: typeof pruned.layers): number => layers.reduce((sum, layer) => sum + layer.expectedMs, 0);
      expect(milliseconds!.reached * ms(dense.layers)).toBeCloseTo(ms(pruned.layers), 9);
    }
  }
});

test("what dense kernels cost a weight and an output is what a narrower network's cost, by their ways", () => {
  const shapes = { wide: [40, 48, 3], narrow: [40, 23, 3] } as const;
  const graphOf = (sizes: readonly number[]): PackGraph => {
    const network = createNetwork(mlp({ sizes }), { seed: 1 });
    const tensors = network.tensors().map(({ name, shape, data }) => {
      return [name, { dims: shape, data: Float32Array.from(data) }] as const;
    });
    return lowerNetwork(network.spec as LayeredNetwork, new Map(tensors));
  };
  const [wide, narrow] = [denseCosts(graphOf(shapes.wide)), costModels(graphOf(shapes.narrow))];
  for (const kind of ["bytes", "milliseconds"] as const) {
    const [outputs, inputs] = [shapes.narrow[1], shapes.narrow[0]];
    const [{ weight, output, block }] = Object.values(wide[kind].params)[0] as [DenseCost];
    expect(block).toBe(kind === "bytes" ? 1 : 16);
    const taken = Math.ceil(outputs / block) * block;
    const scales = kind === "bytes" ? 4 * outputs : 0; // costModels have scales among the others
    const [way] = Object.values(narrow[kind].params)[0]!;
    expect(weight * taken * inputs + output * taken - scales, kind).toBeCloseTo(way!.fixed, 9); // sums in another order
  }
});

test("a convolution of one position needs more zeros to run sparse than one of many", () => {
  const dims = [32, 32, 1, 1];
  const fastest = (side: number, sparsity: number): string => {
    const data = Float32Array.from({ length: 1024 }, (_, i) => Number((i * 617) % 1000 >= 1000 * sparsity));
    const operator = { op: "Conv", name: "c", inputs: ["x"], tensors: ["w"], output: "y", attributes: {} };
    const times = kernelTimes(operator, { dims, data }, [1, 32, side, side], defaultCosts);
    return times.reduce((least, time) => (time.ms < least.ms ? time : least)).kernel;
  };
  // Of many positions sparse products are as fast a weight as dense ones; of one, a tap waits for the one before.
  expect([fastest(1, 0), fastest(1, 0.5), fastest(40, 0.5), fastest(40, 0.98)]).toEqual([
    "dense",
    "dense",
    "sparse",
    "sparse",
  ]);
});

test("zeros of a depthwise convolution save time without strides alone, as its kernel with strides computes them", () => {
  const dims = [8, 1, 3, 3];
  const timesOf = (stride: number, isPruned: boolean) => {
    const data = Float32Array.from({ length: 72 }, (_, i) => Number(!isPruned || i % 9 === 0));
    const attributes = { group: 8, strides: [stride, stride], pads: [1, 1, 1, 1] };
    const operator = { op: "Conv", name: "c", inputs: ["x"], tensors: ["w"], output: "y", attributes };
    return kernelTimes(operator, { dims, data }, [1, 8, 16, 16], defaultCosts);
  };
  const least = (times: ReturnType<typeof timesOf>): number => Math.min(...times.map(({ ms }) => ms));
  expect(timesOf(2, true)).toEqual(timesOf(2, false));
  expect(timesOf(2, true).map(({ kernel }) => kernel)).toEqual(["dense"]);
  expect(least(timesOf(1, true))).toBeLessThan(0.6 * least(timesOf(1, false)));
});
