import { assertFinite, type Dtype, dtypeOf, type Mat, matrix, shapeMismatch, type Vec } from "@secateur/core";
import { readNpy, type Tensor, toFloat32, toFloat64, toVec } from "@secateur/formats";

/** Gradient rows and weights of one problem, both in f32, or both in f64 when one of the files is. */
export interface ProblemArrays {
  /** G [n, p] */
  readonly gradients: Mat;
  /** w0, p numbers */
  readonly weights: Vec;
  /** The shape the weights have in their file. */
  readonly shape: readonly number[];
  /** What the new weights are written in: that of the file, or f32 for files of narrower numbers. */
  readonly dtype: Dtype;
}

/**
 * Reads and checks the arrays of `secateur solve`.
 *
 * @param spec - absolute paths
 * @throws the file errors of formats; ERR_SHAPE when G is not [n, p] with n >= 1 and p the number of weights; ERR_NOT_FINITE
 */
export async function readArrays(spec: { gradients: string; weights: string }): Promise<ProblemArrays> {
  const gradients = await readFinite(
    spec.gradients,
    "the backward pass overflowed or divided by 0: leave such rows out",
  );
  const weights = await readFinite(spec.weights, "training diverged: take an earlier checkpoint");
  const size = weights.data.length;
  if (size === 0) {
    throw shapeMismatch({ where: spec.weights, found: "no weights", expected: "at least one" });
  }
  const [rows, cols] = gradients.shape;
  if (gradients.shape.length !== 2 || rows === undefined || rows === 0 || cols !== size) {
    throw shapeMismatch({
      where: spec.gradients,
      found: `shape [${gradients.shape.join(", ")}]`,
      expected: `[n, ${size}] with n >= 1: one gradient row per example or mini-batch, one column for each of the ${size} weights in ${spec.weights}`,
    });
  }
  const dtypes = [dtypeOf(toVec(gradients)), dtypeOf(toVec(weights))] as const;
  const convert = dtypes.includes("f64") ? toFloat64 : toFloat32;
  return {
    gradients: matrix(rows, cols, convert(gradients)),
    weights: convert(weights),
    shape: weights.shape,
    dtype: dtypes[1],
  };
}

/** A .npy file whose numbers are all finite. @throws ERR_NOT_FINITE with the remedy, the file errors of formats */
export async function readFinite(path: string, remedy: string): Promise<Tensor> {
  const tensor = await readNpy(path);
  assertFinite(path, toVec(tensor), remedy);
  return tensor;
}
