import { conv } from "./conv.ts";
import { binary, scaleShift, unary } from "./elementwise.ts";
import { gemm } from "./gemm.ts";
import type { OperatorKind } from "./operator.ts";
import { averagePool, globalAveragePool, maxPool } from "./pooling.ts";
import { concat, flatten, reshape, subsampleAndPad, transpose } from "./reshaping.ts";
import { layerNorm, softmax } from "./rows.ts";

/** All operators that a packed network may have, by name. */
export const operatorKinds: Readonly<Record<string, OperatorKind>> = {
  Conv: conv,
  Gemm: gemm,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  Add: binary(false),
  Mul: binary(true),
  ScaleShift: scaleShift,
  Relu: unary("Relu"),
  Clip: unary("Clip"),
  Silu: unary("Silu"),
  Gelu: unary("Gelu"),
  Sigmoid: unary("Sigmoid"),
  Tanh: unary("Tanh"),
  HardSwish: unary("HardSwish"),
  HardSigmoid: unary("HardSigmoid"),
  Softmax: softmax(false),
  LogSoftmax: softmax(true),
  LayerNormalization: layerNorm,
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Concat: concat,
  SubsampleAndPad: subsampleAndPad,
};
