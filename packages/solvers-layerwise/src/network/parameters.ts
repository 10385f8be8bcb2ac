/** Weights of a model's parameters, or of some of their rows. */
import { type LayerRows, type Mask, type Mat, type Model, matrix } from "@secateur/core";

/** Copies of whole parameters by name. */
export async function readAll(model: Model, params: readonly string[]): Promise<ReadonlyMap<string, Mat>> {
  const weights = new Map<string, Mat>();
  for (const param of params) weights.set(param, await model.read(param));
  return weights;
}

/** Puts whole parameters back; default: all that are given. */
export async function writeAll(
  model: Model,
  weights: ReadonlyMap<string, Mat>,
  params: Iterable<string> = weights.keys(),
): Promise<void> {
  for (const param of params) await model.write(param, weights.get(param)!);
}

/** Rows of a parameter, with where they belong. */
export async function readRows(model: Model, { param, firstRow, rows }: LayerRows): Promise<Mat> {
  const { cols, data } = await model.read(param);
  return matrix(rows, cols, data.slice(firstRow * cols, (firstRow + rows) * cols));
}

/** Replaces rows of a parameter. */
export async function writeRows(model: Model, { param, firstRow }: LayerRows, w: Mat): Promise<void> {
  const whole = await model.read(param);
  whole.data.set(w.data, firstRow * w.cols);
  await model.write(param, whole);
}

/** Of the rows of a parameter, what may be kept; undefined where all may. */
export function eligibleRows(
  eligible: ReadonlyMap<string, Mask> | undefined,
  { param, firstRow, rows }: LayerRows,
  cols: number,
): Mask | undefined {
  return eligible?.get(param)?.subarray(firstRow * cols, (firstRow + rows) * cols);
}
