/** Class probabilities softmax(scores / temperature), and the factor of the cross-entropy's Hessian in the scores that they give. */
import type { Rng } from "../../rng.ts";

/** Probabilities below this count as zero: their products would be subnormal numbers, on which processors are slow. */
const negligible = 1e-18;

/**
 * softmax(scores / temperature) of every run of `classes` numbers, in f64. Entries below 1e-18 become 0.
 *
 * @param temperature - > 0; default 1
 */
export function softmaxRows(scores: ArrayLike<number>, classes: number, temperature = 1): Float64Array {
  const out = new Float64Array(scores.length);
  for (let start = 0; start < out.length; start += classes) {
    const end = start + classes;
    let most = Number.NEGATIVE_INFINITY;
    for (let c = start; c < end; c++) most = Math.max(most, scores[c]!);
    let sum = 0;
    for (let c = start; c < end; c++) {
      out[c] = Math.exp((scores[c]! - most) / temperature);
      sum += out[c]!;
    }
    for (let c = start; c < end; c++) {
      const p = out[c]! / sum;
      out[c] = p < negligible ? 0 : p;
    }
  }
  return out;
}

/** Places of the largest of every run of `classes` numbers; a tie goes to the lower class. */
export function largestOfRows(scores: ArrayLike<number>, classes: number): Uint32Array {
  return Uint32Array.from({ length: scores.length / classes }, (_, row) => {
    let best = 0;
    for (let c = 1; c < classes; c++) {
      if (scores[row * classes + c]! > scores[row * classes + best]!) best = c;
    }
    return best;
  });
}

/** A class drawn from the probabilities p[start ... start + classes). */
export function drawClass(
  p: ArrayLike<number>,
  { start, classes }: { start: number; classes: number },
  rng: Rng,
): number {
  let rest = rng.next();
  let label = 0;
  while (label < classes - 1 && rest >= p[start + label]!) rest -= p[start + label++]!;
  return label;
}
