/** Numbers that assembly/ knows kernels and functions by. */

export const kernels = {
  sparse: 0,
  block: 1,
  rows: 2,
  block4: 3,
  block16: 4,
  pool: 5,
  mean: 6,
  unary: 7,
  binary: 8,
  affine: 9,
  softmax: 10,
  layerNorm: 11,
  copy: 12,
} as const;

/** Functions of one number; products apply the first three as they store. */
export const functions = {
  Identity: 0,
  Relu: 1,
  Clip: 2,
  Silu: 3,
  Gelu: 4,
  Sigmoid: 5,
  Tanh: 6,
  HardSwish: 7,
  HardSigmoid: 8,
} as const;

/** The bits of a number as f32. */
export function realWord(value: number): number {
  reals[0] = value;
  return words[0]!;
}

const reals = new Float32Array(1);
const words = new Uint32Array(reals.buffer);
