/** One small graph for every operator, and several where it has several ways. What onnxruntime makes of each stands in operator-goldens.json. */
import type { Attribute, GraphSpec, GraphTensor } from "../graph-spec.ts";

/** A node on its own. */
export interface OperatorCase {
  readonly name: string;
  readonly op: string;
  readonly opset: number;
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Attributes that are floats although they are whole. */
  readonly floats: readonly string[];
  /** Shapes of the real inputs, in order; null: the constant of that place, or nothing. */
  readonly inputs: readonly (readonly number[] | null)[];
  /** By place: whole numbers, or real ones where a number has a fraction or `real` says so. */
  readonly constants: Readonly<Record<number, GraphTensor>>;
  /** Places of inputs that are weights of the graph. */
  readonly weights: readonly number[];
  readonly outputs: number;
  /** From and to what the real inputs range. */
  readonly range: readonly [number, number];
}

type Options = Partial<Omit<OperatorCase, "op" | "inputs">>;

function one(op: string, inputs: OperatorCase["inputs"], options: Options = {}): OperatorCase {
  const rest = { opset: 17, attributes: {}, floats: [], constants: {}, weights: [], outputs: 1, ...options };
  return { range: [-2, 2], ...rest, op, inputs, name: `${op}${options.name ? ` ${options.name}` : ""}` };
}

const whole = (...numbers: readonly number[]): GraphTensor => ({
  name: "",
  dtype: "i64",
  shape: [numbers.length],
  data: BigInt64Array.from(numbers, BigInt),
});
const reals = (...numbers: readonly number[]): GraphTensor => ({
  name: "",
  dtype: "f32",
  shape: [numbers.length],
  data: Float32Array.from(numbers),
});
const real = (number: number): GraphTensor => ({ name: "", dtype: "f32", shape: [], data: Float32Array.of(number) });
const bytes = (shape: readonly number[], ...numbers: readonly number[]): GraphTensor => ({
  name: "",
  dtype: "i8",
  shape,
  data: Int8Array.from(numbers),
});
const truth = (shape: readonly number[], ...numbers: readonly number[]): GraphTensor => ({
  name: "",
  dtype: "bool",
  shape,
  data: Uint8Array.from(numbers),
});

const image = [2, 4, 5, 6] as const;
const unary = ["Neg", "Abs", "Exp", "Sin", "Cos", "Tanh", "Erf", "Sigmoid", "Softplus", "Softsign", "Relu"];
const positive = { range: [0.5, 3] } as const;

/** Every case. */
export const operatorCases: readonly OperatorCase[] = [
  one("Conv", [image, [6, 4, 3, 3], [6]], { attributes: { pads: [1, 1, 1, 1] }, weights: [1] }),
  one("Conv", [image, [6, 2, 3, 2]], {
    name: "in groups, with strides that differ and uneven pads",
    attributes: { group: 2, strides: [2, 1], pads: [0, 1, 2, 0] },
    weights: [1],
  }),
  one("Conv", [image, [4, 1, 3, 3], [4]], {
    name: "depthwise, dilated",
    attributes: { group: 4, dilations: [2, 2] },
    weights: [1],
  }),
  one(
    "Conv",
    [
      [2, 3, 7],
      [4, 3, 3],
    ],
    { name: "of one axis", attributes: { strides: [2], pads: [1, 0] }, weights: [1] },
  ),
  one("Conv", [image, [3, 4, 3, 3]], {
    name: "padded to the same size",
    attributes: { auto_pad: "SAME_UPPER", strides: [2, 2] },
    weights: [1],
  }),
  one("Conv", [image, [3, 4, 2, 2]], { name: "padded below", attributes: { auto_pad: "SAME_LOWER" }, weights: [1] }),
  one("Conv", [image, [3, 4, 1, 1], [3]], { name: "with weights that are computed" }),
  one("ConvTranspose", [[2, 4, 3, 4], [4, 3, 2, 2], [3]], { attributes: { strides: [2, 2] }, weights: [1] }),
  one(
    "ConvTranspose",
    [
      [2, 4, 3, 4],
      [4, 2, 3, 3],
    ],
    {
      name: "in groups, padded",
      attributes: { strides: [2, 2], pads: [1, 0, 1, 1], output_padding: [1, 0], group: 2 },
      weights: [1],
    },
  ),
  one(
    "ConvTranspose",
    [
      [2, 3, 5],
      [3, 2, 4],
    ],
    { name: "of one axis", attributes: { strides: [3], pads: [1, 1] }, weights: [1] },
  ),
  one(
    "MatMul",
    [
      [2, 3, 4],
      [4, 5],
    ],
    { weights: [1] },
  ),
  one(
    "MatMul",
    [
      [2, 3, 4, 5],
      [3, 5, 2],
    ],
    { name: "of two arrays" },
  ),
  one("MatMul", [[5], [2, 5, 3]], { name: "of a vector" }),
  one("Gemm", [[3, 4], [5, 4], [5]], { attributes: { transB: 1 }, weights: [1] }),
  one(
    "Gemm",
    [
      [3, 4],
      [4, 5],
      [3, 1],
    ],
    {
      name: "scaled",
      attributes: { alpha: 0.5, beta: 2 },
      floats: ["alpha", "beta"],
      weights: [1],
    },
  ),
  one(
    "Gemm",
    [
      [4, 3],
      [4, 5],
    ],
    { name: "of a transpose", attributes: { transA: 1 } },
  ),
  ...["Add", "Sub", "Mul", "Max", "Min"].flatMap((op) => [
    one(op, [
      [2, 3, 4],
      [2, 3, 4],
    ]),
    one(
      op,
      [
        [2, 3, 4],
        [3, 1],
      ],
      { name: "over the middle axis" },
    ),
    one(
      op,
      [
        [2, 1, 4],
        [3, 1],
      ],
      { name: "with both stretched" },
    ),
    one(op, [[4], [2, 3, 4]], { name: "of a row and an array" }),
  ]),
  one(
    "Div",
    [
      [2, 3, 4],
      [3, 4],
    ],
    positive,
  ),
  one("Pow", [[2, 3, 4], [4]], positive),
  one("Pow", [[2, 3], null], { name: "with a constant", constants: { 1: real(2) } }),
  one("PRelu", [
    [2, 3, 4],
    [3, 1],
  ]),
  ...unary.map((op) => one(op, [[3, 5]])),
  ...["Sqrt", "Log", "Reciprocal"].map((op) => one(op, [[3, 5]], positive)),
  ...["LeakyRelu", "Elu", "Celu", "ThresholdedRelu"].map((op) =>
    one(op, [[3, 5]], { attributes: { alpha: 0.7 }, floats: ["alpha"] }),
  ),
  one("Selu", [[3, 5]]),
  one("HardSigmoid", [[3, 5]], { attributes: { alpha: 0.3, beta: 0.4 }, floats: ["alpha", "beta"] }),
  one("HardSwish", [[3, 9]], { range: [-5, 5] }),
  one("Mish", [[3, 5]], { opset: 18 }),
  one("Swish", [[3, 5]], { opset: 24, attributes: { alpha: 0.7 }, floats: ["alpha"] }),
  one("Gelu", [[3, 5]], { opset: 20 }),
  one("Gelu", [[3, 5]], { name: "by tanh", opset: 20, attributes: { approximate: "tanh" } }),
  one("Clip", [[3, 5], null, null], { constants: { 1: real(-0.5), 2: real(1) } }),
  one("Clip", [[3, 5]], {
    name: "by attributes",
    opset: 9,
    attributes: { min: -0.5, max: 0.25 },
    floats: ["min", "max"],
  }),
  one("Softmax", [[2, 3, 4]], { attributes: { axis: 1 } }),
  one("Softmax", [[2, 3, 4]], { name: "of the older kind", opset: 11, attributes: { axis: 1 } }),
  one("LogSoftmax", [[2, 3, 4]]),
  one("BatchNormalization", [image, null, null, null, null], {
    constants: { 1: reals(1, 2, 0.5, -1), 2: reals(0, 1, 0, 2), 3: reals(0.1, 0, -1, 1), 4: reals(0.5, 1, 2, 3) },
    attributes: { epsilon: 0.01 },
    floats: ["epsilon"],
  }),
  one("LayerNormalization", [[2, 3, 4], null, null], { constants: { 1: reals(1, 2, 0.5, -1), 2: reals(0, 1, 0, 2) } }),
  one("InstanceNormalization", [image, null, null], { constants: { 1: reals(1, 2, 0.5, -1), 2: reals(0, 1, 0, 2) } }),
  one("GroupNormalization", [image, null, null], {
    opset: 21,
    attributes: { num_groups: 2 },
    constants: { 1: reals(1, 2, 0.5, -1), 2: reals(0, 1, 0, 2) },
  }),
  one("MaxPool", [image], { attributes: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] } }),
  one("MaxPool", [image], { name: "rounded up", attributes: { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 } }),
  one("AveragePool", [image], { attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } }),
  one("AveragePool", [image], {
    name: "with its padding",
    attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 },
  }),
  one("GlobalAveragePool", [image]),
  one("GlobalMaxPool", [image]),
  ...["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"].flatMap((op) => [
    one(op, [[2, 3, 4]], { attributes: { axes: [1] } }),
    one(op, [[2, 3, 4]], { name: "of ends, dropped", attributes: { axes: [0, -1], keepdims: 0 } }),
  ]),
  one("ReduceSum", [[2, 3, 4], null], { constants: { 1: whole(0, 2) } }),
  one("ReduceSum", [[2, 3, 4]], { name: "of everything" }),
  one(
    "Concat",
    [
      [2, 3, 2],
      [2, 1, 2],
    ],
    { attributes: { axis: 1 } },
  ),
  one(
    "Concat",
    [
      [2, 3],
      [2, 40],
    ],
    { name: "of rows", attributes: { axis: -1 } },
  ),
  one("Split", [[2, 6, 2], null], { constants: { 1: whole(2, 3, 1) }, attributes: { axis: 1 }, outputs: 3 }),
  one("Slice", [[4, 5, 6], null, null, null, null], {
    constants: { 1: whole(1, -1), 2: whole(3, -6), 3: whole(0, 2), 4: whole(1, -2) },
  }),
  one("Pad", [[2, 3, 4], null, null], { constants: { 1: whole(0, 1, 2, 1, 0, -1), 2: real(0.5) } }),
  one("Pad", [[2, 3, 4], null], {
    name: "by reflection",
    constants: { 1: whole(0, 2, 1, 0, 1, 3) },
    attributes: { mode: "reflect" },
  }),
  one("Pad", [[2, 3, 4], null], {
    name: "by its edge",
    constants: { 1: whole(0, 2, 1, 0, 1, 3) },
    attributes: { mode: "edge" },
  }),
  one("Reshape", [[2, 3, 4], null], { constants: { 1: whole(0, -1, 2) } }),
  one("Flatten", [[2, 3, 4]], { attributes: { axis: 2 } }),
  one("Transpose", [[2, 3, 4, 5]], { attributes: { perm: [0, 2, 1, 3] } }),
  one("Transpose", [[2, 3, 4]], { name: "of everything" }),
  one("Squeeze", [[1, 3, 1], null], { constants: { 1: whole(0) } }),
  one("Unsqueeze", [[3, 4], null], { constants: { 1: whole(0, -1) } }),
  one("Expand", [[3, 1], null], { constants: { 1: whole(2, 1, 4) } }),
  one("Tile", [[2, 3], null], { constants: { 1: whole(2, 3) } }),
  one("DepthToSpace", [[2, 8, 2, 3]], { attributes: { blocksize: 2 } }),
  one("DepthToSpace", [[2, 8, 2, 3]], { name: "by columns", attributes: { blocksize: 2, mode: "CRD" } }),
  one("SpaceToDepth", [[2, 3, 4, 6]], { attributes: { blocksize: 2 } }),
  one("Gather", [[4, 3], null], { constants: { 1: whole(3, 0, -1) } }),
  one("Gather", [[2, 4, 3], null], {
    name: "along an inner axis",
    constants: { 1: whole(1, 1) },
    attributes: { axis: 1 },
  }),
  one("GatherElements", [[3], null], { constants: { 1: whole(2, 0, 2, 1) } }),
  one("Where", [null, [3, 4], [4]], { constants: { 0: truth([3, 1], 1, 0, 1) } }),
  one("Resize", [[1, 2, 3, 4], null, null], { constants: { 1: reals(), 2: reals(1, 1, 2, 2) } }),
  one("Resize", [[1, 2, 3, 4], null, null, null], {
    name: "linearly",
    constants: { 1: reals(), 2: reals(), 3: whole(1, 2, 5, 7) },
    attributes: { mode: "linear" },
  }),
  one("Resize", [[1, 2, 3, 4], null, null], {
    name: "with corners aligned",
    constants: { 1: reals(), 2: reals(1, 1, 2, 1.5) },
    attributes: { mode: "linear", coordinate_transformation_mode: "align_corners" },
  }),
  one("Resize", [[1, 2, 3, 4], null, null], {
    name: "by the floor",
    constants: { 1: reals(), 2: reals(1, 1, 2, 3) },
    attributes: { coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
  }),
  one("Resize", [[1, 1, 4, 4], null, null], {
    name: "by cubics",
    constants: { 1: reals(), 2: reals(1, 1, 1.5, 2) },
    attributes: { mode: "cubic" },
  }),
  one("Upsample", [[1, 2, 3, 4], null], { opset: 9, constants: { 1: reals(1, 1, 2, 2) } }),
  ...["forward", "reverse", "bidirectional"].flatMap((direction) => {
    const d = direction === "bidirectional" ? 2 : 1;
    const attributes = { hidden_size: 3, direction };
    const state = [d, 2, 3];
    const start = { attributes };
    return [
      one("LSTM", [[4, 2, 5], [d, 12, 5], [d, 12, 3], [d, 24], null, state, state], {
        name: direction,
        ...start,
        outputs: 3,
      }),
      one("GRU", [[4, 2, 5], [d, 9, 5], [d, 9, 3], [d, 18], null, state], { name: direction, ...start, outputs: 2 }),
    ];
  }),
  one(
    "GRU",
    [
      [4, 2, 5],
      [1, 9, 5],
      [1, 9, 3],
      [1, 18],
    ],
    {
      name: "linear before its reset",
      attributes: { hidden_size: 3, linear_before_reset: 1 },
      outputs: 2,
    },
  ),
  one(
    "LSTM",
    [
      [3, 2, 4],
      [1, 8, 4],
      [1, 8, 2],
    ],
    { name: "without bias", attributes: { hidden_size: 2 } },
  ),
  one("LSTM", [[3, 2, 4], [2, 8, 4], [2, 8, 2], [2, 16], null, [2, 2, 2], [2, 2, 2], [2, 6]], {
    name: "with peepholes, clipped",
    attributes: { hidden_size: 2, direction: "bidirectional", clip: 0.75 },
    floats: ["clip"],
    outputs: 3,
  }),
  one("LSTM", [[3, 2, 4], [1, 8, 4], [1, 8, 2], null, null, null, null, [1, 6]], {
    name: "with peepholes",
    attributes: { hidden_size: 2 },
    outputs: 3,
  }),
  one(
    "GRU",
    [
      [3, 2, 4],
      [1, 6, 4],
      [1, 6, 2],
    ],
    {
      name: "clipped",
      attributes: { hidden_size: 2, clip: 0.5 },
      floats: ["clip"],
      outputs: 2,
    },
  ),
  one("Identity", [[2, 3]]),
  one("Dropout", [[2, 3]]),
  one("Cast", [[2, 3]], { attributes: { to: 1 } }),
  one("Shape", [[2, 3]]),
  one("Size", [[2, 3]]),
  one("ConstantOfShape", [null], { constants: { 0: whole(2, 3) }, attributes: { value: reals(1.5) } }),
  one("Range", [null, null, null], {
    constants: { 0: real(1), 1: real(7), 2: real(2) },
  }),
  one("QuantizeLinear", [[2, 3, 4], null, null], {
    name: "along an axis",
    constants: { 1: reals(0.1, 0.02, 0.03), 2: bytes([3], 0, 5, -7) },
  }),
  one("QuantizeLinear", [[3, 5], null], {
    ...{ name: "of a type that is asked for", opset: 21 },
    ...{ attributes: { output_dtype: 3 }, constants: { 1: real(0.25) } },
  }),
  one("QuantizeLinear", [[3, 5], null], { name: "without a zero point", constants: { 1: real(0.25) } }),
  one("DequantizeLinear", [null, null, null], {
    constants: { 0: bytes([2, 3], -128, 0, 7, 127, -1, 5), 1: reals(0.5, 0.25), 2: bytes([2], 1, -2) },
    attributes: { axis: 0 },
  }),
  one("DequantizeLinear", [null, null], {
    name: "with one scale",
    constants: { 0: bytes([2, 3], -128, 0, 7, 127, -1, 5), 1: real(0.5) },
  }),
  one("Not", [null], { constants: { 0: truth([3], 1, 0, 1) } }),
  one("ArgMax", [[3, 4]], { attributes: { axis: 1, keepdims: 0 } }),
  ...["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"].map((op) => one(op, [[3, 4], [4]])),
  ...["And", "Or", "Xor"].map((op) =>
    one(op, [null, null], { constants: { 0: truth([4], 1, 0, 1, 0), 1: truth([4], 1, 1, 0, 0) } }),
  ),
  one("Mod", [null, null], { constants: { 0: whole(7, -7, 5), 1: whole(3, 3, -3) } }),
  ...["Floor", "Ceil", "Round", "Sign"].map((op) => one(op, [[3, 5]])),
];

/** Numbers of an input of a case: spread over its range, and the same for everybody. No two are equal, and none lies near a corner. */
export function inputNumbers({ range: [low, high] }: OperatorCase, place: number, size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, i) => {
    const spread = ((i + 1) * 0.6180339887498949 + place * 0.37) % 1;
    return Math.fround(low + (high - low) * (0.01 + 0.98 * spread));
  });
}

/** The graph of a case. */
export function graphOfCase(spec: OperatorCase): GraphSpec {
  const names = spec.inputs.map((shape, i) => (shape === null && !spec.constants[i] ? "" : `x${i}`));
  const shapes = spec.inputs;
  const isFed = (i: number): boolean => shapes[i] !== null && !spec.weights.includes(i);
  const outputs = Array.from({ length: spec.outputs }, (_, i) => `y${i}`);
  return {
    name: spec.name,
    nodes: [{ name: "n", op: spec.op, domain: "", inputs: names, outputs, attributes: spec.attributes }],
    initializers: names.flatMap((name, i): GraphTensor[] => {
      if (isFed(i) || name === "") return [];
      const constant = spec.constants[i];
      if (constant) return [{ ...constant, name }];
      const shape = shapes[i]!;
      const data = Float32Array.from(
        inputNumbers(
          spec,
          i,
          shape.reduce((product, extent) => product * extent, 1),
        ),
      );
      return [{ name, dtype: "f32", shape, data }];
    }),
    inputs: names.flatMap((name, i) => (isFed(i) ? [{ name, dtype: "f32", shape: shapes[i]! }] : [])),
    outputs: outputs.map((name) => ({ name, dtype: "f32" })),
  };
}
