/** What ONNX's own operators take (operator sets 7 and newer): attributes with their types, inputs, outputs. Anything else would be passed over in silence. */
import { isFieldSet } from "@bufbuild/protobuf";
import { quote } from "../../text/quote.ts";
import { AttributeProtoSchema, type NodeProto } from "../onnx-schema.ts";

/** AttributeProto.AttributeType by the letters of the table. */
const types: Readonly<Record<string, number>> = { f: 1, i: 2, s: 3, t: 4, g: 5, F: 6, I: 7, S: 8 };
const typeNames = ["", "a float", "an int", "a text", "a tensor", "a graph", "floats", "ints", "texts"];

const window = "auto_pad:s dilations:I kernel_shape:I pads:I strides:I";
const reduction = "axes:I keepdims:i noop_with_empty_axes:i";
const recurrent =
  "activation_alpha:F activation_beta:F activations:S clip:f direction:s hidden_size:i layout:i linear_before_reset:i input_forget:i";

/** By operator; "" takes none. Operators that are not here are not looked at. */
const table: Readonly<Record<string, string>> = {
  ...{ Conv: `${window} group:i`, ConvTranspose: `${window} group:i output_padding:I output_shape:I` },
  ...{ MatMul: "", Gemm: "alpha:f beta:f transA:i transB:i" },
  ...{ Add: "", Sub: "", Mul: "", Div: "", Pow: "", Max: "", Min: "", PRelu: "", Mod: "fmod:i" },
  ...{ Sqrt: "", Reciprocal: "", Exp: "", Log: "", Neg: "", Abs: "", Sin: "", Cos: "", Tanh: "", Erf: "", Sigmoid: "" },
  ...{ Softplus: "", Softsign: "", Relu: "", LeakyRelu: "alpha:f", ThresholdedRelu: "alpha:f", Elu: "alpha:f" },
  ...{ Celu: "alpha:f", Selu: "alpha:f gamma:f", HardSigmoid: "alpha:f beta:f", HardSwish: "", Swish: "alpha:f" },
  ...{ Mish: "", Gelu: "approximate:s", Clip: "min:f max:f", Softmax: "axis:i", LogSoftmax: "axis:i" },
  BatchNormalization: "epsilon:f momentum:f spatial:i training_mode:i",
  LayerNormalization: "axis:i epsilon:f stash_type:i",
  InstanceNormalization: "epsilon:f",
  GroupNormalization: "epsilon:f num_groups:i stash_type:i",
  MaxPool: `${window} ceil_mode:i storage_order:i`,
  AveragePool: `${window} ceil_mode:i count_include_pad:i`,
  ...{ GlobalAveragePool: "", GlobalMaxPool: "" },
  ...{ ReduceSum: reduction, ReduceMean: reduction, ReduceSumSquare: reduction, ReduceL1: reduction },
  ...{ ReduceL2: reduction, ReduceMax: reduction, ReduceMin: reduction },
  ...{ Concat: "axis:i", Split: "axis:i split:I num_outputs:i", Reshape: "allowzero:i", Squeeze: "axes:I" },
  ...{ Unsqueeze: "axes:I", Flatten: "axis:i", Identity: "", Dropout: "ratio:f seed:i", Transpose: "perm:I" },
  ...{ Slice: "axes:I ends:I starts:I", Pad: "mode:s pads:I value:f", Expand: "", Tile: "" },
  ...{ DepthToSpace: "blocksize:i mode:s", SpaceToDepth: "blocksize:i" },
  ...{ Gather: "axis:i", GatherElements: "axis:i", Where: "" },
  Resize:
    "antialias:i axes:I coordinate_transformation_mode:s cubic_coeff_a:f exclude_outside:i extrapolation_value:f keep_aspect_ratio_policy:s mode:s nearest_mode:s",
  Upsample: "mode:s scales:F",
  ...{ Shape: "end:i start:i", Size: "", ConstantOfShape: "value:t", Range: "", Not: "" },
  ...{ ArgMax: "axis:i keepdims:i select_last_index:i", Cast: "to:i saturate:i round_mode:s" },
  ...{ Equal: "", Greater: "", GreaterOrEqual: "", Less: "", LessOrEqual: "", And: "", Or: "", Xor: "" },
  ...{ Floor: "", Ceil: "", Round: "", Sign: "" },
  Constant:
    "sparse_value:sparse value:t value_float:f value_floats:F value_int:i value_ints:I value_string:s value_strings:S",
  ...{ If: "else_branch:g then_branch:g", LSTM: recurrent, GRU: recurrent },
};

/** The most inputs of operators, where it is not one. */
const mostInputs: ReadonlyMap<string, number> = new Map(
  Object.entries({
    2: "MatMul Add Sub Mul Div Pow PRelu Mod Reshape Squeeze Unsqueeze Expand Tile Gather GatherElements Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor ReduceSum ReduceMean ReduceSumSquare ReduceL1 ReduceL2 ReduceMax ReduceMin Upsample Split",
    3: "Conv ConvTranspose Gemm Clip LayerNormalization InstanceNormalization GroupNormalization Dropout Where Range",
    4: "Pad Resize",
    5: "BatchNormalization Slice",
    6: "GRU",
    8: "LSTM",
    Infinity: "Concat Max Min",
  }).flatMap(([most, names]) => names.split(" ").map((name) => [name, Number(most)] as const)),
);
/** The fewest inputs of operators, where it is not one. */
const fewestInputs: ReadonlyMap<string, number> = new Map(
  Object.entries({
    0: "Constant",
    2: "Conv ConvTranspose Gemm MatMul Add Sub Mul Div Pow PRelu Mod Reshape Expand Tile Gather GatherElements Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor LayerNormalization",
    3: "InstanceNormalization GroupNormalization Where Range LSTM GRU",
    5: "BatchNormalization",
  }).flatMap(([fewest, names]) => names.split(" ").map((name) => [name, Number(fewest)] as const)),
);
/** Attributes without a default. */
const neededAttributes: Readonly<Record<string, readonly string[]>> = {
  ...{ Concat: ["axis"], Cast: ["to"], DepthToSpace: ["blocksize"], SpaceToDepth: ["blocksize"] },
  ...{ MaxPool: ["kernel_shape"], AveragePool: ["kernel_shape"], GroupNormalization: ["num_groups"] },
  ...{ LSTM: ["hidden_size"], GRU: ["hidden_size"], If: ["then_branch", "else_branch"] },
};
/** Attributes that are 0 or 1. */
const flags: ReadonlySet<string> = new Set(["transA", "transB"]);
/** The most outputs of operators, where it is not one. */
const mostOutputs: Readonly<Record<string, number>> = {
  ...{ BatchNormalization: 5, Dropout: 2, MaxPool: 2, LayerNormalization: 3, GRU: 2, LSTM: 3 },
  ...{ Split: Number.POSITIVE_INFINITY, If: Number.POSITIVE_INFINITY },
};

/** The field that holds a value of a type; lists may be empty, and an empty text need not be written. */
const valueFields: Readonly<Record<number, "f" | "i" | "t" | "g">> = { 1: "f", 2: "i", 4: "t", 5: "g" };

interface Problem {
  readonly found: string;
  readonly expected: string;
}

/** What is wrong with a node of ONNX's own domain, in words; undefined where nothing is. */
export function nodeProblem(node: NodeProto): Problem | undefined {
  const { opType, input, output, attribute } = node;
  if (Object.hasOwn(table, opType)) {
    const [inputs, outputs] = [mostInputs.get(opType) ?? 1, mostOutputs[opType] ?? 1];
    const of = `of operator ${quote(opType)}`;
    if (input.length > inputs) return { found: `${input.length} inputs ${of}`, expected: `at most ${inputs}` };
    if (output.length > outputs) return { found: `${output.length} outputs ${of}`, expected: `at most ${outputs}` };
    const fewest = fewestInputs.get(opType) ?? 1;
    if (input.length < fewest) return { found: `${input.length} inputs ${of}`, expected: `at least ${fewest}` };
    const missing = neededAttributes[opType]?.find((name) => !attribute.some((one) => one.name === name));
    if (missing !== undefined)
      return { found: `operator ${quote(opType)} without '${missing}'`, expected: "that attribute" };
  }
  return attributeProblem(node);
}

function attributeProblem({ opType, attribute }: NodeProto): Problem | undefined {
  const seen = new Set<string>();
  const known = Object.hasOwn(table, opType)
    ? new Map(
        table[opType]!.split(" ")
          .filter(Boolean)
          .map((entry) => entry.split(":") as [string, string]),
      )
    : undefined;
  for (const one of attribute) {
    const { name, type, refAttrName } = one;
    const found = `attribute ${quote(name)} of operator ${quote(opType)}`;
    if (seen.has(name)) return { found: `a second ${found}`, expected: "every attribute once" };
    seen.add(name);
    if (refAttrName !== "") continue;
    if (type === 0) return { found: `${found} without a type`, expected: "a type for every attribute" };
    const wanted = known?.get(name);
    if (known && wanted === undefined) {
      return { found, expected: known.size === 0 ? "none" : `one of ${[...known.keys()].join(", ")}` };
    }
    if (wanted !== undefined && wanted in types && types[wanted] !== type) {
      const own = typeNames[type] ?? `a value of type ${type}`;
      return { found: `${found} as ${own}`, expected: typeNames[types[wanted]!]! };
    }
    const field = known && valueFields[type];
    if (field && !isFieldSet(one, AttributeProtoSchema.field[field])) {
      return { found: `${found} without its value`, expected: typeNames[type]! };
    }
    if (flags.has(name) && type === types["i"] && one.i !== 0n && one.i !== 1n) {
      return { found: `${found} as ${one.i}`, expected: "0 or 1" };
    }
  }
  return undefined;
}
