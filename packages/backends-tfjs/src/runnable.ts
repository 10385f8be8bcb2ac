/** The two kinds of TensorFlow.js models behind one face: input, output, weights, forward. */
import { notClassifier, notOne } from "./errors.ts";
import { type GraphTopology, graphWeights } from "./files/graph-weights.ts";
import { layersWeights } from "./files/layers-weights.ts";
import type { CompiledLoss, LossName } from "./gradients/loss.ts";
import type { InputSpec } from "./model-input.ts";
import type { GraphModel, LayersModel, Tensor, Tf } from "./tf.ts";
import type { ModelWeight, PrunableOptions } from "./weights.ts";

/** A model that runs. */
export interface Runnable {
  readonly kind: "layers" | "graph";
  readonly input: InputSpec;
  /** Outputs of one example; undefined where the model does not say. */
  readonly classes: number | undefined;
  readonly weights: readonly ModelWeight[];
  /** The loss it was compiled with. */
  readonly compiled: { readonly name: LossName; readonly loss?: CompiledLoss } | undefined;
  /** Runs a batch as at inference. Synchronous, so that it can be differentiated. */
  forward(input: Tensor): Tensor;
  /** The same for models with control flow, which have no synchronous way to run. */
  forwardAsync(input: Tensor): Promise<Tensor>;
  dispose(): void;
}

/** Whether a model is a LayersModel: it has layers. */
export function isLayersModel(model: LayersModel | GraphModel): model is LayersModel {
  return Array.isArray((model as Partial<LayersModel>).layers);
}

/** A LayersModel. @throws ERR_TFJS_MODEL for several inputs or outputs */
export function layersRunnable(tf: Tf, spec: { name: string; model: LayersModel; options: PrunableOptions }): Runnable {
  const { name, model, options } = spec;
  if (model.inputs.length !== 1) throw notOne({ model: name, what: "inputs", found: model.inputNames });
  if (model.outputs.length !== 1) throw notOne({ model: name, what: "outputs", found: model.outputNames });
  const [input] = model.inputs;
  const [output] = model.outputs;
  const forward = (x: Tensor): Tensor => model.apply(x, { training: false }) as Tensor;
  return {
    kind: "layers",
    input: inputSpec(input!.shape, input!.dtype),
    classes: classesOf(name, output!.shape),
    weights: layersWeights(tf, model, options),
    compiled: compiledLoss(model),
    forward,
    forwardAsync: async (x) => tf.tidy(() => forward(x)),
    dispose: () => {
      model.dispose();
    },
  };
}

/** A GraphModel, with its graph as model.json keeps it. @throws ERR_TFJS_MODEL for several inputs or outputs */
export function graphRunnable(tf: Tf, spec: { name: string; model: GraphModel; topology: GraphTopology }): Runnable {
  const { name, model, topology } = spec;
  if (model.inputs.length !== 1) throw notOne({ model: name, what: "inputs", found: namesOf(model.inputs) });
  if (model.outputs.length !== 1) throw notOne({ model: name, what: "outputs", found: namesOf(model.outputs) });
  const [input] = model.inputs;
  const [output] = model.outputs;
  return {
    kind: "graph",
    input: inputSpec(input!.shape ?? [], input!.dtype),
    classes: output!.shape ? classesOf(name, output!.shape) : undefined,
    weights: graphWeights(tf, model, topology),
    compiled: undefined,
    forward: (x) => only(model.execute({ [input!.name]: x }, output!.name)),
    forwardAsync: async (x) => only(await model.executeAsync({ [input!.name]: x }, output!.name)),
    dispose: () => model.dispose(),
  };
}

function only(result: Tensor | Tensor[]): Tensor {
  return Array.isArray(result) ? result[0]! : result;
}

function namesOf(tensors: readonly { readonly name: string }[]): readonly string[] {
  return tensors.map(({ name }) => name);
}

function inputSpec(shape: readonly (number | null)[], dtype: string | undefined): InputSpec {
  const [batch = null, ...rest] = shape.map((extent) => (extent === null || extent < 0 ? null : extent));
  return {
    shape: rest.map((extent) => extent ?? -1),
    dtype: dtype === "int32" ? "int32" : "float32",
    batch: batch ?? undefined,
  };
}

function classesOf(model: string, shape: readonly (number | null)[]): number | undefined {
  if (shape.length !== 2) {
    throw notClassifier({
      model,
      found: `[${shape.map((extent) => (extent === null || extent < 0 ? "any" : extent)).join(", ")}]`,
    });
  }
  const classes = shape[1]!;
  return classes === null || classes < 0 ? undefined : classes;
}

interface Compiled {
  readonly lossFunctions?: readonly CompiledLoss[];
}

function compiledLoss(model: LayersModel): Runnable["compiled"] {
  const { loss } = model as { loss?: unknown };
  const [one] = Array.isArray(loss) ? loss : typeof loss === "object" && loss !== null ? Object.values(loss) : [loss];
  if (one === undefined || one === null) return undefined;
  switch (one) {
    case "categoricalCrossentropy":
    case "categorical_crossentropy":
    case "sparseCategoricalCrossentropy":
    case "sparse_categorical_crossentropy":
      return { name: "cross-entropy" };
    case "binaryCrossentropy":
    case "binary_crossentropy":
      return { name: "binary-cross-entropy" };
    case "meanSquaredError":
    case "mean_squared_error":
    case "mse":
      return { name: "mse" };
    default: {
      // A sequential model keeps its functions in the model inside it.
      const holder = model as Compiled & { readonly model?: Compiled };
      const [compiled] = holder.lossFunctions ?? holder.model?.lossFunctions ?? [];
      return compiled ? { name: "model", loss: compiled } : undefined;
    }
  }
}
