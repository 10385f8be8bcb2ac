/** A model, whatever runs it: asynchronous, owns its layout, hands out canonical [out, in * kh * kw] matrices only. */

import type { Mat, Vec } from "../problem/matrix.ts";
import type { RunContext } from "../run-context.ts";
import type { Evaluation } from "../task/evaluate.ts";
import type { LossSum, SoftmaxHessian, Task } from "../task/task.ts";
import type { Batch, Dataset } from "./dataset.ts";
import type { LayerInputs, LayerInputsRequest } from "./layer-inputs.ts";
import type { FloatTensors, TensorSpec, Tensors } from "./tensor.ts";

/** One weight tensor of a model. */
export interface ParamInfo {
  readonly name: string;
  /** Shape as the model stores it, for example [40, 784] or [16, 3, 3, 3]. */
  readonly shape: readonly number[];
  /** Rows of its canonical matrix: out. */
  readonly rows: number;
  /** Columns of its canonical matrix: in * kh * kw. */
  readonly cols: number;
  /** Whether pruning touches it by default: weights of dense and convolution layers do, bias and normalisation do not. */
  readonly prunable: boolean;
  /** Whether it is what a normalisation multiplies its channels with. Default false. */
  readonly isScale?: boolean;
  /** What one kept weight costs at inference: multiply-adds times two. */
  readonly flopsPerWeight: number;
  /** Of a grouped convolution: how many groups its rows are of, each with inputs of its own. Default 1. */
  readonly groups?: number;
}

/** Which gradients to take. */
export interface GradientRequest {
  /** Names of the parameters, in the order in which they are flattened. */
  readonly params: readonly string[];
  readonly data: Dataset;
  /** Whose loss; default: classification. */
  readonly task?: Task;
  /** Indices of examples; consecutive runs of `batch` are averaged into one row. Length a multiple of `batch`. */
  readonly examples: Uint32Array;
  /** Examples a row, >= 1. */
  readonly batch: number;
}

/**
 * Gradient rows of one parameter: row i is the gradient of the mean over the examples of mini-batch i of each one's loss (summed over
 * its positions, where there are several), flattened [out * in].
 * Factored rows keep the two factors of the outer products: row i = sum over j < group of delta[i * group + j]' input[i * group + j].
 */
export type GradientBlock =
  | {
      readonly kind: "factored";
      readonly param: string;
      readonly group: number;
      readonly delta: Mat;
      readonly input: Mat;
    }
  | { readonly kind: "dense"; readonly param: string; readonly rows: Mat };

/** Gradient rows of several parameters, one block each, in the requested order. */
export interface GradientRows {
  /** n, the number of rows. */
  readonly rows: number;
  readonly blocks: readonly GradientBlock[];
  /** Mean loss of what counts in the examples. */
  readonly loss: number;
  /** That loss by pass, in order: of a model that says what its passes take (`passExamples`). */
  readonly sums?: readonly LossSum[];
}

/** A gradient over many examples, flattened in the requested order. */
export interface MeanGradient {
  /** [sum of rows * cols], of the summed loss over the number of examples; times examples / count it is that of the mean loss. */
  readonly gradient: Vec;
  /** Mean of what counts. */
  readonly loss: number;
  /** How much counts in all the examples, such as positions; absent: one an example. */
  readonly count?: number;
}

/** Where second derivatives are taken. */
export interface HessianRequest extends Omit<GradientRequest, "batch"> {
  /** Divides the outputs before the loss, > 0; default 1. */
  readonly temperature?: number;
  /** The weights [p] of those parameters to take them at, flat; default: as they are now. The model is left as it is. */
  readonly at?: Vec;
}

/** The mean loss of some examples around the present weights, to second order; vectors are flat, in the requested order. */
export interface HessianProducts {
  /** [p] */
  readonly gradient: Vec;
  readonly loss: number;
  /** out [p] = H x, the exact Hessian of the mean loss, indefinite. */
  times(x: Vec, out: Vec): Promise<void>;
}

/** A layer whose deeper outputs are to stay as they were. */
export interface ReconstructionRequest {
  /** Its weights. */
  readonly param: string;
  /** The parameters whose weights stand in `at` and `target`, flat, in order. */
  readonly params: readonly string[];
  readonly data: Dataset;
  readonly examples: Uint32Array;
  /** How many weight layers beyond the next are looked at, >= 0. */
  readonly depth: number;
  /** The weights of all layers now; the layer's own do not count. */
  readonly at: Vec;
  /** The weights whose outputs are wanted. */
  readonly target: Vec;
}

/** 1/2n sum over n examples of |Y(w) - Y|^2, Y what the next depth + 1 weight layers take, as a function of one layer's weights w (flat, canonical). */
export interface LayerReconstruction {
  loss(w: Vec): number;
  /** Writes the gradient to `out`. @returns the loss */
  gradient(w: Vec, out: Vec): number;
  /** out = H x with the exact Hessian at w, indefinite. */
  times(w: Vec, x: Vec, out: Vec): void;
}

/** The network's outputs around the present weights, linear in the weights: outputs(w + x) ~ outputs + J x. */
export interface Linearization {
  /** p, the length of the flat vectors */
  readonly dim: number;
  /** The examples it was taken over, without loading them again. Valid until `release`: afterwards its numbers may be others, without an error. */
  readonly sample: Dataset;
  /** [examples, ...] by name, at the present weights */
  readonly outputs: FloatTensors;
  /** [examples, ...] by name, where the data have any */
  readonly targets?: Tensors;
  /** out, shaped like the outputs, = J x, x flat in the requested order */
  forward(x: Vec, out: FloatTensors): void;
  /** out [p] = J'u, u shaped like the outputs; u is overwritten */
  backward(u: FloatTensors, out: Vec): void;
  /** out [p] = sum over the given u and over the examples i of the squares of J_i'u_i; every u, shaped like the outputs, is overwritten */
  sumOfSquares(us: Iterable<FloatTensors>, out: Vec): void;
  /** out [p] = the diagonal of J'B J. Present where that takes less than the squares for the columns of a root of B. */
  softmaxSquares?(hessian: SoftmaxHessian, out: Vec): void;
  /** out [p] = J'B J x. Present where that takes less than a product with J and one with J'. */
  softmaxGram?(hessian: SoftmaxHessian, x: Vec, out: Vec): void;
  /**
   * out [c, c] = sum over the given u and over the examples i of g g', g = (J_i'u_i)[columns] (flat indices, ascending); every
   * u is overwritten. examples * c^2 / 2 multiply-adds for each u. Absent where single columns of J cost as much as all of them.
   */
  columnGram?(us: Iterable<FloatTensors>, columns: Uint32Array, out: Mat): void;
  /** What one `forward` costs, in multiply-adds. */
  readonly cost: number;
  /** The same over some of the weights only (flat indices, ascending), cheaper where they leave inputs unused. */
  restricted(columns: Uint32Array): Linearization;
  /** Frees what lives in kernel memory. */
  release(): void;
}

/** Which second moments to take. */
export interface MomentsRequest extends Omit<GradientRequest, "batch"> {
  /** Divides scores wherever they become probabilities, > 0. */
  readonly temperature: number;
  /** Whether the gradient of the mean loss is wanted too. */
  readonly gradient: boolean;
  /** Whether inputs before a batch normalisation are taken less their mean: right where statistics are measured anew and no gradient, which is for fixed ones, goes with it. */
  readonly centred: boolean;
}

/**
 * What one layer sees, [rows of weights] by [inputs of a weight row]: with x a window of its inputs and delta = dl/d(output)
 * for a slope of the task's loss that is drawn at the network's outputs (see OutputFactor.draw). A grouped convolution has one entry a group.
 */
export interface LayerMoments {
  readonly param: string;
  /** First row of the parameter's canonical matrix; the next entry of the same parameter goes on where this one ends. */
  readonly firstRow: number;
  /** [in, in] f64, canonical order: mean over examples of the sum over positions of x x'; where asked for, of x less its mean. */
  readonly inputs: Mat;
  /** [out, out] f64: mean over examples and positions of delta delta', scaled to the layer's own weights. */
  readonly deltas: Mat;
}

/** Second moments of all layers at the present weights. */
export interface Moments {
  /** In the requested order of parameters. */
  readonly layers: readonly LayerMoments[];
  /** [sum of rows * cols], where asked for. */
  readonly gradient?: Vec;
  /** Mean loss of what counts in the examples. */
  readonly loss: number;
}

/**
 * A part of a model between two values that everything passes through, such as a residual block: it takes what the part before it gives, one
 * value, and gives one. Values of a batch are flat, examples one after the other.
 */
export interface ModelBlock {
  /** Names of the weights in it, of those that were asked for. */
  readonly params: readonly string[];
  /** What it gives for `x`, what it takes; absent for the first, which takes the batch. */
  run(call: { readonly batch: Batch; readonly x?: Vec }, ctx: RunContext): Promise<Vec>;
  /** The same, and 1/2 sum (y - target)^2; its gradient in the weights is added to `gradients` (canonical, by parameter). */
  distance(
    call: {
      readonly batch: Batch;
      readonly x?: Vec;
      readonly target: Vec;
      readonly gradients?: ReadonlyMap<string, Vec>;
    },
    ctx: RunContext,
  ): Promise<number>;
}

/** A model under pruning. Optional methods are capabilities; who needs one checks for it first. */
export interface Model {
  /** For messages and reports. */
  readonly name: string;
  /** What it takes, by name; a model of one input takes the only input of a dataset whatever its name. */
  readonly inputs: readonly TensorSpec[];
  /**
   * What it computes, by name: floating-point numbers. Where they are probabilities, the model gives their scores (logits), but for a task
   * that reads them as they are (Task.valuesOf).
   */
  readonly outputs: readonly TensorSpec[];
  params(): readonly ParamInfo[];
  /** A copy of a parameter's canonical matrix. @throws ERR_UNKNOWN_NAME */
  read(name: string): Promise<Mat>;
  /** Replaces a parameter (copied). @throws ERR_UNKNOWN_NAME, ERR_SHAPE */
  write(name: string, w: Mat): Promise<void>;
  /**
   * The task that the model's file says it was trained for, on data with such targets; undefined where it does not say, or the data do not
   * fit. `chooseTask` takes it where nobody names a task.
   */
  taskFor?(data: Dataset): Task | undefined;
  /** Its outputs [batch.size, ...] by name; the caller's to keep. @param options.task - who will read them; default: scores are read */
  run?(batch: Batch, ctx: RunContext, options?: { readonly task?: Task }): Promise<FloatTensors>;
  gradientRows?(request: GradientRequest, ctx: RunContext): Promise<GradientRows>;
  /**
   * Examples that `gradientRows` (which say their `batch` and task) or `layerInputs` take in one pass over such data. Examples may be taken in shares of whole
   * passes, wherever, and each pass gives the same bytes. Absent or undefined: they may not.
   */
  passExamples?(data: Dataset, options?: Partial<Pick<GradientRequest, "batch" | "task">>): Promise<number | undefined>;
  /** @param request.task - who will read the outputs; default: scores are read */
  linearize?(request: Omit<GradientRequest, "batch">, ctx: RunContext): Promise<Linearization>;
  meanGradient?(request: Omit<GradientRequest, "batch">, ctx: RunContext): Promise<MeanGradient>;
  hessianProducts?(request: HessianRequest, ctx: RunContext): Promise<HessianProducts>;
  /**
   * The gradient [p] f64 in |w| of R, the sum of the outputs for inputs of 1 with every parameter and statistic replaced by its magnitude: how much
   * of what flows through the network goes through each weight (Tanaka et al. 2020). No data; one forward and backward pass of one example.
   */
  synapticFlow?(request: Pick<HessianRequest, "params" | "at">, ctx: RunContext): Promise<Vec>;
  reconstruction?(request: ReconstructionRequest, ctx: RunContext): Promise<LayerReconstruction>;
  layerMoments?(request: MomentsRequest, ctx: RunContext): Promise<Moments>;
  /** What the layers see. Read an entry's chunks to the end, write the parameters, then ask for the next. */
  layerInputs?(request: LayerInputsRequest, ctx: RunContext): AsyncIterable<LayerInputs>;
  /** The model in parts with at least one of the weights each, in order; what comes behind the last is left out. Weights are read as they are then. */
  blocks?(request: { readonly params: readonly string[]; readonly data: Dataset }): Promise<readonly ModelBlock[]>;
  /** Loss and measures over all of a dataset. @param options.task - default: what `chooseTask` takes for the data */
  evaluate?(data: Dataset, ctx: RunContext, options?: { readonly task?: Task }): Promise<Evaluation>;
}
