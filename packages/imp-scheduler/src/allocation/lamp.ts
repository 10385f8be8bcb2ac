/**
 * Layer-adaptive magnitude pruning (Lee, Park, Mo, Ahn, Shin 2021): a weight's score is w_u^2 over the sum of w_v^2 of the weights of
 * its layer that are not smaller; the k highest of the whole network are kept. A layer's largest weight has score 1, so
 * no layer vanishes before k reaches the number of layers.
 */
import type { LayerInfo, Vec } from "@secateur/core";

/** The scores [p] of flat weights [p]; of equal weights the one of higher index counts as smaller. O(p log p). */
export function lampScores(weights: Vec, layers: readonly LayerInfo[]): Float64Array {
  const scores = new Float64Array(weights.length);
  for (const { start, size } of layers) {
    const order = Uint32Array.from({ length: size }, (_, i) => start + i).sort(
      (a, b) => Math.abs(weights[b]!) - Math.abs(weights[a]!) || a - b,
    );
    let sum = 0;
    for (const j of order) {
      const square = weights[j]! ** 2;
      sum += square;
      scores[j] = sum === 0 ? 0 : square / sum;
    }
  }
  return scores;
}
