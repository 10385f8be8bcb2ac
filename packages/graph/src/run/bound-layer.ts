/** A layer as one convolution of the kernels, on vectors that stay where they are. */
import type { Vec } from "@secateur/core";
import { moveRuns } from "../operators/moving/moves.ts";
import { fillChannelFactors } from "../operators/normalising.ts";
import { realOf, type Value } from "../value.ts";
import type { Layer } from "./joined-layers.ts";
import type { RunPool } from "./replayed-pool.ts";

/** What a layer runs with. */
export interface LayerRun {
  readonly values: readonly (Value | undefined)[];
  readonly pool: RunPool;
  /** Whether the array of weights may come again. */
  readonly reuse: boolean;
  /** Whether the value that is added may be written over. */
  readonly mayOverwrite: boolean;
}

/** A layer that can be run, any number of times. */
export interface BoundLayer {
  /** The output: a vector of the pool, or that of the value that is added, where that may be written over. */
  readonly out: Vec;
  /** Vectors that were taken from the pool for it and hold nothing between runs; factors of a normalisation, which do, are not among them. */
  readonly taken: readonly Vec[];
  /** Computes `out` of the numbers that are there then. */
  run(): void;
}

/** Takes what a layer needs from the pool. */
export function bindLayer(layer: Layer, { values, pool, reuse, mayOverwrite }: LayerRun): BoundLayer {
  const { step, view, sum, isRectified } = layer;
  const numbersOf = (slot: number | undefined): Vec => realOf(values[slot!]!);
  const x = numbersOf(step.inputs[view.x]);
  const given = numbersOf(step.inputs[view.weights]);
  const weights = view.isTransposed ? transposed(given, view.shape) : given;
  const images = view.images ? pool.take(view.images.length) : x;
  const added = sum === undefined ? undefined : numbersOf(sum);
  const whole = added && mayOverwrite && added !== x ? added : pool.take(view.length);
  const factors = factorsOf(layer, { numbersOf, pool });
  const plain = {
    shape: view.shape,
    images,
    weights,
    reuse,
    out: whole,
    beta: added ? (1 as const) : (0 as const),
    relu: isRectified,
  };
  const shifted = factors.shift ? { ...plain, bias: factors.shift } : plain;
  const scaled = { ...plain, scale: factors.alpha, bias: factors.gamma };
  const out = view.kept ? pool.take(view.kept.length) : whole;
  return {
    out,
    taken: [...(images === x ? [] : [images]), ...(view.kept ? [whole] : [])],
    run() {
      if (view.images) moveRuns(x, view.images.runs, images);
      if (added && added !== whole) whole.set(added);
      pool.kernels.convolve(factors.isScaled() ? scaled : shifted);
      if (view.kept) moveRuns(whole, view.kept.runs, out);
    },
  };
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

/** What the sums are multiplied with and what is added to them. */
interface Factors {
  /** The bias alone. */
  readonly shift: Vec | undefined;
  /** Of a normalisation, with the bias in it. */
  readonly alpha: Vec;
  readonly gamma: Vec;
  /** Brings alpha and gamma up to date. Returns false where there is no normalisation or it changes nothing. */
  isScaled(): boolean;
}

function factorsOf(
  { norm, bias }: Layer,
  { numbersOf, pool }: { numbersOf(slot: number | undefined): Vec; pool: RunPool },
): Factors {
  const shift = bias === undefined ? undefined : numbersOf(bias);
  if (!norm) return { shift, alpha: none, gamma: none, isScaled: () => false };
  const given = norm.inputs.slice(1, 5).map(numbersOf);
  const channels = given[0]!.length;
  // Statistics and biases change in place, and seldom.
  const read = shift ? [...given, shift] : given;
  const before = read.map((numbers) => numbers.slice().fill(Number.NaN));
  const [alpha, gamma] = [pool.takeLasting(channels), pool.takeLasting(channels)];
  let isIdentity = false;
  return {
    ...{ shift, alpha, gamma },
    isScaled() {
      if (read.every((numbers, i) => areEqual(numbers, before[i]!))) return !isIdentity;
      read.forEach((numbers, i) => void before[i]!.set(numbers));
      isIdentity = fillChannelFactors(norm, given, { alpha, gamma });
      if (shift) for (let c = 0; c < channels; c++) gamma[c] = gamma[c]! + alpha[c]! * shift[c]!;
      return !isIdentity;
    },
  };
}

const none = new Float32Array(0);

/** No number equals NaN, so that what is not there yet is never up to date. */
function areEqual(a: Vec, b: Vec): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
