/** Runs a layer of a joined plan: one convolution of the kernels. */
import type { Pool, Vec } from "@secateur/core";
import { moveRuns } from "../operators/moving/moves.ts";
import { channelFactors } from "../operators/normalising.ts";
import type { Step } from "../plan/plan.ts";
import { realOf, type Value } from "../value.ts";
import type { Layer } from "./joined-layers.ts";

/** What a layer runs with. */
export interface LayerRun {
  readonly values: readonly (Value | undefined)[];
  readonly pool: Pool;
  /** Whether the array of weights may come again. */
  readonly reuse: boolean;
  /** Whether the value that is added may be written over. */
  readonly mayOverwrite: boolean;
}

/** @returns the output, in a vector of the pool, or in that of the value that is added, where that may be written over */
export function runLayer({ step, view, norm, bias, sum, isRectified }: Layer, run: LayerRun): Vec {
  const { values, pool, reuse, mayOverwrite } = run;
  const numbersOf = (slot: number | undefined): Vec => realOf(values[slot!]!);
  const x = numbersOf(step.inputs[view.x]);
  const given = numbersOf(step.inputs[view.weights]);
  const weights = view.isTransposed ? transposed(given, view.shape) : given;
  const images = view.images ? moveRuns(x, view.images.runs, pool.take(view.images.length)) : x;
  const added = sum === undefined ? undefined : numbersOf(sum);
  const whole = added && mayOverwrite && added !== x ? added : pool.take(view.length);
  if (added && whole !== added) whole.set(added);
  const { factors, taken } = factorsOf({ norm, shift: bias === undefined ? undefined : numbersOf(bias) }, run);
  const call = { shape: view.shape, images, weights, reuse, out: whole, ...factors };
  pool.kernels.convolve({ ...call, beta: added ? 1 : 0, relu: isRectified });
  for (const vector of taken) pool.give(vector);
  if (images !== x) pool.give(images);
  if (!view.kept) return whole;
  const out = moveRuns(whole, view.kept.runs, pool.take(view.kept.length));
  pool.give(whole);
  return out;
}

/** Transposed constants by the array that they were made of; constants never change. */
const transposedConstants = new WeakMap<Vec, Vec>();

function transposed(data: Vec, { channels, outputs }: Layer["view"]["shape"]): Vec {
  const before = transposedConstants.get(data);
  if (before) return before;
  const out = data.slice();
  for (let c = 0, i = 0; c < channels; c++) for (let o = 0; o < outputs; o++, i++) out[o * channels + c] = data[i]!;
  transposedConstants.set(data, out);
  return out;
}

/** Scale and bias of the sums, and what of them is of the pool. */
function factorsOf(
  { norm, shift }: { norm: Step | undefined; shift: Vec | undefined },
  { values, pool }: LayerRun,
): { readonly factors: { readonly scale?: Vec; readonly bias?: Vec }; readonly taken: readonly Vec[] } {
  const plain = { factors: shift ? { bias: shift } : {}, taken: [] };
  if (!norm) return plain;
  const { alpha, gamma, isIdentity } = channelFactors(
    norm,
    norm.inputs.slice(1, 5).map((slot) => values[slot!]!),
    pool,
  );
  if (shift) for (let c = 0; c < gamma.length; c++) gamma[c] = gamma[c]! + alpha[c]! * shift[c]!;
  if (!isIdentity) return { factors: { scale: alpha, bias: gamma }, taken: [alpha, gamma] };
  pool.give(alpha);
  pool.give(gamma);
  return plain;
}
