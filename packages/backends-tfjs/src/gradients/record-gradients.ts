/**
 * One forward and one backward pass over a batch in which every linear map by a weight leaves its input x and the gradient
 * delta at its output: the factors of the weight's gradient rows, for all examples at once. TensorFlow.js's tape gives the
 * deltas; its kernels' calls say how the weights were used. The summed gradients of these weights are never computed.
 */
import type { FloatTensors } from "@secateur/core";
import type { OutputKind } from "../heads.ts";
import { sharedTensor, type TapeNode, type Tensor, type TensorInfo, type Tf, tapeOf } from "../tf.ts";
import { type Differentiable, differentiate, lossAtHeads } from "./plain-gradients.ts";
import { type KernelCall, withWatchedKernels } from "./watched-kernels.ts";
import { aliasesOf, aliasKernels, linearKernels, useOf, type WeightAlias, type WeightUse } from "./weight-use.ts";

/** What a pass left behind. All tensors belong to the caller; see {@link disposeRecording}. */
export interface Recording {
  /** The model's outputs on the host, read as asked; all examples of the pass. */
  readonly outputs: FloatTensors;
  /** In the order of the forward pass. */
  readonly uses: readonly WeightUse[];
  /** Weights that were used in a way that leaves no factors: their rows must be taken one by one. */
  readonly others: ReadonlySet<string>;
  /** Weights whose output a batch normalisation takes, perhaps with something added. */
  readonly normed: ReadonlySet<string>;
  /** What the outputs are, in their order. */
  readonly kinds: readonly OutputKind[];
}

/**
 * Records a pass.
 *
 * @throws what TensorFlow.js throws, for example for operations without gradients
 */
export function recordGradients(tf: Tf, spec: Differentiable): Recording {
  const { weights } = spec;
  const aliases = new Map<object, WeightAlias>();
  for (const [weight, tensor] of weights) {
    aliases.set(tensor.dataId, { weight, column: 0, width: tensor.shape[tensor.shape.length - 1] ?? 1 });
  }
  const aliasOf = (info: TensorInfo): WeightAlias | undefined => aliases.get(info.dataId);
  const shapeOf = (weight: string): readonly number[] => weights.get(weight)!.shape;
  const uses: WeightUse[] = [];
  const others = new Set<string>();
  const byOutput = new Map<object, WeightUse>();
  // Weights behind a tensor, with nothing but sums between.
  const behind = new Map<object, readonly string[]>();
  const normed = new Set<string>();
  let isForward = true;
  let outputs: FloatTensors = {};
  let kinds: readonly OutputKind[] = [];
  const onCall = (call: KernelCall): void => {
    if (!isForward) return;
    const made = aliasesOf(call, aliasOf);
    made?.forEach((alias, place) => {
      aliases.set(call.outputs[place]!.dataId, alias);
    });
    const found = made ? undefined : useOf(tf, call, { aliasOf, shapeOf });
    const summed = Object.values(call.inputs).flatMap((one) => behind.get(one?.dataId ?? call) ?? []);
    if (call.name === "Add") behind.set(call.output.dataId, summed);
    if (call.name === "FusedBatchNorm") for (const weight of summed) normed.add(weight);
    if (!found) return;
    behind.set(call.output.dataId, [found.alias.weight]);
    const use: WeightUse = { weight: found.alias.weight, use: found.use, input: sharedTensor(tf, found.input) };
    uses.push(use);
    byOutput.set(call.output.dataId, use);
  };
  const run = (): Tensor => {
    return lossAtHeads(tf, spec, (heads, read) => {
      isForward = false;
      for (const node of tapeOf(tf)) watchNode(tf, node, { aliasOf, byOutput, others });
      kinds = heads.map(({ kind }) => kind);
      outputs = read;
    });
  };
  try {
    const { value, grads } = withWatchedKernels(
      tf,
      { watch: [...linearKernels, ...aliasKernels, "Add", "FusedBatchNorm"], onCall, replace: zeroFilterGradients(tf) },
      () => differentiate(tf, run, [...weights.values()]),
    );
    tf.dispose([value, ...grads.filter((gradient) => gradient !== undefined)]);
    return { outputs, uses, others, normed, kinds };
  } catch (error) {
    disposeUses(tf, uses);
    throw error;
  }
}

/** Gives back all tensors of a recording. */
export function disposeRecording(tf: Tf, { uses }: Recording): void {
  disposeUses(tf, uses);
}

function disposeUses(tf: Tf, uses: readonly WeightUse[]): void {
  tf.dispose(uses.flatMap(({ input, delta }) => (delta ? [input, delta] : [input])));
}

/** Lets the tape's node of a recorded use hand over its output gradient, and spares it the weight's own gradient. */
function watchNode(
  tf: Tf,
  node: TapeNode,
  spec: {
    aliasOf: (info: TensorInfo) => WeightAlias | undefined;
    byOutput: Map<object, WeightUse>;
    others: Set<string>;
  },
): void {
  const { aliasOf, byOutput, others } = spec;
  const weightInputs = Object.entries(node.inputs).filter(([, tensor]) => aliasOf(tensor) !== undefined);
  if (weightInputs.length === 0) return;
  const output = node.outputs[0]!;
  if (node.outputs.every((tensor) => aliasOf(tensor) !== undefined)) return; // reshaped, split: still the weight
  const use = byOutput.get(output.dataId);
  const original = node.gradient;
  if (!use || !original || weightInputs.length > 1) {
    for (const [, tensor] of weightInputs) others.add(aliasOf(tensor)!.weight);
    return;
  }
  byOutput.delete(output.dataId);
  node.gradient = (dys) => {
    use.delta = tf.keep(dys[0]!.clone());
    const gradients = { ...original(dys) };
    for (const [name, tensor] of weightInputs) gradients[name] = () => tf.zeros(tensor.shape);
    return gradients;
  };
}

/** Fused operations compute all their gradients together; the filters' are not wanted here. */
function zeroFilterGradients(tf: Tf): Record<string, (attributes: Record<string, unknown>) => TensorInfo> {
  const zero = (attributes: Record<string, unknown>): TensorInfo => tf.zeros(attributes["filterShape"] as number[]);
  return { Conv2DBackpropFilter: zero, DepthwiseConv2dNativeBackpropFilter: zero };
}
