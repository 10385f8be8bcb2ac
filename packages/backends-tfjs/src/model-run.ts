/** Running a model over examples: batches of the size it takes, evaluation, and what a first run tells about it. */
import {
  batches,
  type Dataset,
  type Evaluation,
  inputRows,
  labelOutOfRange,
  labelsOf,
  type Mat,
  type RunContext,
} from "@secateur/core";
import { dataMismatch, notClassifier, notDifferentiable, notFiniteOutput } from "./errors.ts";
import { countCorrect, type Loss } from "./gradients/loss.ts";
import { disposeRecording, type Recording, recordGradients } from "./gradients/record-gradients.ts";
import type { WeightUse } from "./gradients/weight-use.ts";
import { type InputLayout, inputLayout } from "./model-input.ts";
import type { OutputKind } from "./output-kind.ts";
import type { Runnable } from "./runnable.ts";
import type { Tensor, Tf } from "./tf.ts";

/** What a run over one example shows. */
export interface ModelFacts {
  /** Undefined while no example has been seen of a model without gradients. */
  readonly kind: OutputKind | undefined;
  readonly classes: number;
  /** Multiply-adds of an example per weight, by name. */
  readonly positions: ReadonlyMap<string, number>;
  /** Weights whose rows stay factored: one matrix product with one vector an example. */
  readonly factored: ReadonlySet<string>;
  /** Whether all prunable weights are such. */
  readonly isDenseChain: boolean;
  /** Why there are no gradients. */
  readonly problem?: unknown;
}

/** A model on an engine, with its loss. */
export interface ModelRun {
  readonly tf: Tf;
  readonly name: string;
  readonly runnable: Runnable;
  readonly loss: Loss;
  /** Examples of a pass, or the model's only batch size. */
  readonly passSize: number;
  /** Runs one example of zeros; undefined while the model's input shape is open. With a layout, that shape is used. */
  probe(layout?: InputLayout): ModelFacts | undefined;
  /** Multiply-adds of an example per weight; 1 where not known. */
  positions(weight: string): number;
  /** How a dataset's examples go in. @throws ERR_DATA_MISMATCH */
  layoutOf(data: Dataset): InputLayout;
  /** The input of up to `passSize` examples, filled up with zeros where the batch size is fixed. The caller disposes of it. */
  inputOf(rows: Mat, layout: InputLayout): Tensor;
  /** @throws ERR_LABEL_RANGE */
  assertLabels(data: Dataset, labels: Uint32Array): void;
  /** The losses of a pass; @throws ERR_NOT_FINITE naming the example */
  losses(spec: { output: Float32Array; labels: Uint32Array; exampleAt: (i: number) => number }): Float64Array;
  evaluate(data: Dataset, ctx: RunContext): Promise<Evaluation>;
}

/** Examples of a pass, where the model leaves it open: enough for the kernels, little enough for memory. */
const usualPass = 64;
/** Examples of a forward pass without gradients. */
const evaluationPass = 256;

/** Puts a model, an engine and a loss together. */
export function modelRun(spec: { tf: Tf; name: string; runnable: Runnable; loss: Loss }): ModelRun {
  const { tf, name, runnable, loss } = spec;
  const { input } = runnable;
  let facts: ModelFacts | undefined;
  const factsFor = (layout: InputLayout): ModelFacts => {
    facts ??= probeModel({ ...spec, shape: layout.shape });
    return facts;
  };
  /** Without a tape the outputs themselves must tell: rows that sum to one are probabilities. */
  const settleKind = (output: Float32Array, examples: number): void => {
    if (facts && facts.kind === undefined) facts = { ...facts, kind: kindOfValues(output, examples) };
  };
  const run: ModelRun = {
    tf,
    name,
    runnable,
    loss,
    passSize: input.batch ?? usualPass,
    probe(layout) {
      if (layout) return factsFor(layout);
      if (input.shape.some((extent) => extent < 0)) return undefined;
      facts ??= probeModel({ ...spec, shape: input.shape });
      return facts;
    },
    positions: (weight) => facts?.positions.get(weight) ?? 1,
    layoutOf(data) {
      if (data.size === 0) {
        throw dataMismatch({ model: name, data: data.name, found: "no examples", expected: "at least one" });
      }
      const layout = inputLayout({ model: name, data, input });
      const classes = factsFor(layout).classes;
      const most = classes === 1 ? 2 : classes;
      const labelled = data.targets?.[0]?.classes ?? 0;
      if (labelled > most) {
        const expected = `labels of ${most} classes`;
        throw dataMismatch({ model: name, data: data.name, found: `${labelled} classes`, expected });
      }
      return layout;
    },
    inputOf: (rows, layout) => inputTensor(tf, { rows, layout, runnable }),
    assertLabels(data, labels) {
      const classes = Math.max(2, facts?.classes ?? 0);
      const bad = labels.findIndex((label) => label >= classes);
      if (bad >= 0) throw labelOutOfRange({ where: data.name, index: bad, label: labels[bad]!, classes });
    },
    losses({ output, labels, exampleAt }) {
      const { kind = "scores", classes } = facts!;
      const values = loss.values({ tf, output, classes, kind, labels });
      const bad = values.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) throw notFiniteOutput(name, exampleAt(bad));
      return values;
    },
    async evaluate(data, ctx) {
      const layout = run.layoutOf(data);
      const { classes } = factsFor(layout);
      let [correct, total, seen] = [0, 0, 0];
      for await (const batch of batches(data, input.batch ?? evaluationPass)) {
        const labels = labelsOf(batch);
        run.assertLabels(data, labels);
        const output = await outputsOf(run, run.inputOf(inputRows(batch), layout));
        settleKind(output, labels.length);
        const { kind = "scores" } = facts!;
        correct += countCorrect({ output, classes, kind, loss: loss.name, labels });
        const losses = run.losses({ output, labels, exampleAt: (i) => seen + i });
        total += losses.reduce((sum, value) => sum + value, 0);
        seen += labels.length;
        await ctx.tick({ task: "evaluate", done: seen, total: data.size });
      }
      const accuracy = (100 * correct) / seen;
      const measures = [{ name: "accuracy", unit: "%", better: "higher" as const, value: accuracy }];
      return { accuracy, loss: total / seen, examples: seen, task: "classification", measures };
    },
  };
  return run;
}

/** The model's outputs on the host; disposes of the input. */
async function outputsOf({ tf, runnable }: ModelRun, input: Tensor): Promise<Float32Array> {
  let output: Tensor;
  try {
    output = tf.tidy(() => runnable.forward(input));
  } catch (error) {
    if (!isControlFlow(error)) throw error;
    output = await runnable.forwardAsync(input);
  }
  const values = (await output.data()) as Float32Array;
  tf.dispose([input, output]);
  return values;
}

function kindOfValues(output: Float32Array, examples: number): OutputKind {
  const classes = output.length / examples;
  if (!output.every((value) => value >= 0 && value <= 1)) return "scores";
  if (classes === 1) return "sigmoid";
  for (let i = 0; i < examples; i++) {
    const sum = output.subarray(i * classes, (i + 1) * classes).reduce((total, value) => total + value, 0);
    if (Math.abs(sum - 1) > 1e-3) return "scores";
  }
  return "softmax";
}

function isControlFlow(error: unknown): boolean {
  return error instanceof Error && /executeAsync/.test(error.message);
}

function inputTensor(tf: Tf, spec: { rows: Mat; layout: InputLayout; runnable: Runnable }): Tensor {
  const { rows, layout, runnable } = spec;
  const { batch, dtype } = runnable.input;
  const values = layout.arrange(rows);
  const count = batch ?? rows.rows;
  let filled = values;
  if (count !== rows.rows) {
    filled = new Float32Array(count * rows.cols);
    filled.set(values);
  }
  const numbers = dtype === "int32" ? Int32Array.from(filled) : filled;
  return tf.tensor(numbers, [count, ...layout.shape], dtype);
}

function probeModel(spec: { tf: Tf; name: string; runnable: Runnable; shape: readonly number[] }): ModelFacts {
  const { tf, name, runnable, shape } = spec;
  const weights = new Map(runnable.weights.filter(({ role }) => role).map((weight) => [weight.name, weight.tensor()]));
  const examples = runnable.input.batch ?? 1;
  const input = tf.zeros([examples, ...shape], runnable.input.dtype);
  try {
    // The summed output stands in for the loss.
    const delta = (output: Tensor): Tensor => tf.onesLike(output);
    const recording = recordGradients(tf, { weights, forward: () => runnable.forward(input), delta });
    const facts = factsOf({ name, recording, examples, weights: [...weights.keys()] });
    disposeRecording(tf, recording);
    return facts;
  } catch (problem) {
    const classes = runnable.classes;
    if (classes === undefined || isMismatch(problem)) throw problem;
    // Not differentiable, it can still be evaluated and pruned by magnitude.
    return {
      kind: undefined,
      classes,
      positions: new Map(),
      factored: new Set(),
      isDenseChain: false,
      problem: notDifferentiable({ model: name, cause: problem }),
    };
  } finally {
    input.dispose();
  }
}

function isMismatch(problem: unknown): boolean {
  return problem instanceof Error && "code" in problem && problem.code === "ERR_TFJS_MODEL";
}

function factsOf(spec: {
  name: string;
  recording: Recording;
  examples: number;
  weights: readonly string[];
}): ModelFacts {
  const { name, recording, examples, weights } = spec;
  const { output, uses, others, outputKind } = recording;
  if (output.rank !== 2) throw notClassifier({ model: name, found: `[${output.shape.join(", ")}]` });
  const positions = new Map<string, number>();
  const count = new Map<string, number>();
  const whole = new Set<string>();
  for (const one of uses) {
    const here = positionsOf(one) / examples;
    const share = one.use.kind === "matmul" ? one.use.width / one.use.of : 1;
    positions.set(one.weight, (positions.get(one.weight) ?? 0) + here * share);
    count.set(one.weight, (count.get(one.weight) ?? 0) + 1);
    if (one.use.kind === "matmul" && one.use.column === 0 && here === 1) whole.add(one.weight);
  }
  const factored = new Set([...whole].filter((weight) => count.get(weight) === 1 && !others.has(weight)));
  return {
    kind: outputKind,
    classes: output.shape[1]!,
    positions,
    factored,
    isDenseChain: weights.length > 0 && weights.every((weight) => factored.has(weight)),
  };
}

/** Output positions of a use, over all examples. */
function positionsOf({ use, input }: WeightUse): number {
  switch (use.kind) {
    case "matmul":
      return input.size / input.shape[input.shape.length - 1]!;
    case "conv":
    case "depthwise":
      return use.geometry.batch * use.geometry.outHeight * use.geometry.outWidth;
    case "conv-transpose":
      return input.size / input.shape[3]!;
    default:
      return use satisfies never;
  }
}
