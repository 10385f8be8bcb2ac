/** Networks as data: a description that serialises, so that formats can build one. */
import { badNetwork } from "./errors.ts";

/** y = x W' (+ b), W [out, in]. Its parameters are `name`.weight and, with bias, `name`.bias. */
export interface DenseSpec {
  readonly kind: "dense";
  readonly name: string;
  readonly in: number;
  readonly out: number;
  readonly bias: boolean;
}

/** max(x, 0) */
export interface ReluSpec {
  readonly kind: "relu";
}

/** x - log(sum(exp(x))) over the classes; only as the last layer. The loss is computed from the logits before it. */
export interface LogSoftmaxSpec {
  readonly kind: "log-softmax";
}

export type LayerSpec = DenseSpec | ReluSpec | LogSoftmaxSpec;

/** A classifier: layers applied in order to one flattened example. */
export interface NetworkSpec {
  readonly name: string;
  /** Shape of one example, for example [28, 28]. */
  readonly inputShape: readonly number[];
  readonly classes: number;
  readonly layers: readonly LayerSpec[];
}

/** A parameter of a network: its name and its shape as stored. */
export interface ParamSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * A multi-layer perceptron: dense layers fc1, fc2, ... with ReLU between them and log-softmax at the end.
 *
 * @param spec.sizes - features of the input, hidden widths, classes; at least two numbers
 * @param spec.bias - default true
 * @param spec.name - default "mlp"
 * @param spec.inputShape - default [sizes[0]]
 * @throws ERR_NETWORK
 * @example
 * const spec = mlp({ sizes: [784, 40, 20, 10], bias: false });
 */
export function mlp(spec: {
  sizes: readonly number[];
  bias?: boolean;
  name?: string;
  inputShape?: readonly number[];
}): NetworkSpec {
  const { sizes, bias = true, name = "mlp" } = spec;
  if (sizes.length < 2)
    throw badNetwork(name, `it has ${sizes.length} sizes; give at least the input's and the classes`);
  const layers: LayerSpec[] = [];
  for (let i = 1; i < sizes.length; i++) {
    if (i > 1) layers.push({ kind: "relu" });
    layers.push({ kind: "dense", name: `fc${i}`, in: sizes[i - 1]!, out: sizes[i]!, bias });
  }
  layers.push({ kind: "log-softmax" });
  const network = { name, inputShape: spec.inputShape ?? [sizes[0]!], classes: sizes[sizes.length - 1]!, layers };
  assertNetwork(network);
  return network;
}

/** The parameters of a network, in layer order. */
export function paramSpecs(network: NetworkSpec): readonly ParamSpec[] {
  return network.layers.flatMap((layer): ParamSpec[] => {
    if (layer.kind !== "dense") return [];
    const weight = { name: `${layer.name}.weight`, shape: [layer.out, layer.in] };
    return layer.bias ? [weight, { name: `${layer.name}.bias`, shape: [layer.out] }] : [weight];
  });
}

/** Number of features of one example. */
export function featureCount(network: NetworkSpec): number {
  return network.inputShape.reduce((product, extent) => product * extent, 1);
}

/** @throws ERR_NETWORK when the layers do not chain from the input to the classes */
export function assertNetwork(network: NetworkSpec): void {
  const { name, layers } = network;
  let width = featureCount(network);
  const names = new Set<string>();
  for (const [index, layer] of layers.entries()) {
    if (layer.kind === "log-softmax" && index !== layers.length - 1) {
      throw badNetwork(name, `layer ${index} is log-softmax, which is allowed only as the last layer`);
    }
    if (layer.kind !== "dense") continue;
    if (![layer.in, layer.out].every((extent) => Number.isInteger(extent) && extent > 0)) {
      throw badNetwork(
        name,
        `layer '${layer.name}' is ${layer.in} -> ${layer.out}; sizes are whole numbers of at least 1`,
      );
    }
    if (layer.in !== width)
      throw badNetwork(name, `layer '${layer.name}' takes ${layer.in} features and is given ${width}`);
    if (names.has(layer.name)) throw badNetwork(name, `two layers are named '${layer.name}'`);
    names.add(layer.name);
    width = layer.out;
  }
  if (names.size === 0) throw badNetwork(name, "it has no layer with weights");
  if (width !== network.classes)
    throw badNetwork(name, `its last layer gives ${width} values for ${network.classes} classes`);
}
