/** How each class of Keras layers is written as ONNX operators. */
import { z } from "zod";
import { channelsFirst, channelsLast, inOneOrder, type OrientedValue, oriented } from "../oriented-value.ts";
import { writeActivation } from "./keras-activation.ts";
import {
  activationSetting,
  biasSetting,
  type LayerCall,
  layoutSetting,
  refusedLayer,
  settingsOf,
} from "./keras-call.ts";
import { writeConvolution, writePool, writeSeparable, writeTransposed } from "./keras-convolution.ts";
import { writeRecurrent } from "./keras-recurrent.ts";

type Write = (call: LayerCall) => OrientedValue;

const asItIs: Write = ({ inputs: [value] }) => value;

const writers: Readonly<Record<string, Write>> = {
  Dense: writeDense,
  Conv1D: writeConvolution,
  Conv2D: writeConvolution,
  DepthwiseConv2D: writeConvolution,
  SeparableConv2D: writeSeparable,
  Conv2DTranspose: writeTransposed,
  MaxPooling1D: writePool,
  MaxPooling2D: writePool,
  AveragePooling1D: writePool,
  AveragePooling2D: writePool,
  GlobalAveragePooling1D: (call) => globalPool(call, "GlobalAveragePool"),
  GlobalAveragePooling2D: (call) => globalPool(call, "GlobalAveragePool"),
  GlobalMaxPooling1D: (call) => globalPool(call, "GlobalMaxPool"),
  GlobalMaxPooling2D: (call) => globalPool(call, "GlobalMaxPool"),
  BatchNormalization: writeBatchNorm,
  LayerNormalization: writeLayerNorm,
  LSTM: writeRecurrent,
  GRU: writeRecurrent,
  Embedding: writeEmbedding,
  Activation: (call) =>
    writeActivation(call, call.inputs[0], settingsOf(call, { activation: activationSetting }).activation),
  Softmax: (call) => {
    const { axis } = settingsOf(call, { axis: z.int().default(-1) });
    if (axis !== -1 && axis !== call.inputs[0].rank - 1) throw refusedLayer(call, `axis ${axis}`, "use the last axis");
    return writeActivation(call, call.inputs[0], "softmax");
  },
  ReLU: writeRelu,
  LeakyReLU: (call) => {
    const { alpha } = settingsOf(call, { alpha: z.number().default(0.3) });
    return unary(call, "LeakyRelu", { alpha });
  },
  ELU: (call) => unary(call, "Elu", { alpha: settingsOf(call, { alpha: z.number().default(1) }).alpha }),
  Add: (call) => join(call, "Add"),
  Multiply: (call) => join(call, "Mul"),
  Subtract: (call) => join(call, "Sub"),
  Maximum: (call) => join(call, "Max"),
  Minimum: (call) => join(call, "Min"),
  Average: (call) => {
    const { writer, inputs } = call;
    const sum = join(call, "Add");
    const order = sum.first === undefined ? "last" : "first";
    return oriented(writer.node("Mul", [sum[order]!, writer.real(1 / inputs.length)]), sum.rank, order);
  },
  Concatenate: writeConcat,
  Flatten: (call) => {
    const { writer, inputs } = call;
    settingsOf(call, { data_format: layoutSetting });
    return oriented(writer.node("Flatten", [channelsLast(inputs[0], writer)], { axis: 1 }), 2);
  },
  Reshape: (call) => {
    const { target_shape: shape } = settingsOf(call, { target_shape: z.array(z.int()).min(1) });
    const { writer, inputs } = call;
    // 0 keeps the batch as it is.
    const name = writer.node("Reshape", [channelsLast(inputs[0], writer), writer.whole(0, ...shape)]);
    return oriented(name, shape.length + 1);
  },
  Permute: (call) => {
    const { dims } = settingsOf(call, { dims: z.array(z.int().positive()) });
    const { writer, inputs } = call;
    return oriented(
      writer.node("Transpose", [channelsLast(inputs[0], writer)], { perm: [0, ...dims] }),
      inputs[0].rank,
    );
  },
  ZeroPadding2D: writeZeroPadding,
  UpSampling2D: writeUpSampling,
  Rescaling: (call) => {
    const { scale, offset } = settingsOf(call, { scale: z.number(), offset: z.number().default(0) });
    const { writer, inputs } = call;
    const scaled = writer.node("Mul", [channelsLast(inputs[0], writer), writer.real(scale)]);
    return oriented(writer.node("Add", [scaled, writer.real(offset)]), inputs[0].rank);
  },
  // These do nothing at inference.
  Dropout: asItIs,
  SpatialDropout1D: asItIs,
  SpatialDropout2D: asItIs,
  GaussianDropout: asItIs,
  GaussianNoise: asItIs,
  AlphaDropout: asItIs,
  ActivityRegularization: asItIs,
};

/** Classes that take several inputs, all of one rank. */
const joins = ["Add", "Multiply", "Subtract", "Maximum", "Minimum", "Average", "Concatenate"];

/** Classes of Keras layers that become ONNX. */
const exportedLayers: readonly string[] = Object.keys(writers);

/** Writes one use of a layer; returns its output. @throws ERR_EXPORT for a class or a setting that is not written */
export function writeKerasLayer(call: LayerCall): OrientedValue {
  const { className } = call.layer;
  const write = Object.hasOwn(writers, className) ? writers[className] : undefined;
  if (!write) throw refusedLayer(call, "a class that is not written", `classes that are: ${exportedLayers.join(", ")}`);
  const ranks = new Set(call.inputs.map(({ rank }) => rank));
  if (joins.includes(className) ? ranks.size > 1 : call.inputs.length > 1) {
    throw refusedLayer(
      call,
      `${call.inputs.length} inputs, ${ranks.size} of different rank`,
      "give it what it needs alone",
    );
  }
  return write(call);
}

/** y = act(x W + b), W [in, out] as Keras keeps it; over the last dimension. */
function writeDense(call: LayerCall): OrientedValue {
  const { writer, inputs } = call;
  const given = settingsOf(call, { activation: activationSetting, use_bias: biasSetting });
  const kernel = call.tensor(call.weight("kernel"));
  const bias = given.use_bias ? [call.tensor(call.weight("bias"))] : [];
  const { rank } = inputs[0];
  const x = channelsLast(inputs[0], writer);
  const product = rank === 2 ? writer.node("Gemm", [x, kernel, ...bias]) : writer.node("MatMul", [x, kernel]);
  const name = rank === 2 || bias.length === 0 ? product : writer.node("Add", [product, ...bias]);
  return writeActivation(call, oriented(name, rank), given.activation);
}

function writeBatchNorm(call: LayerCall): OrientedValue {
  const { writer, inputs } = call;
  const { rank } = inputs[0];
  const given = settingsOf(call, {
    axis: z
      .union([
        z.int(),
        z
          .array(z.int())
          .length(1)
          .transform(([axis]) => axis!),
      ])
      .default(-1),
    epsilon: z.number().default(1e-3),
    scale: z.boolean().default(true),
    center: z.boolean().default(true),
  });
  if (given.axis !== -1 && given.axis !== rank - 1)
    throw refusedLayer(call, `axis ${given.axis}`, "normalise the last axis");
  const mean = call.weight("moving_mean");
  const filled = (role: string, value: number) => ({
    ...mean,
    name: `${call.layer.name}/${role}`,
    data: new Float32Array(mean.data.length).fill(value),
  });
  const scale = call.tensor(given.scale ? call.weight("gamma") : filled("gamma", 1));
  const shift = call.tensor(given.center ? call.weight("beta") : filled("beta", 0));
  const statistics = [call.tensor(mean), call.tensor(call.weight("moving_variance"))];
  const x = channelsFirst(inputs[0], writer);
  const attributes = { epsilon: given.epsilon };
  return oriented(
    writer.node("BatchNormalization", [x, scale, shift, ...statistics], attributes, undefined, ["epsilon"]),
    rank,
    "first",
  );
}

function writeLayerNorm(call: LayerCall): OrientedValue {
  const { writer, inputs } = call;
  const { rank } = inputs[0];
  const { epsilon, axis } = settingsOf(call, {
    center: z.literal(true).default(true),
    scale: z.literal(true).default(true),
    epsilon: z.number().default(1e-3),
    axis: z
      .union([
        z.int(),
        z
          .array(z.int())
          .length(1)
          .transform(([one]) => one!),
      ])
      .default(-1),
  });
  if (axis !== -1 && axis !== rank - 1) throw refusedLayer(call, `axis ${axis}`, "normalise the last axis");
  const tensors = [call.tensor(call.weight("gamma")), call.tensor(call.weight("beta"))];
  const x = channelsLast(inputs[0], writer);
  return oriented(
    writer.node("LayerNormalization", [x, ...tensors], { axis: -1, epsilon }, undefined, ["epsilon"]),
    rank,
  );
}

function writeEmbedding(call: LayerCall): OrientedValue {
  const { writer, inputs } = call;
  settingsOf(call, {});
  // Token numbers may come as floats, as Keras takes them.
  const indices = writer.node("Cast", [channelsLast(inputs[0], writer)], { to: 7 });
  const name = writer.node("Gather", [call.tensor(call.weight("embeddings")), indices], { axis: 0 });
  return oriented(name, inputs[0].rank + 1);
}

function writeRelu(call: LayerCall): OrientedValue {
  const given = settingsOf(call, {
    max_value: z.number().nullish(),
    negative_slope: z.number().nullish(),
    threshold: z.number().nullish(),
  });
  if (given.negative_slope || given.threshold) throw refusedLayer(call, "a slope or a threshold", "use LeakyReLU");
  const relu = writeActivation(call, call.inputs[0], "relu");
  if (given.max_value === undefined || given.max_value === null) return relu;
  const { writer } = call;
  const order = relu.first === undefined ? "last" : "first";
  return oriented(writer.node("Clip", [relu[order]!, writer.real(0), writer.real(given.max_value)]), relu.rank, order);
}

function unary(
  { writer, inputs: [value] }: LayerCall,
  op: string,
  attributes: Readonly<Record<string, number>>,
): OrientedValue {
  const order = value.first === undefined ? "last" : "first";
  const name = writer.node(op, [value[order]!], attributes, undefined, Object.keys(attributes));
  return oriented(name, value.rank, order);
}

function join(call: LayerCall, op: string): OrientedValue {
  const { writer, inputs } = call;
  settingsOf(call, {});
  const { names, order } = inOneOrder(inputs, writer);
  const [first, ...rest] = names as readonly [string, ...string[]];
  const { rank } = inputs[0];
  return oriented(
    rest.reduce((sum, name) => writer.node(op, [sum, name]), first),
    rank,
    order,
  );
}

function writeConcat(call: LayerCall): OrientedValue {
  const { writer, inputs } = call;
  const { rank } = inputs[0];
  const { axis } = settingsOf(call, { axis: z.int().default(-1) });
  if (axis === -1 || axis === rank - 1) {
    const { names, order } = inOneOrder(inputs, writer);
    return oriented(writer.node("Concat", names, { axis: order === "first" ? 1 : rank - 1 }), rank, order);
  }
  const names = inputs.map((value) => channelsLast(value, writer));
  return oriented(writer.node("Concat", names, { axis: axis < 0 ? axis + rank : axis }), rank);
}

/** Mean or largest entry over all positions. */
function globalPool(call: LayerCall, op: "GlobalAveragePool" | "GlobalMaxPool"): OrientedValue {
  const { writer, inputs } = call;
  settingsOf(call, { data_format: layoutSetting });
  const pooled = writer.node(op, [channelsFirst(inputs[0], writer)]);
  return oriented(writer.node("Flatten", [pooled], { axis: 1 }), 2);
}

function writeZeroPadding(call: LayerCall): OrientedValue {
  const { writer, inputs } = call;
  const pair = z.union([
    z
      .int()
      .min(0)
      .transform((size) => [size, size]),
    z.array(z.int().min(0)).length(2),
  ]);
  const { padding } = settingsOf(call, {
    padding: z
      .union([
        z
          .int()
          .min(0)
          .transform((size) => [
            [size, size],
            [size, size],
          ]),
        z.array(pair).length(2),
      ])
      .default([
        [1, 1],
        [1, 1],
      ]),
    data_format: layoutSetting,
  });
  const [[top, bottom], [left, right]] = padding as [[number, number], [number, number]];
  const pads = writer.whole(0, 0, top, left, 0, 0, bottom, right);
  return oriented(writer.node("Pad", [channelsFirst(inputs[0], writer), pads]), 4, "first");
}

function writeUpSampling(call: LayerCall): OrientedValue {
  const { writer, inputs } = call;
  const { size, interpolation } = settingsOf(call, {
    size: z
      .union([
        z
          .int()
          .positive()
          .transform((one) => [one, one]),
        z.array(z.int().positive()).length(2),
      ])
      .default([2, 2]),
    interpolation: z.enum(["nearest", "bilinear"]).default("nearest"),
    data_format: layoutSetting,
  });
  const scales = writer.reals(1, 1, ...size);
  const attributes =
    interpolation === "nearest"
      ? { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" }
      : { mode: "linear", coordinate_transformation_mode: "asymmetric" };
  return oriented(writer.node("Resize", [channelsFirst(inputs[0], writer), "", scales], attributes), 4, "first");
}
