/**
 * What a model's outputs are: probabilities behind a last softmax or sigmoid, whose scores are what losses are computed from, or
 * anything else. Told from the kernels that ran, so that layers need not be known.
 */
import { type FloatTensors, type Tensor as HostTensor, scoresOfProbabilities, type Vec } from "@secateur/core";
import { withWatchedKernels } from "./gradients/watched-kernels.ts";
import { sharedTensor, type TapeNode, type Tensor, type Tf } from "./tf.ts";

/** "softmax" and "sigmoid": probabilities whose scores went through that operation last; "scores": anything else. */
export type OutputKind = "softmax" | "sigmoid" | "scores";

/** One output of a forward pass. */
export interface Head {
  readonly output: Tensor;
  readonly kind: OutputKind;
  /** What went into the softmax or sigmoid; the caller's to dispose of. */
  readonly scores: Tensor | undefined;
}

const kindOfKernel: Readonly<Record<string, OutputKind>> = { Softmax: "softmax", Sigmoid: "sigmoid" };

/** Runs a forward pass and says what its outputs are. The caller disposes of outputs and scores. */
export function forwardHeads(tf: Tf, forward: () => readonly Tensor[]): readonly Head[] {
  const made = new Map<object, { kind: OutputKind; scores: Tensor }>();
  const outputs = withWatchedKernels(
    tf,
    {
      watch: Object.keys(kindOfKernel),
      onCall({ name, inputs, output }) {
        const scores = inputs["logits"] ?? inputs["x"];
        if (scores) made.set(output.dataId, { kind: kindOfKernel[name]!, scores: sharedTensor(tf, scores) });
      },
    },
    forward,
  );
  // A reshaped tensor keeps its data, and so the identity of that data.
  const heads = outputs.map((output): Head => {
    const found = made.get(output.dataId);
    const isByRow = found?.kind !== "softmax" || found.scores.shape.at(-1) === output.shape.at(-1);
    return found && isByRow ? { output, ...found } : { output, kind: "scores", scores: undefined };
  });
  const wanted = new Set(heads.map(({ scores }) => scores));
  tf.dispose([...made.values()].flatMap(({ scores }) => (wanted.has(scores) ? [] : [scores])));
  return heads;
}

/** Gives back the tensors of a forward pass. */
export function disposeHeads(tf: Tf, heads: readonly Head[]): void {
  tf.dispose(heads.flatMap(({ output, scores }) => (scores ? [output, scores] : [output])));
}

/** Which outputs are read, by name, and how. */
export interface HeadReader {
  /** In the order of the outputs. */
  readonly names: readonly string[];
  /** Whether an output is read as it is, rather than its scores. */
  readonly asValues: (name: string) => boolean;
  /** What the outputs are known to be, for passes that do not show it. */
  readonly kinds?: readonly (OutputKind | undefined)[];
}

/** Output by name, as it is or as scores, from numbers that `read` has brought to the host. */
function namedOutputs(
  heads: readonly Head[],
  { names, asValues, kinds }: HeadReader,
  read: (tensor: Tensor) => Vec,
): FloatTensors {
  return Object.fromEntries(
    heads.map(({ output, kind: shown, scores }, h): [string, HostTensor<Vec>] => {
      const { shape } = output;
      const isAsIs = asValues(names[h]!);
      if (!isAsIs && scores) return [names[h]!, { shape, data: read(scores) }];
      const values = read(output);
      const kind = kinds?.[h] ?? shown;
      return [names[h]!, { shape, data: isAsIs || kind === "scores" ? values : scoresOfProbabilities(values, kind) }];
    }),
  );
}

/** Reads outputs within a computation that cannot wait. */
export function readOutputsSync(heads: readonly Head[], reader: HeadReader): FloatTensors {
  return namedOutputs(heads, reader, (tensor) => tensor.dataSync() as Float32Array);
}

/** Reads outputs. */
export async function readOutputs(heads: readonly Head[], reader: HeadReader): Promise<FloatTensors> {
  const numbers = new Map<Tensor, Vec>();
  for (const [h, { output, scores }] of heads.entries()) {
    const wanted = reader.asValues(reader.names[h]!) ? output : (scores ?? output);
    numbers.set(wanted, (await wanted.data()) as Float32Array);
  }
  return namedOutputs(heads, reader, (tensor) => numbers.get(tensor)!);
}

/** What an output is, told from its numbers: rows that sum to one are probabilities. */
export function kindOfValues({ shape, data }: HostTensor<Vec>): OutputKind {
  const classes = shape.at(-1) ?? 1;
  if (!data.every((value: number) => value >= 0 && value <= 1)) return "scores";
  if (classes === 1) return "sigmoid";
  for (let start = 0; start < data.length; start += classes) {
    let sum = 0;
    for (let c = start; c < start + classes; c++) sum += data[c]!;
    // f32 sums of f32 probabilities are within 1e-6 of one; this allows for half precision.
    if (Math.abs(sum - 1) > 1e-3) return "scores";
  }
  return "softmax";
}

/** The node on a tape that computed a tensor, before changes of its shape only. */
export function producerOf(tape: readonly TapeNode[], output: Tensor): TapeNode | undefined {
  let wanted = output;
  for (let i = tape.length - 1; i >= 0; i--) {
    const node = tape[i]!;
    if (!node.outputs.some((tensor) => tensor.id === wanted.id)) continue;
    if (node.kernelName !== "Reshape" && node.kernelName !== "Identity") return node;
    wanted = Object.values(node.inputs)[0]!;
  }
  return undefined;
}
