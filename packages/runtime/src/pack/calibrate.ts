/** Measures what kernels take on this machine. */

import type { KernelName } from "../file/packed-model.ts";
import { tilePositions } from "../plan/kernel-numbers.ts";
import { load } from "../session.ts";
import type { CostTable, KernelCost } from "./costs.ts";
import { encodePacked } from "./encode-packed.ts";
import type { PackGraph } from "./pack-graph.ts";

/** Runs of each measurement; the median counts. */
const runs = 41;
/** Side of the images and channels of the convolution, features of the matrix: they fit a second-level cache. */
const [side, channels, features] = [16, 64, 384];

/**
 * The costs of this machine: every kernel at two sparsities, which tell a row's share from a tap's. Takes about a second; other work on
 * the machine disturbs it.
 */
export async function calibrate(): Promise<CostTable> {
  const tiles = (side * side) / tilePositions.sparse;
  const sparse = await fit({ make: convolution, kernel: "sparse", rows: channels, perBlock: 1, scale: tiles });
  const block = await fit({
    make: convolution,
    kernel: "block4",
    rows: channels / 4,
    perBlock: 4,
    scale: (side * side) / tilePositions.block,
  });
  const rows = await fit({ make: matrix, kernel: "sparse", rows: features, perBlock: 1, scale: 1 });
  const block4 = await fit({ make: matrix, kernel: "block4", rows: features / 4, perBlock: 4, scale: 1 });
  const block16 = await fit({ make: matrix, kernel: "block16", rows: features / 16, perBlock: 16, scale: 1 });
  const numbers = channels * side * side;
  return { sparse, block, rows, block4, block16, number: (1e6 * (await measure(activation))) / numbers };
}

type Weights = { readonly dims: readonly number[]; readonly data: Float32Array };

async function fit(spec: {
  readonly make: (kernel: KernelName, kept: number, perBlock: number) => { graph: PackGraph; taps: number };
  readonly kernel: KernelName;
  readonly rows: number;
  readonly perBlock: number;
  readonly scale: number;
}): Promise<KernelCost> {
  const { make, kernel, rows, perBlock, scale } = spec;
  const [few, many] = [make(kernel, 0.05, perBlock), make(kernel, 0.4, perBlock)];
  const [short, long] = [await measure(few.graph), await measure(many.graph)].map((ms) => (1e6 * ms) / scale) as [
    number,
    number,
  ];
  const tap = Math.max(0, (long - short) / (many.taps - few.taps));
  return { row: Math.max(0, (short - tap * few.taps) / rows), tap };
}

async function measure(graph: PackGraph): Promise<number> {
  const session = await load(await encodePacked(graph, { compression: "none" }));
  const dims = session.dims["x"]!;
  const data = new Float32Array(dims.reduce((product, extent) => product * extent, 1)).fill(0.5);
  await session.run({ x: { data, dims } });
  // The first runs are slower: the engine still compiles.
  session.profile({ runs });
  const ms = session.profile({ runs }).reduce((sum, time) => sum + time.ms, 0);
  await session.close();
  return ms;
}

/** Blocks of `perBlock` outputs, a share of them kept: evenly strewn, the same every time. */
function strewn(dims: readonly number[], kept: number, perBlock: number): { weights: Weights; taps: number } {
  const [outputs] = dims as readonly [number];
  const length = dims.slice(1).reduce((product, extent) => product * extent, 1);
  const data = new Float32Array(outputs * length);
  let [state, taps] = [1, 0];
  for (let block = 0; block < outputs / perBlock; block++) {
    for (let tap = 0; tap < length; tap++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      if (state / 2 ** 32 >= kept) continue;
      taps++;
      for (let o = 0; o < perBlock; o++) data[(block * perBlock + o) * length + tap] = 0.01;
    }
  }
  return { weights: { dims, data }, taps };
}

function convolution(kernel: KernelName, kept: number, perBlock: number): { graph: PackGraph; taps: number } {
  const { weights, taps } = strewn([channels, channels, 3, 3], kept, perBlock);
  const attributes = { pads: [1, 1, 1, 1] };
  const operator = { op: "Conv", name: "conv", inputs: ["x"], tensors: ["w"], output: "y", attributes, kernel };
  const dims = [1, channels, side, side];
  return {
    graph: {
      inputs: [{ name: "x", dims }],
      outputs: [{ name: "y", dims }],
      operators: [operator],
      tensors: new Map([["w", weights]]),
    },
    taps,
  };
}

function matrix(kernel: KernelName, kept: number, perBlock: number): { graph: PackGraph; taps: number } {
  const { weights, taps } = strewn([features, features], kept, perBlock);
  const operator = { op: "Gemm", name: "fc", inputs: ["x"], tensors: ["w"], output: "y", attributes: {}, kernel };
  const dims = [1, features];
  return {
    graph: {
      inputs: [{ name: "x", dims }],
      outputs: [{ name: "y", dims }],
      operators: [operator],
      tensors: new Map([["w", weights]]),
    },
    taps,
  };
}

const activation: PackGraph = {
  inputs: [{ name: "x", dims: [1, channels, side, side] }],
  outputs: [{ name: "y", dims: [1, channels, side, side] }],
  operators: [{ op: "Relu", name: "relu", inputs: ["x"], tensors: [], output: "y", attributes: {} }],
  tensors: new Map(),
};
