/** What shape a layer gives for the shapes it takes, with every reason why it cannot. */
import { badNetwork } from "../errors.ts";
import type { Conv2dSpec, LayerSpec, PoolSpec } from "./layer-spec.ts";
import { positionsOf, sizeOf, type ValueShape } from "./value-shape.ts";

/** Layers with tensors; a description from a file may leave anything out. */
const needsName: ReadonlySet<string> = new Set(["dense", "conv2d", "batch-norm", "layer-norm"]);

/** @throws ERR_NETWORK naming the layer, what it was given and what it takes */
export function inferShape(network: string, layer: LayerSpec, inputs: readonly ValueShape[]): ValueShape {
  const refuse = (problem: string): never => {
    throw badNetwork(network, `layer ${layer.name === undefined ? layer.kind : `'${layer.name}'`} ${problem}`);
  };
  if (needsName.has(layer.kind) && typeof layer.name !== "string") return refuse("needs a name, which its weights get");
  const [input] = inputs;
  if (!input) return refuse("has no input");
  if (inputs.length > 1 && layer.kind !== "add" && layer.kind !== "concat") {
    return refuse(`takes one input and is given ${inputs.length}`);
  }
  switch (layer.kind) {
    case "dense":
      assertWhole([layer.in, layer.out], () =>
        refuse(`is ${layer.in} -> ${layer.out}; sizes are whole numbers of at least 1`),
      );
      if (positionsOf(input) > 1) return refuse(`is given images of ${text(input)}; put a flatten before it`);
      if (layer.in !== sizeOf(input)) return refuse(`takes ${layer.in} features and is given ${sizeOf(input)}`);
      return { channels: layer.out, height: 1, width: 1 };
    case "conv2d":
      return convolved(layer, input, refuse);
    case "batch-norm":
      return layer.channels === input.channels
        ? input
        : refuse(`normalises ${layer.channels} channels and is given ${input.channels}`);
    case "layer-norm":
      if (positionsOf(input) > 1) return refuse(`is given images of ${text(input)}; put a flatten before it`);
      return layer.features === sizeOf(input)
        ? input
        : refuse(`normalises ${layer.features} features and is given ${sizeOf(input)}`);
    case "max-pool":
    case "average-pool":
      return pooled(layer, input, refuse);
    case "global-average-pool":
      return { channels: input.channels, height: 1, width: 1 };
    case "flatten":
      return { channels: sizeOf(input), height: 1, width: 1 };
    case "add":
      for (const other of inputs) {
        if (text(other) !== text(input)) return refuse(`adds ${text(input)} and ${text(other)}; shapes must agree`);
      }
      return input;
    case "concat":
      for (const other of inputs) {
        if (other.height !== input.height || other.width !== input.width) {
          return refuse(`joins ${text(input)} and ${text(other)}; heights and widths must agree`);
        }
      }
      return { ...input, channels: inputs.reduce((sum, { channels }) => sum + channels, 0) };
    case "subsample-and-pad":
      assertWhole([layer.stride, layer.channels], () =>
        refuse(`has stride ${layer.stride} and ${layer.channels} channels; give whole numbers of at least 1`),
      );
      if (layer.channels < input.channels || (layer.channels - input.channels) % 2 !== 0) {
        return refuse(`pads ${input.channels} channels to ${layer.channels}; give as many more before as after`);
      }
      return {
        channels: layer.channels,
        height: Math.ceil(input.height / layer.stride),
        width: Math.ceil(input.width / layer.stride),
      };
    case "dropout":
      return layer.rate >= 0 && layer.rate < 1 ? input : refuse(`has rate ${layer.rate}; give a number in [0, 1)`);
    case "relu":
    case "relu6":
    case "silu":
    case "gelu":
    case "log-softmax":
      return input;
    default:
      layer satisfies never;
      return refuse("is of a kind this version does not know");
  }
}

type Refuse = (problem: string) => never;

function convolved(layer: Conv2dSpec, input: ValueShape, refuse: Refuse): ValueShape {
  const { stride = 1, padding = 0, dilation = 1, groups = 1, kernel } = layer;
  if (!Array.isArray(kernel) || kernel.length !== 2) return refuse("needs a kernel of two sizes, [height, width]");
  assertWhole([layer.in, layer.out, ...kernel, stride, dilation, groups, padding + 1], () =>
    refuse("has a size, stride, dilation or group count that is not a whole number of at least 1"),
  );
  if (layer.in !== input.channels) return refuse(`takes ${layer.in} channels and is given ${input.channels}`);
  if (layer.in % groups !== 0 || layer.out % groups !== 0) {
    return refuse(`has ${groups} groups for ${layer.in} -> ${layer.out} channels; groups must divide both`);
  }
  return windowed(input, { channels: layer.out, kernel, stride, padding, dilation }, refuse);
}

function pooled(layer: PoolSpec, input: ValueShape, refuse: Refuse): ValueShape {
  const { size, stride = size, padding = 0 } = layer;
  assertWhole([size, stride, padding + 1], () =>
    refuse("has a size or stride that is not a whole number of at least 1"),
  );
  if (padding >= size) return refuse(`pads by ${padding}, which is not below its size ${size}`);
  return windowed(input, { channels: input.channels, kernel: [size, size], stride, padding, dilation: 1 }, refuse);
}

interface Windowed {
  readonly channels: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}

function windowed(
  input: ValueShape,
  { channels, kernel, stride, padding, dilation }: Windowed,
  refuse: Refuse,
): ValueShape {
  const [height, width] = [input.height, input.width].map((extent, axis) => {
    return Math.floor((extent + 2 * padding - dilation * (kernel[axis]! - 1) - 1) / stride) + 1;
  }) as [number, number];
  if (height < 1 || width < 1) return refuse(`looks at windows larger than its input of ${text(input)}`);
  const shape = { channels, height, width };
  if (channels * height * width > mostNumbers) return refuse(`gives ${text(shape)}, more than ${mostNumbers} numbers`);
  return shape;
}

/** Of one example's value: 8 GiB of f32. Padding and kernels of a file could ask for any number. */
const mostNumbers = 2 ** 31;

function assertWhole(values: readonly number[], refuse: () => never): void {
  if (!values.every((value) => Number.isInteger(value) && value >= 1)) refuse();
}

function text({ channels, height, width }: ValueShape): string {
  return `[${channels}, ${height}, ${width}]`;
}
