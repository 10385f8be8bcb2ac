/**
 * Patterns that hardware reads: of every `of` units in a row at most `keep` stay, such as { keep: 2, of: 4 } of sparse tensor
 * cores (Mishra et al., Accelerating Sparse Deep Neural Networks, 2021).
 */

import { badPattern } from "../errors.ts";
import type { Mask } from "../problem/matrix.ts";
import type { Constraint } from "./constraint.ts";

/** A pattern over units in order. */
export interface KeepOfEverySpec {
  /** Number of units, >= 0. */
  readonly count: number;
  /** How many of each group stay, 0..of. */
  readonly keep: number;
  /** Units a group, >= 1. */
  readonly of: number;
  /** Units after which groups start anew, such as the columns of a layer's matrix; default: `count`. */
  readonly cols?: number | undefined;
  /** Units between two of a group, >= 1: the taps of a convolution, whose groups then run along its input channels. Default 1. */
  readonly stride?: number | undefined;
}

/**
 * Keep exactly `keep` of every `of` consecutive units, or of those a stride apart. A last group that is shorter counts as filled up with pruned units:
 * it keeps `keep` of its units, or all it has. Within a group the highest scores stay, ties to the lower index.
 * `select` costs O(count * of).
 *
 * @throws ERR_PATTERN unless 0 <= keep <= of, `count` is a whole number of rows and a row of strides
 * @example
 * const constraint = keepOfEvery({ count: 16, cols: 8, keep: 2, of: 4 });
 */
export function keepOfEvery(spec: KeepOfEverySpec): Constraint {
  const { count, keep, of, stride = 1 } = spec;
  const cols = spec.cols ?? Math.max(1, count);
  const isWhole = [count, keep, of, cols, stride].every((value) => Number.isInteger(value) && value >= 0);
  const isRow = of >= 1 && cols >= 1 && stride >= 1 && count % cols === 0 && cols % stride === 0;
  if (!isWhole || !isRow || keep > of) throw badPattern({ count, keep, of, cols });
  const groupsInRow = Math.ceil(cols / stride / of) * stride;
  const groups = (count / cols) * groupsInRow;
  // Groups of a row lie tap after tap within a stretch of `of` strides.
  const groupOf = (unit: number): number => {
    const place = unit % cols;
    return Math.floor(unit / cols) * groupsInRow + Math.floor(place / (of * stride)) * stride + (place % stride);
  };
  const startOf = (group: number): number => {
    const place = group % groupsInRow;
    return Math.floor(group / groupsInRow) * cols + Math.floor(place / stride) * of * stride + (place % stride);
  };
  const endOf = (group: number): number =>
    Math.min(startOf(group) + of * stride, (Math.floor(group / groupsInRow) + 1) * cols);
  const keptOf = (mask: Mask): Uint32Array => {
    const kept = new Uint32Array(groups);
    for (let unit = 0; unit < count; unit++) kept[groupOf(unit)]! += mask[unit]!;
    return kept;
  };
  return {
    kind: `keep-${keep}-of-${of}`,
    ...(stride === 1 ? { pattern: { keep, of, cols } } : {}),
    select(score) {
      const mask = new Uint8Array(count);
      const value = (unit: number): number => (Number.isNaN(score[unit]!) ? Number.NEGATIVE_INFINITY : score[unit]!);
      for (let group = 0; group < groups; group++) {
        const end = endOf(group);
        for (let unit = startOf(group); unit < end; unit += stride) {
          let better = 0;
          for (let other = startOf(group); other < end; other += stride) {
            if (value(other) > value(unit) || (value(other) === value(unit) && other < unit)) better++;
          }
          if (better < keep) mask[unit] = 1;
        }
      }
      return mask;
    },
    violation: (mask) => keptOf(mask).reduce((sum, kept) => sum + Math.max(0, kept - keep), 0),
    relax: (factor) => keepOfEvery({ ...spec, keep: Math.min(of, Math.ceil(keep * factor)) }),
    canSwap: (mask) => (out, into) => mask[out] === 1 && mask[into] === 0 && groupOf(out) === groupOf(into),
  };
}
