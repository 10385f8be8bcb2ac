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
}

/**
 * Keep exactly `keep` of every `of` consecutive units. A last group that is shorter counts as filled up with pruned units:
 * it keeps `keep` of its units, or all it has. Within a group the highest scores stay, ties to the lower index.
 * `select` costs O(count * of).
 *
 * @throws ERR_PATTERN unless 0 <= keep <= of and `count` is a whole number of rows
 * @example
 * const constraint = keepOfEvery({ count: 16, cols: 8, keep: 2, of: 4 });
 */
export function keepOfEvery(spec: KeepOfEverySpec): Constraint {
  const { count, keep, of } = spec;
  const cols = spec.cols ?? Math.max(1, count);
  const isWhole = [count, keep, of, cols].every((value) => Number.isInteger(value) && value >= 0);
  if (!isWhole || of < 1 || keep > of || cols < 1 || count % cols !== 0) throw badPattern({ count, keep, of, cols });
  const groupsInRow = Math.ceil(cols / of);
  const groups = (count / cols) * groupsInRow;
  const groupOf = (unit: number): number => Math.floor(unit / cols) * groupsInRow + Math.floor((unit % cols) / of);
  const startOf = (group: number): number => Math.floor(group / groupsInRow) * cols + (group % groupsInRow) * of;
  const endOf = (group: number): number => Math.min(startOf(group) + of, (Math.floor(group / groupsInRow) + 1) * cols);
  const keptOf = (mask: Mask): Uint32Array => {
    const kept = new Uint32Array(groups);
    for (let unit = 0; unit < count; unit++) kept[groupOf(unit)]! += mask[unit]!;
    return kept;
  };
  return {
    kind: `keep-${keep}-of-${of}`,
    pattern: { keep, of, cols },
    select(score) {
      const mask = new Uint8Array(count);
      const value = (unit: number): number => (Number.isNaN(score[unit]!) ? Number.NEGATIVE_INFINITY : score[unit]!);
      for (let group = 0; group < groups; group++) {
        const end = endOf(group);
        for (let unit = startOf(group); unit < end; unit++) {
          let better = 0;
          for (let other = startOf(group); other < end; other++) {
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
