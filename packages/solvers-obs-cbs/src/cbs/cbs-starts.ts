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

/** The feasible mask of largest H_jj w_j^2 (OBD's saliency): the minimiser of the combinatorial objective if H were diagonal. */
export function saliencyStart({ own, problem: { constraint, units } }: CbsModel): Mask {
  return constraint.select(units.reduce(own));
}

/** Most chunks of a partition. */
const mostChunks = 1000;

/** A random magnitude partition with as many kept weights as the magnitude start; needs a constraint that only counts. */
export function partitionStart(problem: Problem, rng: Rng): Mask {
  const { w, units, constraint } = problem;
  const { keep, eligible } = constraint.count ?? { keep: countKept(magnitudeStart(problem)), eligible: undefined };
  const drawn = sampleIndices(units.count, units.count, rng);
  const shuffled = eligible ? drawn.filter((j) => eligible[j] === 1) : drawn;
  const chunks = Math.max(1, Math.min(Math.floor(Math.sqrt(shuffled.length)), mostChunks));
  const size = Math.floor(shuffled.length / chunks);
  const mask = new Uint8Array(units.count);
  let left = Math.min(keep, shuffled.length);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const isLast = chunk === chunks - 1;
    const members = shuffled.slice(chunk * size, isLast ? undefined : (chunk + 1) * size);
    const share = isLast ? left : Math.min(left, Math.ceil((members.length * keep) / shuffled.length));
    members.sort((a, b) => Math.abs(w.data[b]!) - Math.abs(w.data[a]!) || a - b);
    for (const j of members.subarray(0, share)) mask[j] = 1;
    left -= Math.min(share, members.length);
  }
  return mask;
}
