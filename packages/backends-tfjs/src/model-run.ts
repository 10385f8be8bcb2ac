/** Running a model over examples: batches of the size it takes, its outputs as a task reads them, evaluation. */
import {
  type Batch,
  type Dataset,
  type Evaluation,
  evaluateBatches,
  type FloatTensors,
  inputRows,
  type Mat,
  mapTensors,
  type RunContext,
  readsValues,
  type Task,
  type Tensor,
  takeAllExamples,
  type Vec,
} from "@secateur/core";
import { dataMismatch } from "./errors.ts";
import {
  disposeHeads,
  forwardHeads,
  type Head,
  type HeadReader,
  kindOfValues,
  type OutputKind,
  readOutputs,
} from "./heads.ts";
import { type InputLayout, inputLayout } from "./model-input.ts";
import { type ModelFacts, probeModel } from "./probe-model.ts";
import type { Runnable } from "./runnable.ts";
import type { Tensor as EngineTensor, Tf } from "./tf.ts";

/** A model on an engine. */
export interface ModelRun {
  readonly tf: Tf;
  readonly name: string;
  readonly runnable: Runnable;
  /** Examples of a pass, or the model's only batch size. */
  readonly passSize: number;
  /** Runs one example of zeros; undefined while the model's input shape is open. With a layout, that shape is used. */
  probe(layout?: InputLayout): ModelFacts | undefined;
  /** Multiply-adds of an example per weight; 1 where not known. */
  positions(weight: string): number;
  /** How a dataset's examples go in. @throws ERR_DATA_MISMATCH */
  layoutOf(data: Pick<Dataset, "name" | "size" | "inputs">): InputLayout;
  /** The input of up to `passSize` examples, filled up with zeros where the batch size is fixed. The caller disposes of it. */
  inputOf(rows: Mat, layout: InputLayout): EngineTensor;
  /** How a task reads the outputs. */
  readerFor(task: Task | undefined): HeadReader;
  /** The outputs [batch.size, ...] of up to `passSize` examples, as a task reads them. */
  outputsOf(
    batch: Pick<Batch, "size" | "inputs">,
    spec: { layout: InputLayout; task?: Task | undefined },
  ): Promise<FloatTensors>;
  /** The outputs of any number of examples. */
  outputsOfAll(batch: Batch, spec: { layout: InputLayout; task?: Task | undefined }): Promise<FloatTensors>;
  evaluate(spec: { data: Dataset; task: Task }, ctx: RunContext): Promise<Evaluation>;
}

/** Examples of a pass, where the model leaves it open: enough for the kernels, little enough for memory. */
const usualPass = 64;
/** Examples of a forward pass without gradients. */
const evaluationPass = 256;

/** Puts a model and an engine together. */
export function modelRun(spec: { tf: Tf; name: string; runnable: Runnable }): ModelRun {
  const { tf, name, runnable } = spec;
  const { input } = runnable;
  const names = runnable.outputs.map((output) => output.name);
  let facts: ModelFacts | undefined;
  const factsFor = (layout: InputLayout): ModelFacts => {
    facts ??= probeModel({ ...spec, shape: layout.shape });
    return facts;
  };
  const pass = input.batch ?? evaluationPass;
  const run: ModelRun = {
    tf,
    name,
    runnable,
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
      factsFor(layout);
      return layout;
    },
    inputOf: (rows, layout) => inputTensor(tf, { rows, layout, runnable }),
    readerFor: (task) => ({ names, asValues: (output) => readsValues(task, output), kinds: facts?.kinds ?? [] }),
    async outputsOf({ size, inputs }, { layout, task }) {
      factsFor(layout);
      const tensor = run.inputOf(inputRows({ size, inputs }), layout);
      const heads = await headsOf(run, tensor);
      if (facts!.kinds.includes(undefined)) facts = { ...facts!, kinds: await kindsOf(heads, names) };
      const outputs = await readOutputs(heads, run.readerFor(task));
      disposeHeads(tf, heads);
      return firstExamples(outputs, size);
    },
    async outputsOfAll(batch, how) {
      const parts: FloatTensors[] = [];
      for (let start = 0; start < batch.size; start += pass) {
        const size = Math.min(pass, batch.size - start);
        const indices = Uint32Array.from({ length: size }, (_, i) => start + i);
        parts.push(await run.outputsOf({ size, inputs: takeAllExamples(batch.inputs, indices) }, how));
      }
      return joined(parts);
    },
    async evaluate({ data, task }, ctx) {
      const layout = run.layoutOf(data);
      const outputsOf = (batch: Batch): Promise<FloatTensors> => run.outputsOf(batch, { layout, task });
      return await evaluateBatches({ model: name, data, task, batchSize: pass, outputsOf }, ctx);
    },
  };
  return run;
}

/** Runs a pass; disposes of the input. Graphs with loops or conditions have no synchronous way to run, so that they are run the other way. */
async function headsOf({ tf, runnable }: ModelRun, input: EngineTensor): Promise<readonly Head[]> {
  try {
    return forwardHeads(tf, () => tf.tidy(() => runnable.forward(input) as EngineTensor[]));
  } catch (error) {
    if (runnable.kind !== "graph") throw error;
    const outputs = await runnable.forwardAsync(input);
    return outputs.map((output) => ({ output, kind: "scores", scores: undefined }));
  } finally {
    input.dispose();
  }
}

/** Without a tape the outputs themselves must tell. */
async function kindsOf(heads: readonly Head[], names: readonly string[]): Promise<readonly OutputKind[]> {
  const values = await readOutputs(heads, { names, asValues: () => true });
  return heads.map(({ kind, scores }, h) => (scores ? kind : kindOfValues(values[names[h]!]!)));
}

/** The first examples of outputs [n, ...]: what comes after them filled up a batch of fixed size. */
export function firstExamples(outputs: FloatTensors, examples: number): FloatTensors {
  return mapTensors(outputs, ({ shape, data }): Tensor<Vec> => {
    const [all = 1, ...rest] = shape;
    return { shape: [examples, ...rest], data: data.subarray(0, (data.length / all) * examples) };
  });
}

/** Outputs of consecutive examples, one after the other. */
function joined(parts: readonly FloatTensors[]): FloatTensors {
  const [first = {}] = parts;
  if (parts.length === 1) return first;
  return mapTensors(first, ({ shape }, name) => {
    const all = parts.map((part) => part[name]!);
    const data = new Float64Array(all.reduce((sum, one) => sum + one.data.length, 0));
    let start = 0;
    for (const one of all) {
      data.set(one.data, start);
      start += one.data.length;
    }
    return { shape: [all.reduce((sum, one) => sum + one.shape[0]!, 0), ...shape.slice(1)], data: asStored(data, all) };
  });
}

/** f32 stays f32; scores told from probabilities are f64. */
function asStored(data: Float64Array, parts: readonly Tensor<Vec>[]): Vec {
  return parts.every((part) => part.data instanceof Float32Array) ? Float32Array.from(data) : data;
}

function inputTensor(tf: Tf, spec: { rows: Mat; layout: InputLayout; runnable: Runnable }): EngineTensor {
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
