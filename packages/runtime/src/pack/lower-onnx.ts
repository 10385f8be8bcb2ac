/**
 * ONNX graphs (operator sets 13 and later, and what earlier ones share) as operators of a packed network: images and matrices through
 * convolutions, products, pooling, normalisation and functions of single numbers. What has no such operator is refused by name.
 */
import { notPackable, quoted } from "../errors.ts";
import type { Attribute, PackedOperator, PackedValue } from "../file/packed-model.ts";
import { createCall } from "../operators/operator.ts";
import { operatorKinds } from "../operators/operator-kinds.ts";
import type { Value } from "../plan/value.ts";
import type { DenseTensor, PackGraph } from "./pack-graph.ts";
import { shapeConstant } from "./shape-constants.ts";

/** A tensor, as @secateur/formats and @secateur/graph have them. */
export interface OnnxLikeTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data?: ArrayLike<number> | ArrayLike<bigint>;
}

/** A node of an ONNX graph. */
export interface OnnxLikeNode {
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** An ONNX graph, as `decodeOnnx(bytes).graph` is. */
export interface OnnxLikeGraph {
  readonly nodes: readonly OnnxLikeNode[];
  readonly initializers: readonly OnnxLikeTensor[];
  readonly inputs: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape?: readonly (number | string | null)[];
  }[];
  readonly outputs: readonly { readonly name: string }[];
}

/** Functions of one value that both have under one name. */
const sameName: ReadonlySet<string> = new Set(["Relu", "Sigmoid", "Tanh", "HardSwish", "GlobalAveragePool"]);

/** @throws ERR_PACKED_GRAPH naming the node, what it is and what is allowed */
export function lowerOnnx(graph: OnnxLikeGraph): PackGraph {
  const state = startState(graph);
  for (const node of graph.nodes) lowerNode(node, state);
  const outputs = graph.outputs.map(({ name }): PackedValue => {
    const value = state.names.get(name) ?? name;
    const dims = state.values.get(value)?.dims;
    if (!dims) throw notPackable(`output ${quoted(name)}`, "it is a constant");
    return { name: value, dims: state.isBatched && dims[0] === 1 ? ["batch", ...dims.slice(1)] : dims };
  });
  return { inputs: state.inputs, outputs, operators: state.operators, tensors: state.tensors };
}

interface State {
  readonly inputs: readonly PackedValue[];
  readonly isBatched: boolean;
  readonly constants: Map<string, OnnxLikeTensor>;
  readonly values: Map<string, Value>;
  /** Values that are others under another name. */
  readonly names: Map<string, string>;
  readonly operators: PackedOperator[];
  readonly tensors: Map<string, DenseTensor>;
}

function startState(graph: OnnxLikeGraph): State {
  const constants = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const values = new Map<string, Value>();
  const inputs = graph.inputs
    .filter(({ name }) => !constants.has(name))
    .map(({ name, dtype, shape }): PackedValue => {
      const where = `input ${quoted(name)}`;
      if (dtype !== "f32")
        throw notPackable(where, `it is of ${dtype}; the runtime takes f32`, "export the model with inputs of f32");
      const dims = (shape ?? []).map((extent, i) => {
        if (typeof extent === "number") return extent;
        if (i === 0) return "batch" as const;
        const remedy = "export the model with fixed sizes";
        throw notPackable(where, `its extent ${i} is left open; only the first may be`, remedy);
      });
      values.set(name, { name, dims: dims.map((extent) => (extent === "batch" ? 1 : extent)), phases: new Map() });
      return { name, dims };
    });
  const isBatched = inputs.some(({ dims }) => dims[0] === "batch");
  return { inputs, isBatched, constants, values, names: new Map(), operators: [], tensors: new Map() };
}

/** A node on its way: what it reads, and where its operators go. */
interface Lowering {
  readonly node: OnnxLikeNode;
  readonly state: State;
  refuse(problem: string): never;
  /** The value of input i. */
  value(i: number): string;
  /** The constant of input i; undefined where it is left out or computed. */
  constant(i: number): OnnxLikeTensor | undefined;
  numbers(tensor: OnnxLikeTensor): Float32Array;
  /** Keeps a tensor for the file. */
  keep(name: string, dims: readonly number[], data: Float32Array): string;
  emit(
    op: string,
    from: readonly string[],
    rest?: { tensors?: readonly string[]; attributes?: Record<string, Attribute>; output?: string },
  ): string;
  ints(name: string, or: readonly number[]): readonly number[];
  number(name: string, or: number): number;
}

function createLowering(node: OnnxLikeNode, state: State): Lowering {
  const label = node.name || node.outputs[0] || node.op;
  const refuse = (problem: string): never => {
    throw notPackable(`node ${quoted(label)} (${quoted(node.op)})`, problem);
  };
  return {
    node,
    state,
    refuse,
    value(i) {
      const name = node.inputs[i] ?? "";
      const value = state.names.get(name) ?? name;
      return state.values.has(value) ? value : refuse(`its input ${i} is a constant or missing; it has to be computed`);
    },
    constant: (i) => state.constants.get(node.inputs[i] ?? ""),
    numbers(tensor) {
      const { data, dtype } = tensor;
      if (!data || !["f32", "f64"].includes(dtype))
        return refuse(`its tensor ${quoted(tensor.name)} is of ${dtype}; it has to be f32 or f64`);
      return Float32Array.from(data as ArrayLike<number>);
    },
    keep(name, dims, data) {
      state.tensors.set(name, { dims, data });
      return name;
    },
    emit(op, from, { tensors = [], attributes = {}, output = node.outputs[0]! } = {}) {
      const operator: PackedOperator = {
        op,
        name: output === node.outputs[0] ? label : output,
        inputs: from,
        tensors,
        output,
        attributes,
      };
      const call = createCall({
        operator,
        inputs: from.map((name) => state.values.get(name)!),
        tensors: tensors.map((name) => state.tensors.get(name)!),
      });
      const dims = operatorKinds[op]!.dims(call);
      state.values.set(output, { name: output, dims, phases: new Map() });
      state.operators.push(operator);
      return output;
    },
    ints(name, or) {
      const found = node.attributes[name];
      return Array.isArray(found) ? found.map(Number) : or;
    },
    number: (name, or) => (typeof node.attributes[name] === "number" ? (node.attributes[name] as number) : or),
  };
}

function lowerNode(node: OnnxLikeNode, state: State): void {
  const low = createLowering(node, state);
  const { refuse, value, constant, numbers, keep, emit, ints, number } = low;
  if (node.domain !== "" && node.domain !== "ai.onnx") refuse(`it is of the domain ${quoted(node.domain)}`);
  const dimsOf = (i: number): readonly number[] => state.values.get(value(i))!.dims;
  const given = node.inputs.map((name) => state.constants.get(name));
  const first = state.names.get(node.inputs[0] ?? "") ?? node.inputs[0] ?? "";
  const folded = shapeConstant(node, given, state.values.get(first)?.dims);
  if (folded) {
    state.constants.set(node.outputs[0]!, folded);
    return;
  }
  if (sameName.has(node.op)) {
    emit(node.op, [value(0)]);
    return;
  }
  switch (node.op) {
    case "Constant": {
      const tensor = node.attributes["value"] as OnnxLikeTensor | undefined;
      state.constants.set(node.outputs[0]!, tensor?.shape ? tensor : refuse("it holds no tensor"));
      return;
    }
    case "Identity":
    case "Dropout": {
      const known = constant(0);
      if (known) state.constants.set(node.outputs[0]!, known);
      else state.names.set(node.outputs[0]!, value(0));
      return;
    }
    case "Pad": {
      // Exporters put one before pooling even where it adds nothing.
      const pads = constant(1)?.data ?? refuse("its pads are computed; they have to be constant");
      if (Array.from(pads as ArrayLike<bigint>, Number).some((pad) => pad !== 0))
        refuse("it adds a border; give it to the convolution or pooling after it");
      state.names.set(node.outputs[0]!, value(0));
      return;
    }
    case "Conv": {
      const weights = constant(1) ?? refuse("its weights are computed; they have to be constant");
      if (weights.shape.length !== 4)
        refuse(`its weights are [${weights.shape.join(", ")}]; convolutions over images have four extents`);
      const bias = constant(2);
      const tensors = [
        keep(weights.name, weights.shape, numbers(weights)),
        ...(bias ? [keep(bias.name, bias.shape, numbers(bias))] : []),
      ];
      const attributes = {
        strides: ints("strides", [1, 1]),
        pads: padsOf(low, weights.shape.slice(2)),
        dilations: ints("dilations", [1, 1]),
        group: number("group", 1),
      };
      emit("Conv", [value(0)], { tensors, attributes });
      return;
    }
    case "Gemm":
    case "MatMul":
      product(low);
      return;
    case "BatchNormalization": {
      const tensors = [1, 2, 3, 4].map((i) => {
        const tensor = constant(i) ?? refuse("its statistics are computed; they have to be constant");
        return keep(tensor.name, tensor.shape, numbers(tensor));
      });
      emit("BatchNormalization", [value(0)], { tensors, attributes: { epsilon: number("epsilon", 1e-5) } });
      return;
    }
    case "Clip": {
      const bound = (i: number, name: string, or: number): number => {
        const tensor = constant(i);
        return tensor ? numbers(tensor)[0]! : number(name, or);
      };
      emit("Clip", [value(0)], { attributes: { low: bound(1, "min", -3.4e38), high: bound(2, "max", 3.4e38) } });
      return;
    }
    case "HardSigmoid":
      if (number("beta", 0.5) !== 0.5) refuse("its beta is not 0.5");
      emit("HardSigmoid", [value(0)], { attributes: { alpha: number("alpha", 0.2) } });
      return;
    case "Gelu":
      if ((node.attributes["approximate"] ?? "none") !== "none")
        refuse("it is an approximation of gelu; only the exact one is here");
      emit("Gelu", [value(0)]);
      return;
    case "MaxPool":
    case "AveragePool": {
      const window = ints("kernel_shape", []);
      if (number("ceil_mode", 0) !== 0) refuse("its ceil_mode is 1");
      if (ints("dilations", [1, 1]).some((dilation) => dilation !== 1)) refuse("its windows are dilated");
      const attributes = {
        kernel_shape: window,
        strides: ints("strides", [1, 1]),
        pads: padsOf(low, window),
        count_include_pad: number("count_include_pad", 0),
      };
      emit(node.op, [value(0)], { attributes });
      return;
    }
    case "Flatten":
      if (number("axis", 1) !== 1) refuse("its axis is not 1");
      emit("Flatten", [value(0)]);
      return;
    case "Reshape": {
      const shape = constant(1)?.data ?? refuse("its shape is computed; export the model with fixed sizes");
      const dims = Array.from(shape as ArrayLike<bigint>, Number);
      // Shapes are taken for one example: what keeps the batch of one keeps a larger one.
      const isKept = state.isBatched && dims[0] === 1 && dimsOf(0)[0] === 1;
      emit("Reshape", [value(0)], { attributes: { dims: isKept ? [0, ...dims.slice(1)] : dims } });
      return;
    }
    case "Transpose":
      emit("Transpose", [value(0)], {
        attributes: {
          perm: ints(
            "perm",
            dimsOf(0).map((_, i) => dimsOf(0).length - 1 - i),
          ),
        },
      });
      return;
    case "Concat": {
      const axis = number("axis", 0);
      emit(
        "Concat",
        node.inputs.map((_, i) => value(i)),
        { attributes: { axis: axis < 0 ? axis + dimsOf(0).length : axis } },
      );
      return;
    }
    case "Softmax":
    case "LogSoftmax": {
      const axis = number("axis", -1);
      if (axis !== -1 && axis !== dimsOf(0).length - 1) refuse("its axis is not the last");
      emit(node.op, [value(0)]);
      return;
    }
    case "Add":
    case "Mul":
      binary(low);
      return;
    default:
      refuse("the packer has no such operator; prune works on it all the same, and onnxruntime runs it");
  }
}

function padsOf({ node, refuse, ints }: Lowering, window: readonly number[]): readonly number[] {
  const auto = node.attributes["auto_pad"] ?? "NOTSET";
  if (auto !== "NOTSET" && auto !== "VALID")
    refuse(`its auto_pad is ${quoted(String(auto))}; export the model with explicit pads`);
  return ints(
    "pads",
    window.flatMap(() => [0, 0]),
  );
}

/** Gemm and MatMul with constant weights, which the file has as [outputs, features]. */
function product({ node, refuse, value, constant, numbers, keep, emit, number }: Lowering): void {
  const weights = constant(1) ?? refuse("its second input is computed; it has to be constant weights");
  if (weights.shape.length !== 2) refuse(`its weights are [${weights.shape.join(", ")}]; they have to be a matrix`);
  const isGemm = node.op === "Gemm";
  if (isGemm && (number("alpha", 1) !== 1 || number("beta", 1) !== 1 || number("transA", 0) !== 0)) {
    refuse("its alpha, beta or transA is not the usual one");
  }
  const data = numbers(weights);
  const [rows, columns] = weights.shape as readonly [number, number];
  const isStored = isGemm && number("transB", 0) === 1;
  const dims = isStored ? [rows, columns] : [columns, rows];
  const stored = isStored ? data : data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!);
  const bias = isGemm ? constant(2) : undefined;
  if (isGemm && node.inputs[2] && !bias) refuse("its third input is computed; it has to be constant");
  if (bias && bias.shape.filter((extent) => extent !== 1).length > 1)
    refuse("its bias is a matrix; it has to be one number an output");
  const held = bias ? [keep(bias.name, [dims[0]!], broadcast(numbers(bias), dims[0]!))] : [];
  emit("Gemm", [value(0)], { tensors: [keep(weights.name, dims, stored), ...held] });
}

/** Sums and products of two values, or with one constant number a channel. */
function binary(low: Lowering): void {
  const { node, refuse, value, constant, numbers, keep, emit, state } = low;
  const place = constant(0) ? 0 : constant(1) ? 1 : undefined;
  if (place === undefined) {
    const [a, b] = [value(0), value(1)];
    // One number a channel stands second.
    const size = (name: string): number =>
      state.values.get(name)!.dims.reduce((product, extent) => product * extent, 1);
    emit(node.op, size(a) < size(b) ? [b, a] : [a, b]);
    return;
  }
  const from = value(1 - place);
  const { dims } = state.values.get(from)!;
  const tensor = constant(place)!;
  const channelAxis = dims.length === 4 ? 1 : dims.length - 1;
  const channels = dims[channelAxis]!;
  // Aligned at the last extent, all but the channels' have to be 1.
  const isByChannel = tensor.shape.every(
    (extent, i) => extent === 1 || i + dims.length - tensor.shape.length === channelAxis,
  );
  if (!isByChannel)
    refuse(
      `its constant is [${tensor.shape.join(", ")}] for [${dims.join(", ")}]; it has to be one number, or one a channel`,
    );
  const given = broadcast(numbers(tensor), channels);
  const isProduct = node.op === "Mul";
  const scale = isProduct ? given : new Float32Array(channels).fill(1);
  const shift = isProduct ? new Float32Array(channels) : given;
  const output = node.outputs[0]!;
  emit("ScaleShift", [from], {
    tensors: [keep(`${output}.scale`, [channels], scale), keep(`${output}.shift`, [channels], shift)],
  });
}

function broadcast(numbers: Float32Array, count: number): Float32Array {
  return numbers.length === count ? numbers : new Float32Array(count).fill(numbers[0]!);
}
