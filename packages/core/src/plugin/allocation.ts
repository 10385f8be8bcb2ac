/** How the weights that are kept are spread over the layers of a network. */
import type { RunContext } from "../run-context.ts";

/** What an allocation knows of one layer. */
export interface LayerInfo {
  readonly name: string;
  /** As the model stores it: [out, in] for dense layers, [out, in, kh, kw] for convolutions. */
  readonly shape: readonly number[];
  /** Its place in the flat vectors. */
  readonly start: number;
  /** Number of its weights. */
  readonly size: number;
}

/** A layer and the bounds on what it keeps. */
export interface BoundedLayer extends LayerInfo {
  /** Keeps at least this many: all of them for an excluded layer. */
  readonly least: number;
  /** Can keep at most this many: its size, or without regrowth what it still has. */
  readonly most: number;
}

/** What an allocation is asked for. */
export interface AllocationRequest {
  /** At least one; they fill the flat vectors from the first to the last weight. */
  readonly layers: readonly BoundedLayer[];
  /** Weights to keep in all; the sums of `least` and of `most` lie below and above it. */
  readonly keep: number;
  /** Flat weights before the pruning, as long as the layers together; not to be changed. */
  readonly weights: Float32Array;
}

/** Spreads a number of weights over layers; within a layer the solver chooses. Exclusions and limits are the caller's, as bounds. */
export interface Allocation {
  /** Least fraction that each layer keeps, in [0, 1], one a layer; absent: 0. */
  floors?(layers: readonly LayerInfo[]): readonly number[];
  /**
   * Whole numbers of weights, one a layer, each within the layer's bounds, in sum `keep`. Absent: layers compete, and the scores of
   * the solver decide over the whole network.
   */
  counts?(request: AllocationRequest, ctx: RunContext): readonly number[];
}
