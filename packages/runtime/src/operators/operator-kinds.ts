import { conv } from "./conv.ts";
import { binary, scaleShift, unary } from "./elementwise.ts";
import { gemm } from "./gemm.ts";
import { type OperatorKind, sameDims, shapeText } from "./operator.ts";
import { averagePool, globalAveragePool, maxPool } from "./pooling.ts";
import { concat, flatten, reshape, subsampleAndPad, transpose } from "./reshaping.ts";
import { layerNorm, softmax } from "./rows.ts";

/** Only to be folded: a model that runs has none left. */
const batchNormalization: OperatorKind = {
  inputs: [1, 1],
  tensors: [4, 4],
  dims(call) {
    const { dims } = call.inputs[0]!;
    const channels = dims.length === 4 ? dims[1]! : dims[dims.length - 1]!;
    for (const tensor of call.tensors) {
      if (!sameDims(tensor.dims, [channels]))
        call.refuse(`its tensor is ${shapeText(tensor.dims)} for ${channels} channels`);
    }
    return dims;
  },
  lower: (call) => call.refuse("its tensors do not fit each other"),
};

/** All operators that a packed network may have, by name. */
export const operatorKinds: Readonly<Record<string, OperatorKind>> = {
  Conv: conv,
  Gemm: gemm,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  Add: binary(false),
  Mul: binary(true),
  BatchNormalization: batchNormalization,
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
