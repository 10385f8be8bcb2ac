import { createRng, type Dtype, type Kernels, type Mat, matrix } from "@secateur/core";
import type { Calibration } from "./calibrate.ts";
import { bestOf } from "./timing.ts";

/** GFLOPS of a product of two matrices of 1024 x 1024, by dtype: what the kernels can do at best. */
export async function peakRates(kernels: Kernels, calibration: Calibration): Promise<Readonly<Record<Dtype, number>>> {
  return { f32: await peakRate(kernels, calibration, "f32"), f64: await peakRate(kernels, calibration, "f64") };
}

async function peakRate(kernels: Kernels, calibration: Calibration, dtype: Dtype): Promise<number> {
  const n = 1024;
  const rng = createRng(1);
  const [a, b, out] = [0, 1, 2].map(() => matrix(n, n, kernels.alloc(n * n, dtype))) as [Mat, Mat, Mat];
  for (const { data } of [a, b]) for (let i = 0; i < data.length; i++) data[i] = rng.next() - 0.5;
  const { ms } = await bestOf(5, calibration, () => kernels.gemm({ a, b, out }));
  for (const { data } of [a, b, out]) kernels.free(data);
  return (2 * n ** 3) / ms / 1e6;
}
