/** H over a few chosen weights, written out, from whichever columns the gradient rows offer. */
import { type FactorView, type Kernels, type Mat, matrix } from "@secateur/core";

/** Whether a view can meet its rows by few columns at a time. */
export function hasColumns(view: FactorView | undefined): boolean {
  return view?.columns !== undefined || view?.columnGram !== undefined;
}

/**
 * H[chosen, chosen] = scale G_S'G_S + damping I [c, c] f64; the caller's to keep. n c^2 / 2 multiply-adds in the dtype of the
 * rows, times the classes for a Gauss-Newton matrix. Memory: n c numbers and 12 c^2 bytes meanwhile.
 *
 * @param view - for which {@link hasColumns} holds
 * @param chosen - ascending
 */
export async function denseBlock(view: FactorView, chosen: Uint32Array, kernels: Kernels): Promise<Mat> {
  const c = chosen.length;
  const gram = matrix(c, c, kernels.alloc(c * c, view.dtype));
  if (view.columnGram) {
    await view.columnGram(chosen, gram);
  } else {
    const A = matrix(view.rows, c, kernels.alloc(view.rows * c, view.dtype));
    await view.columns!(chosen, A);
    kernels.gram({ a: A, transpose: true, out: gram });
    kernels.free(A.data);
  }
  const H = matrix(
    c,
    c,
    Float64Array.from(gram.data, (value) => view.scale * value),
  );
  kernels.free(gram.data);
  for (let s = 0; s < c; s++) H.data[s * c + s]! += view.damping;
  return H;
}
