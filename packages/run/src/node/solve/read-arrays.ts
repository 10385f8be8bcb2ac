import { assertFinite, type Dtype, dtypeOf, type Mat, matrix, shapeMismatch, type Vec, zeros } from "@secateur/core";
import { assertThere, readNpy, readNpyInto, type Tensor, toFloat32, toFloat64, toVec } from "@secateur/formats";

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
 * Reads and checks the arrays of `secateur solve`. Whether the rows are finite is seen where they become a curvature.
 *
 * @param spec - absolute paths
 * @param spec.room - makes the place [length] that rows are read to; default: an array
 * @throws the file errors of formats; ERR_SHAPE when G is not [n, p] with n >= 1 and p the number of weights; ERR_NOT_FINITE of weights
 */
export async function readArrays(spec: {
  gradients: string;
  weights: string;
  room?: (length: number, dtype: Dtype) => Vec;
}): Promise<ProblemArrays> {
  const { room = zeros } = spec;
  await assertThere(spec.gradients);
  const weights = await readFinite(spec.weights, "training diverged: take an earlier checkpoint");
  const size = weights.data.length;
  if (size === 0) {
    throw shapeMismatch({ where: spec.weights, found: "no weights", expected: "at least one" });
  }
  const dtype = dtypeOf(toVec(weights));
  // Rows that are to be converted are first read to an array, which is garbage afterwards.
  const isNarrow = (found: Dtype): boolean => dtype === "f64" && found === "f32";
  const { shape, data } = await readNpyInto(spec.gradients, (length, found) =>
    isNarrow(found) ? zeros(length, found) : room(length, found),
  );
  const [rows, cols] = shape;
  if (shape.length !== 2 || rows === undefined || rows === 0 || cols !== size) {
    throw shapeMismatch({
      where: spec.gradients,
      found: `shape [${shape.join(", ")}]`,
      expected: `[n, ${size}] with n >= 1: one gradient row per example or mini-batch, one column for each of the ${size} weights in ${spec.weights}`,
    });
  }
  const gradients = isNarrow(dtypeOf(data)) ? converted(data, room(data.length, dtype)) : data;
  return {
    gradients: matrix(rows, cols, gradients),
    weights: dtypeOf(gradients) === "f64" ? toFloat64(weights) : toFloat32(weights),
    shape: weights.shape,
    dtype,
  };
}

function converted(data: Vec, out: Vec): Vec {
  out.set(data);
  return out;
}

/** A .npy file whose numbers are all finite. @throws ERR_NOT_FINITE with the remedy, the file errors of formats */
export async function readFinite(path: string, remedy: string): Promise<Tensor> {
  const tensor = await readNpy(path);
  assertFinite(path, toVec(tensor), remedy);
  return tensor;
}
