/** Units of several weights: blocks and channels of a layer's matrix, or any disjoint groups. */
import { badGroups } from "../errors.ts";
import type { Vec } from "../problem/matrix.ts";
import type { Units } from "./units.ts";

/**
 * Units that each own some weights; every weight belongs to exactly one. `reduce` sums in f64.
 *
 * @param spec.size - number of weights
 * @param spec.groups - flat indices of each unit, ascending; kept, not copied
 * @param spec.costs - what keeping each unit costs; default: `params`, its number of weights
 * @throws ERR_GROUPS when a weight is in no group or in two
 */
export function groupUnits(spec: {
  size: number;
  groups: readonly Uint32Array[];
  costs?: Readonly<Record<string, Vec>>;
}): Units {
  const { size, groups } = spec;
  const owner = new Int32Array(size).fill(-1);
  for (const [unit, indices] of groups.entries()) {
    for (const index of indices) {
      if (index >= size || owner[index] !== -1) throw badGroups({ index, size, times: index < size ? 2 : 0 });
      owner[index] = unit;
    }
  }
  const orphan = owner.indexOf(-1);
  if (orphan >= 0) throw badGroups({ index: orphan, size, times: 0 });
  return {
    count: groups.length,
    perWeight: false,
    indices: (unit) => groups[unit]!,
    reduce(perWeight) {
      const sums = new Float64Array(groups.length);
      for (let index = 0; index < size; index++) sums[owner[index]!]! += perWeight[index]!;
      return sums;
    },
    costs: spec.costs ?? { params: Float64Array.from(groups, ({ length }) => length) },
  };
}

/**
 * Blocks of `height` x `width` of a matrix [rows, cols], row of blocks after row of blocks; those at the right and lower
 * edges may be smaller.
 *
 * @example
 * const units = blockUnits({ rows: 40, cols: 784, height: 4, width: 1 });
 */
export function blockUnits(spec: { rows: number; cols: number; height: number; width: number }): Units {
  const { rows, cols, height, width } = spec;
  const across = Math.ceil(cols / width);
  return groupedBy(rows * cols, Math.ceil(rows / height) * across, (index) => {
    const row = Math.floor(index / cols);
    return Math.floor(row / height) * across + Math.floor((index % cols) / width);
  });
}

/**
 * Channels of a layer's canonical matrix [out, in * kernel]: its output channels (rows), or its input channels.
 *
 * @param spec.rows - out, the output channels
 * @param spec.cols - in * kernel
 * @param spec.kernel - weights of one input channel in a row, kh * kw; default 1, a dense layer
 */
export function channelUnits(spec: { rows: number; cols: number; axis: "out" | "in"; kernel?: number }): Units {
  const { rows, cols, axis, kernel = 1 } = spec;
  if (axis === "out") return groupedBy(rows * cols, rows, (index) => Math.floor(index / cols));
  return groupedBy(rows * cols, Math.ceil(cols / kernel), (index) => Math.floor((index % cols) / kernel));
}

function groupedBy(size: number, count: number, unitOf: (index: number) => number): Units {
  const groups: number[][] = Array.from({ length: count }, () => []);
  for (let index = 0; index < size; index++) groups[unitOf(index)]!.push(index);
  return groupUnits({ size, groups: groups.map((indices) => Uint32Array.from(indices)) });
}
