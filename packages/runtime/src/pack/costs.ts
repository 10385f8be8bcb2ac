/**
 * What a product takes by each kernel, in nanoseconds on one thread: a share for every output (or block of outputs) and tile of positions,
 * and one for every tap in it. Over planes a tile has up to 32 positions by `sparse`, 12 by `block`; `rows`, `block4` and `block16` are
 * products with one vector, in which a tap is one feature of 1, 4 or 16 outputs.
 */
import type { KernelName, PackedOperator, WeightTensor } from "../file/packed-model.ts";

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
  sparse: { row: 18, tap: 2.35 },
  block: { row: 32, tap: 3.8 },
  rows: { row: 7, tap: 0.5 },
  block4: { row: 14, tap: 0.55 },
  block16: { row: 30, tap: 1.55 },
  number: 0.9,
};

/** A kernel and what it would take. */
export interface KernelTime {
  readonly kernel: KernelName;
  readonly ms: number;
}

/**
 * Every kernel that can run a product, and its expected time.
 *
 * @param outDims - of its output, for one example
 */
export function kernelTimes(
  operator: PackedOperator,
  weights: WeightTensor,
  outDims: readonly number[],
  costs: CostTable,
): readonly KernelTime[] {
  const { dims, data } = weights;
  const outputs = dims[0]!;
  const taps = data.length / outputs;
  const isConv = operator.op === "Conv";
  const positions = outDims.reduce((product, extent) => product * extent, 1) / outputs;
  const count = (rows: number): number => keptBlocks(data, { outputs, taps, rows });
  const time = ({ row, tap }: KernelCost, spec: { rows: number; kept: number; tiles: number }): number =>
    (spec.tiles * (spec.rows * row + spec.kept * tap)) / 1e6;
  if (!isConv && positions === 1) {
    const byBlocks = (rows: number, kept: number) => ({ rows: Math.ceil(outputs / rows), kept, tiles: 1 });
    return [
      { kernel: "dense", ms: time(costs.block16, byBlocks(16, Math.ceil(outputs / 16) * taps)) },
      { kernel: "sparse", ms: time(costs.rows, byBlocks(1, count(1))) },
      { kernel: "block4", ms: time(costs.block4, byBlocks(4, count(4))) },
      { kernel: "block16", ms: time(costs.block16, byBlocks(16, count(16))) },
    ];
  }
  const group = (operator.attributes["group"] as number | undefined) ?? 1;
  const sparse = (kept: number): number => time(costs.sparse, { rows: outputs, kept, tiles: positions / 32 });
  if (group > 1 && (outputs / group) % 4 !== 0)
    return [
      { kernel: "dense", ms: sparse(data.length) },
      { kernel: "sparse", ms: sparse(count(1)) },
    ];
  const block = (kept: number): number =>
    time(costs.block, { rows: Math.ceil(outputs / 4), kept, tiles: positions / 12 });
  return [
    { kernel: "dense", ms: block(Math.ceil(outputs / 4) * taps) },
    { kernel: "sparse", ms: sparse(count(1)) },
    { kernel: "block4", ms: block(count(4)) },
  ];
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
