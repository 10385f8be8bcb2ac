/** What the layers of a model see: the data behind layer-wise pruning. */
import type { Curvature } from "../problem/curvature.ts";
import type { Mat } from "../problem/matrix.ts";
import type { RunContext } from "../run-context.ts";
import type { Dataset } from "./dataset.ts";
import type { Model } from "./model.ts";

/**
 * Whose outputs the inputs of a layer come from: "sequential", the model with what has been written to the layers before it since; or
 * "parallel", the model as it was when the request was made.
 */
export type LayerInputsMode = "sequential" | "parallel";

/** Which inputs to take. */
export interface LayerInputsRequest {
  /** Weights of layers; the answer is in the order of the graph. */
  readonly params: readonly string[];
  readonly data: Dataset;
  /** Indices of examples. */
  readonly examples: Uint32Array;
  readonly inputs: LayerInputsMode;
}

/** Rows [firstRow, firstRow + rows) of a parameter's canonical matrix: all of them, but for groups of a convolution. */
export interface LayerRows {
  readonly param: string;
  readonly firstRow: number;
  readonly rows: number;
  /** What takes up the mean of their outputs; absent where nothing does. */
  readonly offset?: LayerOffset;
}

/**
 * Tensors that the model reads and writes as it does parameters, entry i that of row i of the weights: a bias; or the running statistics of the batch
 * normalisation that alone takes the outputs, behind the bias where there is one.
 */
export interface LayerOffset {
  readonly bias?: string;
  readonly statistics?: { readonly mean: string; readonly variance: string };
}

/** Some rows of inputs [some, cols]. */
export interface InputChunk extends Mat {
  /** Of the first chunk of a pass over examples: the place of the first of them among those asked for. Absent of all chunks: passes are not told apart. */
  readonly first?: number;
}

/** The chunks of one pass, the first of which says where it begins. */
export function* passChunks(chunks: Iterable<Mat>, start: number): Generator<InputChunk> {
  let isFirst = true;
  for (const chunk of chunks) {
    yield isFirst ? { ...chunk, first: start } : chunk;
    isFirst = false;
  }
}

/** What one layer sees, or several that see the same. A grouped convolution has one entry a group. */
export interface LayerInputs {
  /** Whose inputs these are. */
  readonly targets: readonly LayerRows[];
  /** Weights a row, columns of every chunk. */
  readonly cols: number;
  /** Rows in all chunks together, where an example has many: of convolutions. */
  readonly rows?: number;
  /**
   * The inputs [some, cols] in canonical order, a row a position of an example: a convolution's windows (channel, kernel row, kernel
   * column). A chunk is valid until the next one is asked for.
   */
  readonly chunks: AsyncIterable<InputChunk>;
}

/**
 * Which outputs the pruned layer is to give on its inputs x: "own", those of its dense weights on the same x; or "dense", those that it has in the
 * dense model, so that it makes up for what the layers before it have changed. The two differ with sequential inputs only.
 */
export type LayerTargets = "own" | "dense";

/** How a {@link LayerCurvatureEstimator} is asked. */
export interface LayerCurvatureRequest extends LayerInputsRequest {
  readonly model: Model;
  /** Default "own". */
  readonly match?: LayerTargets;
  /** The dense model of match "dense", with the same layers and weights of its own; default: `model` as it was when the request was made. */
  readonly dense?: Model;
}

/** With x the inputs of a layer and z what they are in the dense model, both [inputs, inputs] f64: what the outputs of the dense model are reached by. */
export interface DenseMoments {
  /** mean of x z' */
  readonly cross: Mat;
  /** mean of z z' */
  readonly own: Mat;
  /** mean of z [inputs] */
  readonly means: Float64Array;
}

/** H of one entry of {@link LayerInputs}. */
export interface LayerCurvature extends Omit<LayerInputs, "chunks" | "rows"> {
  /** H = X'X / n + damping I, with `gram`. */
  readonly curvature: Curvature;
  /** n, the rows of X. */
  readonly count: number;
  /** What was added to the diagonal. */
  readonly damping: number;
  /** Inputs that were always 0. */
  readonly dead: number;
  /** Where the dense model's outputs are to be matched. */
  readonly dense?: DenseMoments;
}

/** Makes the curvatures of layers, one after the other: each is freed before the next. */
export interface LayerCurvatureEstimator {
  readonly name: string;
  estimate(request: LayerCurvatureRequest, ctx: RunContext): AsyncIterable<LayerCurvature>;
}
