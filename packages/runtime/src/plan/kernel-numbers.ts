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
  broadcast: 13,
  matrix: 14,
  gather: 15,
  reduce: 16,
  depthwise: 17,
  paired: 18,
} as const;

/** Positions of planes that one output, or a block of four, holds in registers. */
export const tilePositions = { sparse: 40, block: 12 } as const;

/** Functions of one number, which products apply as they store. */
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
  Sqrt: 9,
  Exp: 10,
  Log: 11,
  Abs: 12,
  Reciprocal: 13,
  Erf: 14,
  Softplus: 15,
  LeakyRelu: 16,
  Elu: 17,
  Mish: 18,
  Floor: 19,
  Ceil: 20,
  Round: 21,
} as const;

/** Operations of two numbers. */
export const operations = { Add: 0, Mul: 1, Sub: 2, Div: 3, Min: 4, Max: 5, Keep: 6 } as const;

/** What is made of a position's features. */
export const reductions = { ReduceMean: 0, ReduceSum: 1, ReduceMax: 2, ReduceMin: 3 } as const;

/** The bits of a number as f32. */
export function realWord(value: number): number {
  reals[0] = value;
  return words[0]!;
}

const reals = new Float32Array(1);
const words = new Uint32Array(reals.buffer);
