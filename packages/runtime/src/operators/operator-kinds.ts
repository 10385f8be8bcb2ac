import { binary, scaleShift, unary } from "./elementwise.ts";
import { constant, gather } from "./gathering.ts";
import { type OperatorKind, sameDims, shapeText } from "./operator.ts";
import { averagePool, globalAveragePool, maxPool } from "./pooling.ts";
import { conv } from "./products/conv.ts";
import { gemm } from "./products/gemm.ts";
import { matMul } from "./products/matrix.ts";
import { concat, expand, flatten, pad, reshape, slice, subsampleAndPad, transpose } from "./reshaping.ts";
import { layerNorm, reduce, softmax } from "./rows.ts";

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
  MatMul: matMul,
  Gather: gather,
  Constant: constant,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  Add: binary("Add"),
  Mul: binary("Mul"),
  Sub: binary("Sub"),
  Div: binary("Div"),
  Min: binary("Min"),
  Max: binary("Max"),
  Keep: binary("Keep"),
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
  Sqrt: unary("Sqrt"),
  Exp: unary("Exp"),
  Log: unary("Log"),
  Abs: unary("Abs"),
  Reciprocal: unary("Reciprocal"),
  Erf: unary("Erf"),
  Softplus: unary("Softplus"),
  LeakyRelu: unary("LeakyRelu"),
  Elu: unary("Elu"),
  Mish: unary("Mish"),
  Floor: unary("Floor"),
  Ceil: unary("Ceil"),
  Round: unary("Round"),
  Softmax: softmax(false),
  LogSoftmax: softmax(true),
  LayerNormalization: layerNorm,
  ReduceMean: reduce("ReduceMean"),
  ReduceSum: reduce("ReduceSum"),
  ReduceMax: reduce("ReduceMax"),
  ReduceMin: reduce("ReduceMin"),
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Slice: slice,
  Expand: expand,
  Pad: pad,
  Concat: concat,
  SubsampleAndPad: subsampleAndPad,
};
