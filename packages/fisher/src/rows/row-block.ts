import type { Mat, Vec } from "@secateur/core";

/**
 * The columns of G that belong to one parameter (or one tile of a large one), behind products. All vectors share one
 * dtype per call: f32, or f64 for products accumulated in f64.
 */
export interface RowBlock {
  /** Number of weights (columns of G) covered. */
  readonly size: number;
  /** See FactorView.productCost. */
  readonly productCost: number;
  /** out [rows] += G_block x, x [size] */
  addTimes(x: Vec, out: Vec): void;
  /** out [size] = G_block' u, u [rows] */
  transposeTimes(u: Vec, out: Vec): void;
  /** out [rows, rows] += G_block G_block' */
  addRowGram(out: Mat): void;
  /** Writes G_block[:, support - start] into columns first ... of `out` [rows, ...]; support ascending, in global indices. */
  writeColumns(spec: { support: Uint32Array; start: number; first: number; out: Mat }): void;
  /** Writes the squared column norms into out [size]. */
  columnNormsSquared(out: Float64Array): void;
}
