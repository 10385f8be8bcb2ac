/** Keras's convolutions and pooling as ONNX operators: kernels go from [..., in, out] to [out, in, ...]. */
import { z } from "zod";
import { channelsFirst, type OrientedValue, oriented } from "../oriented-value.ts";
import { writeActivation } from "./keras-activation.ts";
import {
  activationSetting,
  biasSetting,
  type KerasWeight,
  type LayerCall,
  layoutSetting,
  paddingSetting,
  refusedLayer,
  settingsOf,
  sizes,
} from "./keras-call.ts";

/** A Conv1D, Conv2D or DepthwiseConv2D. */
export function writeConvolution(call: LayerCall): OrientedValue {
  const isDepthwise = call.layer.className === "DepthwiseConv2D";
  const spatial = call.layer.className === "Conv1D" ? 1 : 2;
  const given = convolutionSettings(call, spatial);
  const kernel = call.weight(isDepthwise ? "depthwise_kernel" : "kernel");
  const groups = isDepthwise ? kernel.shape[2]! : given.groups;
  const bias = given.use_bias ? [call.tensor(call.weight("bias"))] : [];
  const weight = call.tensor(isDepthwise ? depthwiseFirst(kernel) : outFirst(kernel));
  const value = convolve(call, {
    ...given,
    input: call.inputs[0],
    weight,
    bias,
    groups,
    kernel: kernel.shape.slice(0, spatial),
  });
  return writeActivation(call, value, given.activation);
}

/** A SeparableConv2D: a depthwise convolution, then one of 1 x 1. */
export function writeSeparable(call: LayerCall): OrientedValue {
  const given = convolutionSettings(call, 2);
  const [depthwise, pointwise] = [call.weight("depthwise_kernel"), call.weight("pointwise_kernel")];
  const each = convolve(call, {
    ...given,
    input: call.inputs[0],
    weight: call.tensor(depthwiseFirst(depthwise)),
    bias: [],
    groups: depthwise.shape[2]!,
    kernel: depthwise.shape.slice(0, 2),
  });
  const value = convolve(call, {
    ...{ padding: "valid" as const, strides: [1, 1], dilation_rate: [1, 1], groups: 1, kernel: [1, 1] },
    input: each,
    weight: call.tensor(outFirst(pointwise)),
    bias: given.use_bias ? [call.tensor(call.weight("bias"))] : [],
  });
  return writeActivation(call, value, given.activation);
}

/** A Conv2DTranspose. TensorFlow gives in * stride positions with "same", (in - 1) * stride + max(kernel, stride) with "valid". */
export function writeTransposed(call: LayerCall): OrientedValue {
  const { writer } = call;
  const given = convolutionSettings(call, 2);
  const kernel = call.weight("kernel"); // [height, width, out, in]
  if (given.dilation_rate.some((rate) => rate !== 1)) throw refusedLayer(call, "dilation", "use strides alone");
  if (given.groups !== 1) throw refusedLayer(call, `${given.groups} groups`, "use one");
  const beyond = given.strides.map((stride, d) => kernel.shape[d]! - stride);
  const cut = given.padding === "same" ? beyond.map((size) => Math.max(0, size)) : [0, 0];
  const attributes = {
    strides: given.strides,
    kernel_shape: kernel.shape.slice(0, 2),
    pads: [...cut.map((size) => size >> 1), ...cut.map((size) => size - (size >> 1))],
    output_padding: beyond.map((size) => Math.max(0, -size)),
  };
  const tensors = [call.tensor(outFirst(kernel)), ...(given.use_bias ? [call.tensor(call.weight("bias"))] : [])];
  const name = writer.node("ConvTranspose", [channelsFirst(call.inputs[0], writer), ...tensors], attributes);
  return writeActivation(call, oriented(name, 4, "first"), given.activation);
}

/** Largest or mean entry of windows. TensorFlow's mean counts no padding. */
export function writePool(call: LayerCall): OrientedValue {
  const { writer, layer } = call;
  const spatial = layer.className.endsWith("1D") ? 1 : 2;
  const given = settingsOf(call, {
    pool_size: sizes(spatial).default(Array.from({ length: spatial }, () => 2)),
    strides: sizes(spatial).nullish(),
    padding: paddingSetting,
    data_format: layoutSetting,
  });
  const isLargest = layer.className.startsWith("Max");
  const attributes = {
    kernel_shape: given.pool_size,
    strides: given.strides ?? given.pool_size,
    ...(given.padding === "same" ? { auto_pad: "SAME_UPPER" } : {}),
    ...(isLargest ? {} : { count_include_pad: 0 }),
  };
  const name = writer.node(isLargest ? "MaxPool" : "AveragePool", [channelsFirst(call.inputs[0], writer)], attributes);
  return oriented(name, spatial + 2, "first");
}

function convolutionSettings(call: LayerCall, spatial: number) {
  const ones = Array.from({ length: spatial }, () => 1);
  return settingsOf(call, {
    strides: sizes(spatial).default(ones),
    padding: paddingSetting,
    data_format: layoutSetting,
    dilation_rate: sizes(spatial).default(ones),
    groups: z.int().positive().default(1),
    activation: activationSetting,
    use_bias: biasSetting,
  });
}

function convolve(
  call: LayerCall,
  spec: Pick<ReturnType<typeof convolutionSettings>, "strides" | "padding" | "dilation_rate"> & {
    readonly input: OrientedValue;
    readonly weight: string;
    readonly bias: readonly string[];
    readonly groups: number;
    readonly kernel: readonly number[];
  },
): OrientedValue {
  const { writer } = call;
  const { strides, dilation_rate: dilations, kernel, padding, weight, bias, input, groups } = spec;
  const attributes = {
    kernel_shape: kernel,
    strides,
    dilations,
    group: groups,
    ...padsOf(call, { strides, dilations, kernel, padding }),
  };
  return oriented(
    writer.node("Conv", [channelsFirst(input, writer), weight, ...bias], attributes),
    input.rank,
    "first",
  );
}

/** With a stride, what "same" adds depends on the size of the input, which only the runtime knows; runtimes do not take dilation there. */
function padsOf(
  call: LayerCall,
  spec: { strides: readonly number[]; dilations: readonly number[]; kernel: readonly number[]; padding: string },
): { pads?: readonly number[]; auto_pad?: string } {
  const { strides, dilations, kernel, padding } = spec;
  if (padding === "valid") return {};
  const reach = kernel.map((size, d) => (size - 1) * dilations[d]!);
  if (strides.every((stride) => stride === 1)) {
    return { pads: [...reach.map((size) => size >> 1), ...reach.map((size) => size - (size >> 1))] };
  }
  if (dilations.some((dilation) => dilation !== 1)) {
    throw refusedLayer(call, "strides and dilation at once", "use one of them");
  }
  return { auto_pad: "SAME_UPPER" };
}

/** [..., in, out] as [out, in, ...] */
function outFirst({ name, shape, data }: KerasWeight): KerasWeight {
  const spatial = shape.slice(0, -2);
  const [inputs = 1, outputs = 1] = shape.slice(-2);
  const positions = spatial.reduce((product, extent) => product * extent, 1);
  const turned = new Float32Array(data.length);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++)
        turned[(o * inputs + i) * positions + p] = data[(p * inputs + i) * outputs + o]!;
    }
  }
  return { name, shape: [outputs, inputs, ...spatial], data: turned };
}

/** [height, width, in, multiplier] as [in * multiplier, 1, height, width] */
function depthwiseFirst({ name, shape, data }: KerasWeight): KerasWeight {
  const [height = 1, width = 1, inputs = 1, multiplier = 1] = shape;
  const flat = outFirst({ name, shape: [height, width, 1, inputs * multiplier], data });
  return { name, shape: flat.shape, data: flat.data };
}
