/** What a network's outputs mean: the one place that knows about classes, distances or teachers. */
import type { FloatTensors, Tensors } from "../data/tensor.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { Vec } from "../problem/matrix.ts";
import type { Rng } from "../rng.ts";

/**
 * A loss of a network's outputs, its gradient, its curvature and its measures. Plain functions of tensors: nothing here knows a
 * model. Names of outputs and targets are settled by the task; one that reads a single output or target takes the only one there is.
 */
export interface Task {
  /** For messages, reports and `--task`. */
  readonly name: string;
  /** What it was made with, as plain data, where that matters: a run is continued only under the same. */
  readonly options?: Readonly<Record<string, unknown>>;
  /**
   * Where targets come from: the dataset ("data"), the model's own inputs (a next token), or the outputs of the dense network, which
   * are taken before its first weight changes unless the data carry them already ("teacher").
   */
  readonly targetsFrom: "data" | "inputs" | "teacher";
  /** What whole numbers in a file of targets are to it: class numbers (the default), or values like any other number. */
  readonly targetKind?: "classes" | "values" | undefined;
  /**
   * Names of outputs that are compared as they are, or "all": where the network ends in a softmax or a sigmoid, the task reads the
   * probabilities. Default: none, it reads the scores (logits) that went into it.
   */
  readonly valuesOf?: "all" | readonly string[] | undefined;
  /**
   * The loss over what counts: ignored positions do not.
   *
   * @param call.delta - one tensor an output, zeros when it comes in: dloss/doutput of the *summed* loss is written to those the task
   * reads. Never shares memory with the outputs.
   * @throws ERR_TASK when outputs and targets do not fit the task, ERR_LABEL_RANGE
   */
  loss(call: LossCall): LossSum;
  /**
   * A root R of the Hessian of the summed loss in the outputs, B = R R' (its positive semi-definite part), which is block-diagonal
   * over examples. J'R are the rows of a Gauss-Newton factor view. Outputs may be overwritten afterwards: what is needed is copied.
   */
  outputFactor(call: OutputFactorCall): OutputFactor;
  /** What is reported beside the loss; the first is the one that summaries show. */
  readonly measures: readonly Measure[];
}

/** Whether a task reads an output as it is, rather than the scores behind a last softmax or sigmoid; see Task.valuesOf. */
export function readsValues(task: Pick<Task, "valuesOf"> | undefined, output: string): boolean {
  return task?.valuesOf === "all" || (task?.valuesOf?.includes(output) ?? false);
}

/** Outputs [n, ...] of some examples and what they are compared with. */
export interface LossCall {
  readonly outputs: FloatTensors;
  readonly targets: Tensors | undefined;
  readonly delta?: FloatTensors;
  readonly kernels: Kernels;
}

/** A sum, and over how many examples or positions. */
export interface LossSum {
  readonly sum: number;
  readonly count: number;
}

/** Where the Hessian is taken. Targets mark ignored positions, and matter to losses whose Hessian depends on them. */
export interface OutputFactorCall {
  readonly outputs: FloatTensors;
  readonly targets: Tensors | undefined;
  /** Divides scores wherever they become probabilities, > 0: above 1 it softens over-confident ones. Default 1. */
  readonly temperature?: number;
}

/** B = diag(p) - p p' for every example. */
export interface SoftmaxHessian {
  /** The only output that the loss reads. */
  readonly output: string;
  /** p [examples, classes]; not to be changed. */
  readonly probabilities: Float64Array;
}

/** Products with R and R', examples side by side. */
export interface OutputFactor {
  /** Columns of R for one example: vectors u hold [examples, columns] numbers. */
  readonly columns: number;
  /** R R', where it is this. */
  readonly softmax?: SoftmaxHessian;
  /** out = R u. Outputs the task does not read are set to zero. */
  times(u: Vec, out: FloatTensors): void;
  /** out = R's column `index` for every example, what `times` gives for unit vectors, where that has a way of its own. */
  column?(index: number, out: FloatTensors): void;
  /** out = R't */
  transposeTimes(t: FloatTensors, out: Vec): void;
  /** out = a random vector of mean 0 and covariance R R': where there is a likelihood, the slope of the loss for targets drawn from it. */
  draw(rng: Rng, out: FloatTensors): void;
}

/** A number that says how good outputs are. */
export interface Measure {
  /** For example "accuracy". */
  readonly name: string;
  /** Printed behind the number: "%", "nats", "". */
  readonly unit: string;
  readonly better: "higher" | "lower";
  /** The sum over some examples, and over how many it goes. */
  add(outputs: FloatTensors, targets: Tensors | undefined): LossSum;
  /** From the mean over everything to the number reported; default: as it is. */
  finish?(mean: number): number;
}
