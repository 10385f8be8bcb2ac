/** The two kinds of TensorFlow.js models behind one face: input, output, weights, forward. */
import { notOne } from "./errors.ts";
import { type GraphTopology, graphWeights } from "./files/graph-weights.ts";
import { layersWeights, leafLayers } from "./files/layers-weights.ts";
import type { InputSpec } from "./model-input.ts";
import type { CompiledLoss } from "./tasks/loss-name.ts";
import type { GraphModel, LayersModel, Tensor, Tf } from "./tf.ts";
import type { ModelWeight, PrunableOptions } from "./weights.ts";

/** One output of a model. */
export interface RunnableOutput {
  readonly name: string;
  /** Of one example, null where an extent varies; undefined where the model does not say. */
  readonly shape: readonly (number | null)[] | undefined;
  /** The loss that it was compiled with here: a name of Keras or of TensorFlow.js, or a function. */
  readonly compiled?: string | undefined;
  readonly compiledLoss?: CompiledLoss | undefined;
}

/** A model that runs. */
export interface Runnable {
  readonly kind: "layers" | "graph";
  readonly input: InputSpec;
  readonly outputs: readonly RunnableOutput[];
  readonly weights: readonly ModelWeight[];
  /** Whether it has batch normalisation with statistics of its own. */
  readonly hasNorms: boolean;
  /** Runs a batch as at inference: all outputs. Synchronous, so that it can be differentiated. */
  forward(input: Tensor): readonly Tensor[];
  /** The same for models with control flow, which have no synchronous way to run. */
  forwardAsync(input: Tensor): Promise<readonly Tensor[]>;
  dispose(): void;
}

/** Whether a model is a LayersModel: it has layers. */
export function isLayersModel(model: LayersModel | GraphModel): model is LayersModel {
  return Array.isArray((model as Partial<LayersModel>).layers);
}

/** A LayersModel. @throws ERR_TFJS_MODEL for several inputs */
export function layersRunnable(tf: Tf, spec: { name: string; model: LayersModel; options: PrunableOptions }): Runnable {
  const { name, model, options } = spec;
  if (model.inputs.length !== 1) throw notOne({ model: name, found: model.inputNames });
  const [input] = model.inputs;
  const forward = (x: Tensor): readonly Tensor[] => listOf(model.apply(x, { training: false }) as Tensor | Tensor[]);
  return {
    kind: "layers",
    input: inputSpec(input!.shape, input!.dtype),
    outputs: model.outputs.map(({ shape }, i) => ({
      name: nameOf(model.outputs.length, model.outputNames?.[i]),
      shape: extentsOf(shape),
      ...compiledAt(model, i),
    })),
    weights: layersWeights(tf, model, options),
    hasNorms: leafLayers(model.layers).some((layer) => layer.getClassName() === "BatchNormalization"),
    forward,
    forwardAsync: async (x) => tf.tidy(() => forward(x) as Tensor[]),
    dispose: () => {
      model.dispose();
    },
  };
}

/** A GraphModel, with its graph as model.json keeps it. @throws ERR_TFJS_MODEL for several inputs */
export function graphRunnable(tf: Tf, spec: { name: string; model: GraphModel; topology: GraphTopology }): Runnable {
  const { name, model, topology } = spec;
  if (model.inputs.length !== 1) throw notOne({ model: name, found: model.inputs.map((one) => one.name) });
  const [input] = model.inputs;
  // The names of the signature where the file has one, of nodes otherwise; execute takes both.
  const { outputNodes } = model as GraphModel & { readonly outputNodes: readonly string[] };
  return {
    kind: "graph",
    input: inputSpec(input!.shape ?? [], input!.dtype),
    outputs: model.outputs.map(({ shape }, i) => ({
      name: nameOf(model.outputs.length, outputNodes[i]),
      shape: shape && extentsOf(shape),
    })),
    weights: graphWeights(tf, model, topology),
    hasNorms: topology.node?.some(({ op }) => op.startsWith("FusedBatchNorm")) ?? false,
    forward: (x) => listOf(model.execute({ [input!.name]: x }, [...outputNodes])),
    forwardAsync: async (x) => listOf(await model.executeAsync({ [input!.name]: x }, [...outputNodes])),
    dispose: () => model.dispose(),
  };
}

/** The only output is called "output", as everywhere; several have the names they have. */
function nameOf(count: number, own: string | undefined): string {
  return count === 1 || own === undefined ? "output" : own;
}

function listOf(result: Tensor | Tensor[]): readonly Tensor[] {
  return Array.isArray(result) ? result : [result];
}

function extentsOf(shape: readonly (number | null)[]): readonly (number | null)[] {
  return shape.slice(1).map((extent) => (extent === null || extent < 0 ? null : extent));
}

function inputSpec(shape: readonly (number | null)[], dtype: string | undefined): InputSpec {
  const [batch = null, ...rest] = shape.map((extent) => (extent === null || extent < 0 ? null : extent));
  return {
    shape: rest.map((extent) => extent ?? -1),
    dtype: dtype === "int32" ? "int32" : "float32",
    batch: batch ?? undefined,
  };
}

/** What a model was compiled with in TensorFlow.js, for one of its outputs. */
function compiledAt(model: LayersModel, i: number): Pick<RunnableOutput, "compiled" | "compiledLoss"> {
  const { loss } = model as { loss?: unknown };
  // A sequential model keeps its functions in the model inside it.
  const holder = model as Compiled & { readonly model?: Compiled };
  const compiledLoss = (holder.lossFunctions ?? holder.model?.lossFunctions)?.[i];
  const named = Array.isArray(loss)
    ? loss[i]
    : typeof loss === "object" && loss !== null
      ? (loss as Record<string, unknown>)[model.outputNames[i]!]
      : loss;
  return { compiled: typeof named === "string" ? named : undefined, compiledLoss };
}

interface Compiled {
  readonly lossFunctions?: readonly CompiledLoss[];
}
