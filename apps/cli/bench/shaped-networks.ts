/** Networks with the shapes of well-known ones, random weights and random masks: what they compute means nothing, what it takes does. */
import { createRng } from "@secateur/core";
import { encodeOnnx, type NewOnnxModel } from "@secateur/formats";
import { createNetwork, type LayerSpec, type Network, type NetworkSpec } from "@secateur/nn";

interface ConvShape {
  readonly in: number;
  readonly out: number;
  readonly size?: number;
  readonly stride?: number;
  readonly groups?: number;
}

/** Layers one after the other; every convolution has a bias, as those of exported networks have whose batch norm is folded. */
function chain(): {
  readonly layers: LayerSpec[];
  conv(shape: ConvShape, activation?: "relu" | "relu6", from?: string): string;
  add(a: string, b: string, activation?: "relu"): string;
} {
  const layers: LayerSpec[] = [];
  let count = 0;
  const named = (): string => `n${count++}`;
  const activated = (name: string, kind: "relu" | "relu6" | undefined): string => {
    if (!kind) return name;
    layers.push({ kind, name: `${name}r`, inputs: [name] });
    return `${name}r`;
  };
  return {
    layers,
    conv({ size = 1, ...shape }, activation, from) {
      const name = named();
      const placed = from === undefined ? {} : { inputs: [from] };
      layers.push({ kind: "conv2d", name, ...shape, kernel: [size, size], padding: (size - 1) / 2, ...placed });
      return activated(name, activation);
    },
    add(a, b, activation) {
      const name = named();
      layers.push({ kind: "add", name, inputs: [a, b] });
      return activated(name, activation);
    },
  };
}

function headed(
  name: string,
  side: number,
  spec: { layers: LayerSpec[]; features: number; classes: number },
): NetworkSpec {
  const { layers, features, classes } = spec;
  const head: LayerSpec[] = [
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: features, out: classes },
  ];
  return { name, inputShape: [3, side, side], classes, layers: [...layers, ...head] };
}

/** ResNet20 for CIFAR (He et al. 2016), projections as shortcuts. */
function resnet20(): NetworkSpec {
  const { layers, conv, add } = chain();
  let from = conv({ in: 3, out: 16, size: 3 }, "relu");
  let channels = 16;
  for (const out of [16, 32, 64]) {
    for (let b = 0; b < 3; b++) {
      const stride = b === 0 && out > 16 ? 2 : 1;
      const inner = conv({ in: channels, out, size: 3, stride }, "relu", from);
      const last = conv({ in: out, out, size: 3 }, undefined, inner);
      const shortcut = stride === 2 ? conv({ in: channels, out, stride }, undefined, from) : from;
      from = add(last, shortcut, "relu");
      channels = out;
    }
  }
  return headed("resnet20", 32, { layers, features: 64, classes: 10 });
}

/** ResNet50 (He et al. 2016), with the stride in the 3 x 3 convolution. */
function resnet50(): NetworkSpec {
  const { layers, conv, add } = chain();
  conv({ in: 3, out: 64, size: 7, stride: 2 }, "relu");
  layers.push({ kind: "max-pool", name: "pool", size: 3, stride: 2, padding: 1 });
  let from = "pool";
  let channels = 64;
  [3, 4, 6, 3].forEach((blocks, stage) => {
    const inner = 64 << stage;
    for (let b = 0; b < blocks; b++) {
      const stride = b === 0 && stage > 0 ? 2 : 1;
      const first = conv({ in: channels, out: inner }, "relu", from);
      const second = conv({ in: inner, out: inner, size: 3, stride }, "relu", first);
      const third = conv({ in: inner, out: 4 * inner }, undefined, second);
      const shortcut = b === 0 ? conv({ in: channels, out: 4 * inner, stride }, undefined, from) : from;
      from = add(third, shortcut, "relu");
      channels = 4 * inner;
    }
  });
  return headed("resnet50", 224, { layers, features: 2048, classes: 1000 });
}

/** MobileNetV2 (Sandler et al. 2018), width 1. */
function mobilenetV2(): NetworkSpec {
  const { layers, conv, add } = chain();
  let from = conv({ in: 3, out: 32, size: 3, stride: 2 }, "relu6");
  let channels = 32;
  const stages = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ] as const;
  for (const [expansion, out, blocks, firstStride] of stages) {
    for (let b = 0; b < blocks; b++) {
      const stride = b === 0 ? firstStride : 1;
      const wide = expansion * channels;
      const before = from;
      if (expansion > 1) from = conv({ in: channels, out: wide }, "relu6", from);
      from = conv({ in: wide, out: wide, size: 3, stride, groups: wide }, "relu6", from);
      from = conv({ in: wide, out }, undefined, from);
      if (stride === 1 && channels === out) from = add(from, before);
      channels = out;
    }
  }
  conv({ in: 320, out: 1280 }, "relu6", from);
  return headed("mobilenetv2", 224, { layers, features: 1280, classes: 1000 });
}

const specs = { resnet20, mobilenetv2: mobilenetV2, resnet50 } as const;

/** Networks of layers, by name. */
export const imageNetworks = Object.keys(specs) as readonly (keyof typeof specs)[];

/** Normal weights as He et al. scale them for the inputs that are kept, under random masks; depthwise layers stay dense. */
export function imageNetwork(name: keyof typeof specs, sparsity: number): Network {
  const network = createNetwork(specs[name](), { seed: 1 });
  for (const { name: tensor, shape } of network.tensors()) {
    const weight = network.weights.get(tensor);
    if (weight && shape.length > 1 && shape[1] !== 1) weight.data.set(masked(weight.data, sparsity, tensor));
  }
  return network;
}

/** Weights under a random mask, those that stay larger by as much as sums lose. */
function masked(data: ArrayLike<number>, sparsity: number, seed: string): Float32Array {
  const rng = createRng(`${seed} ${data.length} ${sparsity}`);
  const scale = Math.sqrt(1 / (1 - sparsity));
  return Float32Array.from(data, (weight) => (rng.next() < sparsity ? 0 : weight * scale));
}

/** Characters, numbers of a character's vector and of a layer's state, layers. */
const [characters, embedded, hidden, depth] = [96, 128, 512, 2] as const;

/** A character model that takes one character a run, and the states of its LSTM layers. */
export function characterModel(sparsity: number): Uint8Array {
  const rng = createRng("characters");
  const random = (shape: readonly number[], name: string, isMasked = true) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const scale = Math.sqrt(1 / shape.at(-1)!);
    const data = Float32Array.from({ length: size }, () => (2 * rng.next() - 1) * scale);
    return { name, dtype: "f32" as const, shape, data: isMasked ? masked(data, sparsity, name) : data };
  };
  const initializers: NewOnnxModel["graph"]["initializers"][number][] = [
    random([characters, embedded], "embedding", false),
    random([characters, hidden], "out.weight"),
    random([characters], "out.bias", false),
  ];
  const nodes: NewOnnxModel["graph"]["nodes"][number][] = [];
  const node = (op: string, inputs: readonly string[], outputs: readonly string[], attributes = {}): void => {
    nodes.push({ name: `${op} ${nodes.length}`, op, domain: "", inputs, outputs, attributes });
  };
  const states: { name: string; dtype: "f32"; shape: readonly number[] }[] = [];
  const next: typeof states = [];
  node("Gather", ["embedding", "character"], ["x0"]);
  for (let layer = 0; layer < depth; layer++) {
    const [w, r, b] = [`${layer}.W`, `${layer}.R`, `${layer}.B`];
    const taken = layer === 0 ? embedded : hidden;
    initializers.push(
      random([1, 4 * hidden, taken], w),
      random([1, 4 * hidden, hidden], r),
      random([1, 8 * hidden], b, false),
    );
    const [h, c] = [`h${layer}`, `c${layer}`];
    node("LSTM", [`x${layer}`, w, r, b, "", h, c], [`y${layer}`, `${h}n`, `${c}n`], { hidden_size: hidden });
    node("Squeeze", [`y${layer}`, "direction"], [`x${layer + 1}`]);
    for (const name of [h, c]) states.push({ name, dtype: "f32", shape: [1, 1, hidden] });
    for (const name of [h, c]) next.push({ name: `${name}n`, dtype: "f32", shape: [1, 1, hidden] });
  }
  initializers.push({ name: "direction", dtype: "i64", shape: [1], data: BigInt64Array.of(1n) });
  initializers.push({ name: "rows", dtype: "i64", shape: [2], data: BigInt64Array.of(1n, BigInt(hidden)) });
  node("Reshape", [`x${depth}`, "rows"], ["last"]);
  node("Gemm", ["last", "out.weight", "out.bias"], ["scores"], { transB: 1 });
  return encodeOnnx({
    opsets: { "": 13 },
    metadata: {},
    graph: {
      ...{ name: "characters", nodes, initializers },
      inputs: [{ name: "character", dtype: "i64", shape: [1, 1] }, ...states],
      outputs: [{ name: "scores", dtype: "f32", shape: [1, characters] }, ...next],
    },
  });
}
