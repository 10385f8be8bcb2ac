/**
 * Masks for CBS-S to start from (Yu et al. 2022, section 4.1): the largest magnitudes, and random magnitude partitions (RMP):
 * shuffle the weights, cut them into chunks and keep the same fraction of the largest magnitudes in each. Departures: |w|
 * everywhere (the public code's magnitude start compares w itself), and every start keeps exactly as many weights as the
 * constraint (there the last chunk takes what is left, as here).
 */
import { countKept, type Mask, magnitudes, type Problem, type Rng, sampleIndices } from "@secateur/core";
import type { CbsModel } from "./cbs-model.ts";

/** The feasible mask of largest magnitudes. */
export function magnitudeStart({ constraint, units, w }: Problem): Mask {
  return constraint.select(units.reduce(magnitudes(w.data, constraint)));
}

/** The feasible mask of largest w_u' H_uu w_u (of single weights OBD's saliency): the minimiser of the combinatorial objective if units did not interact. */
export function saliencyStart({ own, problem: { constraint } }: CbsModel): Mask {
  return constraint.select(own);
}

/** Most chunks of a partition. */
const mostChunks = 1000;

/**
 * A random magnitude partition with as many kept units as the magnitude start. Where a budget does more than count them, the feasible mask that keeps most of what
 * the partition keeps.
 */
export function partitionStart(problem: Problem, rng: Rng): Mask {
  const { w, units, constraint } = problem;
  const { keep, eligible } = constraint.count ?? { keep: countKept(magnitudeStart(problem)), eligible: undefined };
  const drawn = sampleIndices(units.count, units.count, rng);
  const shuffled = eligible ? drawn.filter((j) => eligible[j] === 1) : drawn;
  const chunks = Math.max(1, Math.min(Math.floor(Math.sqrt(shuffled.length)), mostChunks));
  const size = Math.floor(shuffled.length / chunks);
  const mask = new Uint8Array(units.count);
  const score = units.reduce(magnitudes(w.data, constraint));
  let left = Math.min(keep, shuffled.length);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const isLast = chunk === chunks - 1;
    const members = shuffled.slice(chunk * size, isLast ? undefined : (chunk + 1) * size);
    const share = isLast ? left : Math.min(left, Math.ceil((members.length * keep) / shuffled.length));
    members.sort((a, b) => score[b]! - score[a]! || a - b);
    for (const j of members.subarray(0, share)) mask[j] = 1;
    left -= Math.min(share, members.length);
  }
  if (constraint.count) return mask;
  let largest = 0;
  for (let unit = 0; unit < score.length; unit++) largest = Math.max(largest, score[unit]!);
  return constraint.select(Float64Array.from(score, (value, unit) => value / (largest || 1) + mask[unit]!));
}
