/** The nodes of ONNX that one operator of a packed network stands for. */
import type { PackedOperator, PackedTensor } from "@secateur/runtime";
import { type GraphWriter, gelu } from "./graph-writer.ts";

/** An operator with what it reads. */
export interface PackedCall {
  readonly writer: GraphWriter;
  readonly operator: PackedOperator;
  /** Names of its inputs in the new graph, all f32, and their extents for one example. */
  readonly from: readonly string[];
  readonly dims: readonly (readonly number[])[];
  readonly tensors: readonly PackedTensor[];
  /** The value in f32 of its tensor i. */
  tensor(i: number): string;
}

/** Operators that ONNX has under the same name, with the same attributes. */
const same: ReadonlySet<string> = new Set(
  [
    "MatMul",
    "Add",
    "Mul",
    "Sub",
    "Div",
    "Min",
    "Max",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Transpose",
  ].concat("Concat"),
);

/** Functions of one number that ONNX has under the same name, and which of their attributes it knows. */
const functions: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    [
      "Relu",
      "Sigmoid",
      "Tanh",
      "Sqrt",
      "Exp",
      "Log",
      "Abs",
      "Reciprocal",
      "Erf",
      "Softplus",
      "Floor",
      "Ceil",
      "Round",
    ].map((name) => [name, []]),
  ),
  HardSigmoid: ["alpha"],
  LeakyRelu: ["alpha"],
  Elu: ["alpha"],
};

/** Functions made of others. */
const composed: ReadonlySet<string> = new Set(["Clip", "HardSwish", "Silu", "Gelu", "Mish"]);

/** Adds the nodes of an operator; the last gives its output. */
export function writeOperator(call: PackedCall): void {
  const { attributes, output } = call.operator;
  const activation = attributes["activation"];
  if (activation === undefined || activation === "Identity") {
    bare(call, output);
    return;
  }
  apply(String(activation), { ...call, x: bare(call), output });
}

function bare(call: PackedCall, output?: string): string {
  const { operator, writer, from, dims, tensor, tensors } = call;
  const { op, attributes } = operator;
  const { node } = writer;
  if (Object.hasOwn(functions, op) || composed.has(op)) return apply(op, { ...call, x: from[0]!, output });
  if (same.has(op)) return node(op, from, withoutActivation(attributes), output);
  switch (op) {
    case "Conv":
    case "Gemm": {
      const product = op === "Conv" ? convolution : matrix;
      if (from.length === 1) return product(call, output);
      return node("Add", [product(call), from[1]!], {}, output);
    }
    case "Constant":
      return node("Identity", [tensor(0)], {}, output);
    case "Gather":
      return node("Gather", [tensor(0), node("Cast", [from[0]!], { to: 7 })], { axis: 0 }, output);
    case "BatchNormalization":
      return node(
        op,
        [from[0]!, ...tensors.map((_, i) => tensor(i))],
        { epsilon: number(call, "epsilon", 1e-5) },
        output,
        ["epsilon"],
      );
    case "ScaleShift": {
      const scaled = node("Mul", [from[0]!, perChannel(call, 0)]);
      return node("Add", [scaled, perChannel(call, 1)], {}, output);
    }
    case "Softmax":
    case "LogSoftmax":
      return node(op, from, { axis: -1 }, output);
    case "LayerNormalization": {
      const features = dims[0]!.at(-1)!;
      const scale = tensors.length > 0 ? [tensor(0), tensor(1)] : [writer.reals(...new Float32Array(features).fill(1))];
      const epsilon = number(call, "epsilon", 1e-5);
      return node(op, [from[0]!, ...scale], { axis: -1, epsilon }, output, ["epsilon"]);
    }
    case "ReduceSum":
      return node(op, [from[0]!, writer.whole(-1)], { keepdims: 1 }, output);
    case "ReduceMean":
    case "ReduceMax":
    case "ReduceMin":
      return node(op, from, { axes: [-1], keepdims: 1 }, output);
    case "Flatten":
      return node(op, from, { axis: 1 }, output);
    case "Reshape":
    case "Expand":
      return node(op, [from[0]!, writer.whole(...numbers(call, "dims"))], {}, output);
    case "Pad":
      return node(op, [from[0]!, writer.whole(...numbers(call, "pads"))], {}, output);
    case "Slice":
      return slice(call, output);
    case "SubsampleAndPad":
      return subsample(call, output);
    default:
      throw new TypeError(`no nodes for the operator ${op}`);
  }
}

function convolution({ operator, writer, from, tensors, tensor }: PackedCall, output?: string): string {
  const { strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1 } = operator.attributes;
  const inputs = [from[0]!, ...tensors.map((_, i) => tensor(i))];
  return writer.node("Conv", inputs, { strides, pads, dilations, group }, output);
}

/** Weights stand as [outputs, features]; Gemm takes them so, MatMul after a Transpose, which runtimes fold. */
function matrix({ writer, from, dims, tensors, tensor }: PackedCall, output?: string): string {
  const { node } = writer;
  if (dims[0]!.length === 2)
    return node("Gemm", [from[0]!, ...tensors.map((_, i) => tensor(i))], { transB: 1 }, output);
  const turned = node("Transpose", [tensor(0)], { perm: [1, 0] });
  if (tensors.length === 1) return node("MatMul", [from[0]!, turned], {}, output);
  return node("Add", [node("MatMul", [from[0]!, turned]), tensor(1)], {}, output);
}

/** One number a channel, in the shape that stretches over [n, c, h, w]; features and single numbers do as they are. */
function perChannel({ writer, dims, tensors, tensor }: PackedCall, i: number): string {
  const isImage = dims[0]!.length === 4 && tensors[i]!.data.length > 1;
  return isImage ? writer.node("Reshape", [tensor(i), writer.whole(-1, 1, 1)]) : tensor(i);
}

function slice(call: PackedCall, output?: string): string {
  const { writer, from } = call;
  const one = (name: string): number => numbers(call, name)[0]!;
  const [axis, start, count, step] = ["axis", "start", "count", "step"].map(one) as [number, number, number, number];
  const end = start + count * step;
  // Behind the first place, going backwards, nothing counted from the start lies.
  const { whole } = writer;
  const places = [whole(start), whole(end < 0 ? -(2 ** 31) : end), whole(axis), whole(step)];
  return writer.node("Slice", [from[0]!, ...places], {}, output);
}

function subsample(call: PackedCall, output?: string): string {
  const { writer, from, dims } = call;
  const { whole, node } = writer;
  const [stride = 1] = numbers(call, "stride");
  const [channels = 0, before = 0] = numbers(call, "channels");
  const far = 2 ** 31 - 1;
  const taken = node("Slice", [from[0]!, whole(0, 0), whole(far, far), whole(2, 3), whole(stride, stride)]);
  const after = channels - before - dims[0]![1]!;
  return node("Pad", [taken, whole(0, before, 0, 0, 0, after, 0, 0)], {}, output);
}

/** A function of one number. */
function apply(name: string, call: PackedCall & { readonly x: string; readonly output?: string | undefined }): string {
  const { writer, x, output } = call;
  const { node, real } = writer;
  const known = functions[name];
  if (known) {
    const given = Object.entries(call.operator.attributes).filter(([key]) => known.includes(key));
    return node(name, [x], Object.fromEntries(given), output, known);
  }
  switch (name) {
    case "Clip":
      return node("Clip", [x, real(number(call, "low", 0)), real(number(call, "high", 0))], {}, output);
    case "HardSwish": {
      const [scale, shift] = [number(call, "scale", 1), number(call, "shift", 0)];
      if (scale === 1 && shift === 0) return node("HardSwish", [x], {}, output);
      return node("Add", [node("Mul", [node("HardSwish", [x]), real(scale)]), real(shift)], {}, output);
    }
    case "Silu":
      return node("Mul", [x, node("Sigmoid", [x])], {}, output);
    case "Mish":
      return node("Mul", [x, node("Tanh", [node("Softplus", [x])])], {}, output);
    case "Gelu":
      return output === undefined ? gelu(writer, x) : node("Identity", [gelu(writer, x)], {}, output);
    default:
      throw new TypeError(`no nodes for the function ${name}`);
  }
}

function withoutActivation(attributes: PackedOperator["attributes"]): PackedOperator["attributes"] {
  return Object.fromEntries(
    Object.entries(attributes).filter(
      ([key]) => !["activation", "low", "high", "alpha", "scale", "shift"].includes(key),
    ),
  );
}

function numbers({ operator }: PackedCall, name: string): readonly number[] {
  const found = operator.attributes[name];
  return typeof found === "number" ? [found] : ((found ?? []) as readonly number[]);
}

function number({ operator }: PackedCall, name: string, or: number): number {
  const found = operator.attributes[name];
  return typeof found === "number" ? found : or;
}
