/** Chosen columns of sqrt(scale) G in f64, and their Gram matrix over the rows. */
import { type FactorView, type Kernels, type Mat, matrix } from "@secateur/core";

type Columned = FactorView & Required<Pick<FactorView, "columns">>;

/** sqrt(scale) G[:, chosen] [n, chosen.length] f64, in kernel memory. */
export async function gatherScaled(view: Columned, chosen: Uint32Array, kernels: Kernels): Promise<Mat> {
  const { rows, scale, dtype } = view;
  const gathered = matrix(rows, chosen.length, kernels.alloc(rows * chosen.length, dtype));
  await view.columns(chosen, gathered);
  const A = matrix(rows, chosen.length, kernels.alloc(gathered.data.length, "f64"));
  const root = Math.sqrt(scale);
  for (let i = 0; i < A.data.length; i++) A.data[i] = root * gathered.data[i]!;
  kernels.free(gathered.data);
  return A;
}

const tileColumns = 1024;

/** scale G_S G_S' [n, n] f64, in kernel memory; n^2 |S| / 2 multiply-adds in the dtype of the rows. */
export async function scaledGram(view: Columned, chosen: Uint32Array, kernels: Kernels): Promise<Mat> {
  const { rows: n, scale, dtype } = view;
  const gram = matrix(n, n, kernels.alloc(n * n, dtype));
  for (let start = 0; start < chosen.length; start += tileColumns) {
    const part = chosen.subarray(start, start + tileColumns);
    const tile = matrix(n, part.length, kernels.alloc(n * part.length, dtype));
    await view.columns(part, tile);
    kernels.gram({ a: tile, out: gram, beta: 1 });
    kernels.free(tile.data);
  }
  const out = matrix(n, n, kernels.alloc(n * n, "f64"));
  for (let i = 0; i < out.data.length; i++) out.data[i] = scale * gram.data[i]!;
  kernels.free(gram.data);
  return out;
}
