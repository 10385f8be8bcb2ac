/**
 * Moves of elements: out[k] = in[from[k]], or a constant, in blocks of neighbours that stay together. Backward adds each element's delta to
 * where it came from; the tangent moves as the value does.
 */
import type { ElementwiseStep, Vec } from "@secateur/core";
import type { Applied, Call } from "../../operator.ts";
import { runProgram, runsPrograms } from "../../run/programs.ts";
import { type Numbers, numbersOf, type Shape, sizeOf, stridesOf } from "../../value.ts";
import { walkIndices } from "../broadcast.ts";

/** Where blocks of `block` neighbours come from (index of the block in the input, -1: from nowhere). */
export interface Move {
  readonly block: number;
  readonly from: Int32Array;
  /** What stands where nothing comes from; default 0. */
  readonly constant?: number;
  /** The same move as strides in the input, where it is that. */
  readonly view?: StridedView & { readonly steps: readonly ElementwiseStep[] };
}

/** Elements of an array in another order: element (i0, i1, ...) of the shape is the one at offset + i0 strides[0] + ... */
interface StridedView {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
}

/** A strided move, whose indices are made when something asks for them. */
export function stridedMove(view: StridedView, block = 1): Move {
  let from: Int32Array | undefined;
  // The innermost axes are whole blocks.
  const rank = view.shape.length;
  let inner = 1;
  let kept = rank;
  while (inner < block) inner *= view.shape[--kept]!;
  return {
    // An array of its own: kernels keep a program by the identity of its steps.
    ...{ block, view: { ...view, steps: [] } },
    get from() {
      const steps = view.strides.slice(0, kept).map((stride) => stride / block);
      from ??= walkIndices(view.shape.slice(0, kept), steps, view.offset / block);
      return from;
    },
  };
}

/** Applies a move of the first input. */
export function applyMove(call: Call, move: Move): Applied {
  const input = call.inputs[0]!;
  const { block, constant = 0 } = move;
  const size = sizeOf(call.types[0]!.shape);
  const isReal = input.kind === "real";
  const data = isReal ? call.pool.take(size) : numbersOf(input.kind, size, "f64");
  const moved = (source: Numbers, out: Vec, filler: number): Vec => {
    if (!move.view || !runsPrograms(call.pool)) return gather(source, out, move, filler);
    const { shape, strides, offset, steps } = move.view;
    return runProgram(call.pool, { shape, inputs: [{ data: source as Vec, strides, offset }], steps, out });
  };
  if (!isReal) return { outputs: [gather(input.data, data, move, constant)] };
  moved(input.data, data as Vec, constant);
  return {
    outputs: [data],
    backward([delta]) {
      const out = call.pool.take(input.data.length).fill(0);
      const { from } = move;
      for (let k = 0; k < from.length; k++) {
        const start = from[k]! * block;
        if (start < 0) continue;
        for (let b = 0, at = k * block; b < block; b++, at++) out[start + b] = out[start + b]! + delta![at]!;
      }
      call.pool.give(delta!);
      return [out];
    },
    tangent([t]) {
      if (!t) return [undefined];
      return [moved(t, call.pool.take(size), 0)];
    },
  };
}

function gather<Out extends Numbers>(input: ArrayLike<number>, out: Out, move: Move, constant: number): Out {
  const { block, from } = move;
  if (block >= 16) {
    const source = input as Vec;
    for (let k = 0; k < from.length; k++) {
      const start = from[k]! * block;
      if (start < 0) out.fill(constant, k * block, (k + 1) * block);
      else out.set(source.subarray(start, start + block), k * block);
    }
    return out;
  }
  for (let k = 0, at = 0; k < from.length; k++) {
    const start = from[k]! * block;
    for (let b = 0; b < block; b++, at++) out[at] = start < 0 ? constant : input[start + b]!;
  }
  return out;
}

/** A move as runs of numbers that lie together here and there: triples of target, source (-1: from nowhere) and length. */
export function runsOf({ block, from }: Move): Int32Array {
  const runs: number[] = [];
  for (let k = 0; k < from.length; k++) {
    const source = from[k]!;
    const last = runs.length - 3;
    const isNext =
      last >= 0 && (source < 0 ? runs[last + 1]! < 0 : runs[last + 1]! + runs[last + 2]! === source * block);
    if (isNext && (source < 0 || runs[last + 1]! >= 0)) runs[last + 2]! += block;
    else runs.push(k * block, source < 0 ? -1 : source * block, block);
  }
  return Int32Array.from(runs);
}

/** Moves numbers by runs. */
export function moveRuns(source: Vec, runs: Int32Array, out: Vec): Vec {
  for (let r = 0; r < runs.length; r += 3) {
    const [to, from, length] = [runs[r]!, runs[r + 1]!, runs[r + 2]!];
    if (from < 0) out.fill(0, to, to + length);
    else if (length >= 32) out.set(source.subarray(from, from + length), to);
    else for (let i = 0; i < length; i++) out[to + i] = source[from + i]!;
  }
  return out;
}

/** The move that transposes a shape by a permutation: axes at the end that stay are one block. */
export function transposeMove(shape: Shape, perm: readonly number[]): Move {
  let kept = shape.length;
  while (kept > 0 && perm[kept - 1] === kept - 1) kept--;
  const strides = stridesOf(shape);
  const view = { shape: perm.map((axis) => shape[axis]!), strides: perm.map((axis) => strides[axis]!), offset: 0 };
  return stridedMove(view, sizeOf(shape.slice(kept)));
}

/** What is taken of an axis: places start, start + step, ... */
export interface Range {
  readonly start: number;
  readonly count: number;
  readonly step: number;
}

/** The move that takes a range of every axis. */
export function sliceMove(shape: Shape, ranges: readonly Range[]): Move {
  let kept = shape.length;
  while (kept > 0 && ranges[kept - 1]!.step === 1 && ranges[kept - 1]!.count === shape[kept - 1]) kept--;
  const strides = stridesOf(shape);
  const view = {
    shape: ranges.map(({ count }) => count),
    strides: ranges.map(({ step }, axis) => step * strides[axis]!),
    offset: ranges.reduce((sum, { start }, axis) => sum + start * strides[axis]!, 0),
  };
  return stridedMove(view, sizeOf(shape.slice(kept)));
}

/** The move that pads, or where pads are negative cuts, by a mode. */
export function padMove(
  shape: Shape,
  pads: readonly (readonly [before: number, after: number])[],
  { mode = "constant", constant = 0 }: { mode?: string; constant?: number } = {},
): Move {
  let kept = shape.length;
  while (kept > 0 && pads[kept - 1]!.every((pad) => pad === 0)) kept--;
  const outer = shape.slice(0, kept);
  const strides = stridesOf(outer);
  // Per axis the source of each place, -1 for none; then the sum over axes.
  let from = new Int32Array([0]);
  outer.forEach((extent, axis) => {
    const [before, after] = pads[axis]!;
    const places = Array.from({ length: Math.max(0, before + extent + after) }, (_, i) =>
      sourceOf(i - before, extent, mode),
    );
    const next = new Int32Array(from.length * places.length);
    let at = 0;
    for (const base of from) {
      for (const place of places) next[at++] = base < 0 || place < 0 ? -1 : base + place * strides[axis]!;
    }
    from = next;
  });
  return { block: sizeOf(shape.slice(kept)), from, constant };
}

function sourceOf(place: number, extent: number, mode: string): number {
  if (place >= 0 && place < extent) return place;
  if (mode === "edge") return Math.max(0, Math.min(extent - 1, place));
  if (mode === "wrap") return ((place % extent) + extent) % extent;
  if (mode !== "reflect") return -1;
  if (extent === 1) return 0;
  const period = 2 * (extent - 1);
  const inside = ((place % period) + period) % period;
  return inside < extent ? inside : period - inside;
}
