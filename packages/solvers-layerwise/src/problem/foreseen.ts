/**
 * What ADMM and the re-fit of a large layer take at most, said before it is solved; traces and swaps have bounds of their own (`mostWork`). ADMM is some 35 steps of rows cols^2 multiply-adds in f32 and ten factorisations of cols^3 / 6; the re-fit of
 * long rows, by conjugate gradients, some 25 steps of rows cols^2 in f64. SparseGPT, which does without both, is cols^3 / 3 + rows cols^2 / 2 in f64.
 */
import type { RunContext } from "@secateur/core";
import type { LayerProblem } from "./layer-problem.ts";

/** Multiply-adds a second of one thread in large products, and in SparseGPT's columns, which wait for memory: of the layers of `bench:layerwise -- --synthetic 4096` and 1024 on a two-core server of 2026. */
const speed = { f32: 8e9, f64: 4e9, columns: 1.3e9 };
/** Seconds from which on it is said. */
const noticed = 60;
const steps = { admm: 35, factorisations: 10, refit: 25 };

/** Seconds of one thread by this count, and those of SparseGPT. A re-fit of few kept weights, by factorisations, takes less. */
export function foreseen(
  { rows, cols }: Pick<LayerProblem, "rows" | "cols">,
  { runsAdmm }: { runsAdmm: boolean },
): { readonly seconds: number; readonly sparsegpt: number } {
  const product = rows * cols ** 2;
  const admm = (steps.admm * product + (steps.factorisations * cols ** 3) / 6) / speed.f32;
  return {
    seconds: (runsAdmm ? admm : 0) + (steps.refit * product) / speed.f64,
    sparsegpt: (cols ** 3 / 3 + product / 2) / speed.columns,
  };
}

/** Notes what a layer takes for these where that is more than a minute: "layer-long". */
export function noteLong(layer: LayerProblem, method: { runsAdmm: boolean }, ctx: RunContext): void {
  const { seconds, sparsegpt } = foreseen(layer, method);
  if (seconds < noticed) return;
  const { id, rows, cols } = layer;
  const what = method.runsAdmm ? "ADMM and the re-fit of the kept weights" : "the re-fit of the kept weights";
  const message = `${id}: ${rows} rows of ${cols} inputs take up to ${Math.round(seconds / 60)} minutes on one thread for ${what}; solver sparsegpt takes some ${Math.ceil(sparsegpt)} seconds for all of it, at a larger error`;
  ctx.report({ type: "note", level: "info", code: "layer-long", message });
}
