/**
 * What a product takes by each kernel, in nanoseconds on one thread: a share for every output (or block of outputs) and tile of positions,
 * and one for every tap in it. Over planes a tile has up to `tilePositions`; `rows`, `block4` and `block16` are
 * products with one vector, in which a tap is one feature of 1, 4 or 16 outputs.
 */
import type { KernelName, PackedOperator, WeightTensor } from "../file/packed-model.ts";
import { type DepthwiseShape, isStridedDepthwise } from "../operators/products/depthwise.ts";
import { tilePositions } from "../plan/kernel-numbers.ts";

/** Costs of one kernel, in nanoseconds. */
export interface KernelCost {
  readonly row: number;
  readonly tap: number;
}

/** Costs of one machine. */
export interface CostTable {
  readonly sparse: KernelCost;
  readonly block: KernelCost;
  readonly rows: KernelCost;
  readonly block4: KernelCost;
  readonly block16: KernelCost;
  /** One number of any other operator. */
  readonly number: number;
}

/** Measured by `calibrate` on a core of an x86-64 server with other work on it (relaxed SIMD, Node 24). Ratios differ less than machines do. */
export const defaultCosts: CostTable = {
  sparse: { row: 39, tap: 3.9 },
  block: { row: 63, tap: 3.95 },
  rows: { row: 4, tap: 0.45 },
  block4: { row: 21, tap: 0.69 },
  block16: { row: 37, tap: 2.1 },
  number: 1.4,
};

/** How a product can be run: so many milliseconds whatever is kept, and more for every tap of `outputs` neighbouring outputs of which any weight is. */
export interface KernelWay {
  readonly kernel: KernelName;
  readonly fixed: number;
  readonly each: number;
  readonly outputs: number;
  /** Outputs that it computes at a time: of fewer it takes as long. */
  readonly block: number;
}

/**
 * Every kernel that can run a product, and what it takes.
 *
 * @param dims - of the weights: outputs first
 * @param outDims - of its output, for one example
 */
export function kernelWays(
  operator: PackedOperator,
  dims: readonly number[],
  outDims: readonly number[],
  costs: CostTable,
): readonly KernelWay[] {
  const outputs = dims[0]!;
  const taps = product(dims) / outputs;
  const positions = product(outDims) / outputs;
  const way = (
    kernel: KernelName,
    { row, tap }: KernelCost,
    spec: { outputs: number; tiles: number; isDense?: boolean },
  ): KernelWay => {
    const blocks = Math.ceil(outputs / spec.outputs);
    const each = (spec.tiles * tap) / 1e6;
    const fixed = (spec.tiles * blocks * row) / 1e6;
    return spec.isDense
      ? { kernel, fixed: fixed + blocks * taps * each, each: 0, outputs: 1, block: spec.outputs }
      : { kernel, fixed, each, outputs: spec.outputs, block: spec.outputs };
  };
  if (operator.op !== "Conv" && positions === 1) {
    return [
      way("dense", costs.block16, { outputs: 16, tiles: 1, isDense: true }),
      way("sparse", costs.rows, { outputs: 1, tiles: 1 }),
      way("block4", costs.block4, { outputs: 4, tiles: 1 }),
      way("block16", costs.block16, { outputs: 16, tiles: 1 }),
    ];
  }
  const group = (operator.attributes["group"] as number | undefined) ?? 1;
  // Zeros take as long there.
  if (isStridedDepthwise(depthwiseShape(operator, dims), outDims))
    return [
      way("dense", costs.sparse, { outputs: 1, tiles: fullTiles(positions, tilePositions.sparse), isDense: true }),
    ];
  const [tiles, blockTiles] = [fullTiles(positions, tilePositions.sparse), fullTiles(positions, tilePositions.block)];
  const sparse = way("sparse", costs.sparse, { outputs: 1, tiles });
  if (group > 1 && (outputs / group) % 4 !== 0) {
    return [way("dense", costs.sparse, { outputs: 1, tiles, isDense: true }), sparse];
  }
  return [
    way("dense", costs.block, { outputs: 4, tiles: blockTiles, isDense: true }),
    sparse,
    way("block4", costs.block, { outputs: 4, tiles: blockTiles }),
  ];
}

/** What tells depthwise convolutions from others; no weights of a matrix are any. */
function depthwiseShape({ op, attributes }: PackedOperator, dims: readonly number[]): DepthwiseShape {
  const { group = 1, strides = [1, 1], dilations = [1, 1] } = attributes as Partial<DepthwiseShape>;
  return { outputs: dims[0]!, inGroup: op === "Conv" ? dims[1]! : 0, group, strides, dilations };
}

/** A tap takes at least this share of what it takes in a full tile, as Silero VAD's convolutions of 1 to 4 positions took: the next one waits for its sum. */
const leastShare = 0.36;

/** How many full tiles take as long as the tiles of so many positions. */
function fullTiles(positions: number, perTile: number): number {
  const tiles = Math.ceil(positions / perTile);
  return Math.max(tiles * leastShare, positions / perTile);
}

/** A kernel and what it would take. */
export interface KernelTime {
  readonly kernel: KernelName;
  readonly ms: number;
}

/** Every kernel that can run a product, and its expected time with these weights. @param outDims - of its output, for one example */
export function kernelTimes(
  operator: PackedOperator,
  { dims, data }: WeightTensor,
  outDims: readonly number[],
  costs: CostTable,
): readonly KernelTime[] {
  const outputs = dims[0]!;
  const taps = data.length / outputs;
  return kernelWays(operator, dims, outDims, costs).map(({ kernel, fixed, each, outputs: rows }) => {
    return { kernel, ms: each === 0 ? fixed : fixed + each * keptBlocks(data, { outputs, taps, rows }) };
  });
}

function product(extents: readonly number[]): number {
  return extents.reduce((all, extent) => all * extent, 1);
}

/** Taps of which at least one of `rows` outputs in a block keeps its weight. */
function keptBlocks(
  data: Float32Array,
  spec: { readonly outputs: number; readonly taps: number; readonly rows: number },
): number {
  const { outputs, taps, rows } = spec;
  let kept = 0;
  for (let first = 0; first < outputs; first += rows) {
    const last = Math.min(first + rows, outputs);
    for (let tap = 0; tap < taps; tap++) {
      let isKept = false;
      for (let o = first; o < last && !isKept; o++) isKept = data[o * taps + tap] !== 0;
      if (isKept) kept++;
    }
  }
  return kept;
}
