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
  readonly isOver: boolean;
}

/** @returns the output, in a vector of the pool, or in that of the value that is added, where that may be written over */
export function runLayer({ step, layer, norm, bias, sum, isRectified }: Layer, run: LayerRun): Vec {
  const { values, pool, reuse, isOver } = run;
  const numbersOf = (slot: number | undefined): Vec => realOf(values[slot!]!);
  const x = numbersOf(step.inputs[layer.x]);
  const given = numbersOf(step.inputs[layer.weights]);
  const weights = layer.isTurned ? turned(given, layer.shape) : given;
  const images = layer.images ? moveRuns(x, layer.images.runs, pool.take(layer.images.length)) : x;
  const added = sum === undefined ? undefined : numbersOf(sum);
  const whole = added && isOver && added !== x ? added : pool.take(layer.length);
  if (added && whole !== added) whole.set(added);
  const { factors, taken } = factorsOf({ norm, shift: bias === undefined ? undefined : numbersOf(bias) }, run);
  const call = { shape: layer.shape, images, weights, reuse, out: whole, ...factors };
  pool.kernels.convolve({ ...call, beta: added ? 1 : 0, relu: isRectified });
  for (const vector of taken) pool.give(vector);
  if (images !== x) pool.give(images);
  if (!layer.kept) return whole;
  const out = moveRuns(whole, layer.kept.runs, pool.take(layer.kept.length));
  pool.give(whole);
  return out;
}

/** Constants as the kernels want them: as they never change, once. */
const known = new WeakMap<Vec, Vec>();

function turned(data: Vec, { channels, outputs }: Layer["layer"]["shape"]): Vec {
  const before = known.get(data);
  if (before) return before;
  const out = data.slice();
  for (let c = 0, i = 0; c < channels; c++) for (let o = 0; o < outputs; o++, i++) out[o * channels + c] = data[i]!;
  known.set(data, out);
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
