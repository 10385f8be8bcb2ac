/** Which weights are not zero, told without branches: processors guess every other one wrong on a random mask. */

/** The bits of numbers. */
export function bitsOf(weights: Float32Array): Int32Array {
  return new Int32Array(weights.buffer, weights.byteOffset, weights.length);
}

/** 1 for the bits of a number that is neither 0 nor -0, else 0. */
export function isNonzero(bits: number): 0 | 1 {
  const size = bits << 1;
  return ((size | -size) >>> 31) as 0 | 1;
}

export function countNonzeros(weights: Float32Array): number {
  const bits = bitsOf(weights);
  let count = 0;
  for (let i = 0; i < bits.length; i++) count += isNonzero(bits[i]!);
  return count;
}
