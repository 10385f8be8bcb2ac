/** Random graphs of image operators whose channels meet in every way there is. */
import { createRng, type Rng } from "@secateur/core";
import type { GraphTensor, NodeSpec } from "../graph-spec.ts";
import type { Shape } from "../value.ts";
import { node, weights, whole } from "./channels.test-support.ts";
import type { ChannelSpec } from "./trace-channels.ts";

interface Image {
  readonly name: string;
  readonly channels: number;
  readonly size: number;
}

/** A graph under construction. */
interface Draft {
  readonly rng: Rng;
  readonly nodes: NodeSpec[];
  readonly tensors: GraphTensor[];
  readonly images: Image[];
}

/** A graph of some ten random operators on images of 8 x 8, with an output of 3 numbers. */
export function randomGraph(seed: number): ChannelSpec {
  const rng = createRng(seed);
  const draft: Draft = { rng, nodes: [], tensors: [], images: [] };
  draft.images.push(conv(draft, { name: "x", channels: 3, size: 8 }, { out: 8 }));
  for (let i = 0; i < 10; i++) draft.images.push(...extended(draft, pick(rng, draft.images)));
  const last = draft.images.at(-1)!;
  const pooled = add(draft, "GlobalAveragePool", [last.name]);
  const flat = add(draft, "Flatten", [pooled]);
  const output = add(draft, "Gemm", [flat, tensor(draft, [3, last.channels]), tensor(draft, [3])], { transB: 1 });
  return {
    graph: {
      name: `random ${seed}`,
      nodes: draft.nodes,
      initializers: draft.tensors,
      inputs: [{ name: "x", dtype: "f32", shape: ["batch", 3, 8, 8] }],
      outputs: [{ name: output, dtype: "f32" }],
    },
    opsets: { "": 17 },
    shapes: new Map([["x", [2, 3, 8, 8]]]),
  };
}

function pick<T>(rng: Rng, list: readonly T[]): T {
  return list[rng.integer(list.length)]!;
}

function tensor({ rng, tensors }: Draft, shape: Shape, name = "w"): string {
  const own = `${name} ${tensors.length}`;
  tensors.push(weights(rng, own, shape));
  return own;
}

function numbers({ tensors }: Draft, ...list: readonly number[]): string {
  const own = `numbers ${tensors.length}`;
  tensors.push(whole(own, ...list));
  return own;
}

function add({ nodes }: Draft, op: string, inputs: readonly string[], attributes: NodeSpec["attributes"] = {}): string {
  const output = `${op} ${nodes.length}`;
  nodes.push(node(op, inputs, output, attributes));
  return output;
}

function conv(draft: Draft, x: Image, { out = x.channels, group = 1 }: { out?: number; group?: number }): Image {
  // A kernel of one tap puts no zeros around images, so that constants can be folded into its bias.
  const kernel = draft.rng.integer(2) ? 1 : 3;
  const pad = (kernel - 1) / 2;
  const inputs = [
    x.name,
    tensor(draft, [out, x.channels / group, kernel, kernel]),
    ...(draft.rng.integer(2) ? [tensor(draft, [out])] : []),
  ];
  const name = add(draft, "Conv", inputs, { pads: [pad, pad, pad, pad], group });
  return { ...x, name, channels: out };
}

/** One more operator on an image; the list of ways covers every kind of rule. */
function extended(draft: Draft, x: Image): readonly Image[] {
  const { rng, images } = draft;
  const { channels, size } = x;
  const named = (name: string, change: Partial<Image> = {}): Image => ({ ...x, ...change, name });
  const ways: readonly (() => readonly Image[])[] = [
    () => [conv(draft, x, { out: 4 + 2 * rng.integer(4) })],
    () => [conv(draft, x, { group: channels })],
    () => [conv(draft, x, { group: channels % 2 === 0 ? 2 : 1 })],
    () => {
      const norm = ["scale", "shift", "mean", "variance"].map((name) => tensor(draft, [channels], name));
      return [named(add(draft, "BatchNormalization", [x.name, ...norm]))];
    },
    () => [named(add(draft, pick(rng, ["Relu", "Sigmoid", "HardSwish", "Tanh"]), [x.name]))],
    () => {
      const other = images.find((image) => image !== x && image.channels === channels && image.size === size) ?? x;
      return [named(add(draft, pick(rng, ["Add", "Mul", "Max"]), [x.name, other.name]))];
    },
    () => {
      const other = pick(
        rng,
        images.filter((image) => image.size === size),
      );
      if (channels + other.channels > 24) return [];
      return [named(add(draft, "Concat", [x.name, other.name], { axis: 1 }), { channels: channels + other.channels })];
    },
    () => {
      if (size < 4) return [];
      return [
        named(add(draft, pick(rng, ["MaxPool", "AveragePool"]), [x.name], { kernel_shape: [2, 2], strides: [2, 2] }), {
          size: size / 2,
        }),
      ];
    },
    () => {
      const squeezed = conv(draft, named(add(draft, "GlobalAveragePool", [x.name]), { size: 1 }), {});
      return [named(add(draft, "Mul", [x.name, add(draft, "Sigmoid", [squeezed.name])]))];
    },
    () => {
      if (channels % 2 !== 0) return [];
      const apart = add(draft, "Reshape", [x.name, numbers(draft, 0, 2, channels / 2, size, size)]);
      const turned = add(draft, "Transpose", [apart], { perm: [0, 2, 1, 3, 4] });
      return [named(add(draft, "Reshape", [turned, numbers(draft, -1, channels, size, size)]))];
    },
    () => {
      if (channels < 4) return [];
      const part = add(draft, "Slice", [x.name, numbers(draft, 1), numbers(draft, channels - 1), numbers(draft, 1)]);
      return [named(part, { channels: channels - 2 })];
    },
    () => {
      if (channels < 4) return [];
      const [first, second] = [2, channels - 2];
      const names = [`one ${draft.nodes.length}`, `two ${draft.nodes.length}`];
      draft.nodes.push(node("Split", [x.name, numbers(draft, first, second)], names, { axis: 1 }));
      return [named(names[0]!, { channels: first }), named(names[1]!, { channels: second })];
    },
    () => {
      const order = Array.from({ length: channels }, (_, i) => channels - 1 - i);
      return [named(add(draft, "Gather", [x.name, numbers(draft, ...order)], { axis: 1 }))];
    },
    () => {
      if (size > 4) return [];
      const up = add(draft, "ConvTranspose", [x.name, tensor(draft, [channels, 5, 2, 2])], { strides: [2, 2] });
      return [named(up, { channels: 5, size: size * 2 })];
    },
  ];
  return pick(rng, ways)();
}
