/** Weights on a grid of few values. */
import type { Mask, Mat, Vec } from "../problem/matrix.ts";
import type { RunContext } from "../run-context.ts";

/**
 * A grid a row: value = scale * (level - zero) with whole levels from 0 to 2^bits - 1, or from -2^(bits - 1) to 2^(bits - 1) - 1
 * where there are no zeros.
 */
export interface Grid {
  /** 1 to 16. */
  readonly bits: number;
  /** [rows], finite and above 0. */
  readonly scales: Vec;
  /** [rows], the level of the value 0, a whole number; absent: levels are signed and 0 is the level of 0. */
  readonly zeros?: Vec;
}

/** Weights that lie on a grid. */
export interface QuantizedWeights {
  /** As the matrix that came in; each value is one of its row's grid, 0 where the mask is 0. */
  readonly w: Mat;
  readonly grid: Grid;
}

/** Puts the weights of one layer on a grid. */
export interface Quantizer {
  /**
   * @param spec.w - [out, in], not to be changed
   * @param spec.mask - [out * in], 1 = keep; absent: everything is kept
   */
  quantize(
    spec: { readonly w: Mat; readonly mask?: Mask },
    ctx: RunContext,
  ): QuantizedWeights | Promise<QuantizedWeights>;
}
