/**
 * Operators that only move elements: out[k] = in[from[k]], or a constant. All of them are this one rule with different `from`, in blocks
 * of neighbours that stay together. Backward adds each element's delta to where it came from; the tangent moves as the value does.
 */
import type { Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../operator.ts";
import { runProgram, runsPrograms, stretchedStrides } from "../run/programs.ts";
import { type Numbers, numbersOf, type Shape, sizeOf, stridesOf, type ValueType } from "../value.ts";
import { walkIndices } from "./broadcast.ts";
import {
  axisIn,
  inputOf,
  knownInput,
  listOf,
  listOrInput,
  numberOf,
  refuse,
  sameAs,
  showShape,
  textOf,
} from "./node-facts.ts";

/** Where blocks of `block` neighbours come from (index of the block in the input, -1: from nowhere). */
export interface Move {
  readonly block: number;
  readonly from: Int32Array;
  /** What stands where nothing comes from; default 0. */
  readonly constant?: number;
  /** The same move as strides in the input, where it is that. */
  readonly view?: StridedView;
}

/** Elements of an array in another order: element (i0, i1, ...) of the shape is the one at offset + i0 strides[0] + ... */
interface StridedView {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
}

/** A strided move, whose indices are made when something asks for them. */
function stridedMove(view: StridedView, block = 1): Move {
  let from: Int32Array | undefined;
  // The innermost axes are whole blocks.
  const rank = view.shape.length;
  let inner = 1;
  let kept = rank;
  while (inner < block) inner *= view.shape[--kept]!;
  return {
    ...{ block, view },
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
    const { shape, strides, offset } = move.view;
    return runProgram(call.pool, { shape, inputs: [{ data: source as Vec, strides, offset }], steps: [], out });
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

/** An operator that is a move along a known pattern. */
function mover(name: string, rule: { infer: Operator["infer"]; move: (call: Call) => Move | undefined }): Operator {
  return {
    name,
    layout: "first",
    derivative: "yes",
    infer: rule.infer,
    apply(call) {
      const move = rule.move(call);
      return move ? applyMove(call, move) : aliased(call);
    },
    flops: () => 0,
  };
}

/** The same numbers under another shape. */
function aliased(call: Call): Applied {
  return {
    outputs: [call.inputs[0]!.data],
    backward: ([delta]) => [delta],
    tangent: ([t]) => [t?.slice()],
  };
}

function reshaper(name: string, shapeOf: (question: Question) => Shape): Operator {
  return mover(name, {
    infer: (question) => {
      const { shape, kind } = inputOf(question, 0);
      const wanted = shapeOf(question);
      if (sizeOf(wanted) !== sizeOf(shape)) {
        refuse(question, `shape ${showShape(shape)} as ${showShape(wanted)}`, "as many elements");
      }
      return [{ shape: wanted, kind }];
    },
    move: () => undefined,
  });
}

function reshapeShape(question: Question): Shape {
  const { shape } = inputOf(question, 0);
  const wanted = knownInput(question, 1) ?? listOf(question, "shape") ?? [];
  const keepsZero = numberOf(question, "allowzero", 0) === 1;
  const out = wanted.map((extent, i) => (extent === 0 && !keepsZero ? (shape[i] ?? 0) : extent));
  const open = out.indexOf(-1);
  if (open >= 0) {
    const rest = out.reduce((product, extent, i) => (i === open ? product : product * extent), 1);
    out[open] = rest === 0 ? 0 : sizeOf(shape) / rest;
  }
  if (out.some((extent) => !Number.isInteger(extent) || extent < 0)) {
    refuse(question, `shape ${showShape(shape)} as ${showShape(wanted)}`, "whole extents");
  }
  return out;
}

function squeezedShape(question: Question): Shape {
  const { shape } = inputOf(question, 0);
  const axes = listOrInput(question, "axes", 1)?.map((axis) => axisIn(question, axis, shape.length));
  return shape.filter((extent, i) => (axes ? !axes.includes(i) : extent !== 1));
}

function unsqueezedShape(question: Question): Shape {
  const { shape } = inputOf(question, 0);
  const axes = listOrInput(question, "axes", 1) ?? [];
  const rank = shape.length + axes.length;
  const fronts = new Set(axes.map((axis) => axisIn(question, axis, rank)));
  const rest = [...shape];
  return Array.from({ length: rank }, (_, i) => (fronts.has(i) ? 1 : rest.shift()!));
}

function flattenedShape(question: Question): Shape {
  const { shape } = inputOf(question, 0);
  const axis = numberOf(question, "axis", 1);
  const at = axis < 0 ? axis + shape.length : axis;
  return [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))];
}

function permutationOf(question: Question): readonly number[] {
  const { shape } = inputOf(question, 0);
  const perm = listOf(question, "perm") ?? shape.map((_, i) => shape.length - 1 - i);
  if (perm.length !== shape.length || new Set(perm).size !== shape.length) {
    refuse(question, `perm ${showShape(perm)} of ${shape.length} dimensions`, "every axis once");
  }
  return perm;
}

/** The move that transposes a shape by a permutation: axes at the end that stay are one block. */
export function transposeMove(shape: Shape, perm: readonly number[]): Move {
  let kept = shape.length;
  while (kept > 0 && perm[kept - 1] === kept - 1) kept--;
  const strides = stridesOf(shape);
  const view = { shape: perm.map((axis) => shape[axis]!), strides: perm.map((axis) => strides[axis]!), offset: 0 };
  return stridedMove(view, sizeOf(shape.slice(kept)));
}

interface Range {
  readonly start: number;
  readonly count: number;
  readonly step: number;
}

/** For every axis what Slice takes of it. */
function slicesOf(question: Question): readonly Range[] {
  const { shape } = inputOf(question, 0);
  const starts = listOrInput(question, "starts", 1) ?? [];
  const ends = listOrInput(question, "ends", 2) ?? [];
  const axes = listOrInput(question, "axes", 3) ?? starts.map((_, i) => i);
  const steps = knownInput(question, 4) ?? starts.map(() => 1);
  const ranges = shape.map((extent): Range => ({ start: 0, count: extent, step: 1 }));
  axes.forEach((axis, i) => {
    const front = axisIn(question, axis, shape.length);
    const extent = shape[front]!;
    const step = steps[i]!;
    if (step === 0) refuse(question, "steps of 0", "steps");
    const fromFront = (place: number): number => (place < 0 ? place + extent : place);
    const [low, high] = step > 0 ? [0, extent] : [-1, extent - 1];
    const clamp = (place: number): number => Math.min(Math.max(place, low), high);
    const start = step > 0 ? clamp(fromFront(starts[i]!)) : clamp(fromFront(starts[i]!));
    const end = clamp(fromFront(ends[i]!));
    ranges[front] = { start, count: Math.max(0, Math.ceil((end - start) / step)), step };
  });
  return ranges;
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

/** What stands before and behind along every axis. */
function padsOf(question: Question): readonly (readonly [before: number, after: number])[] {
  const { shape } = inputOf(question, 0);
  const pads = listOrInput(question, "pads", 1) ?? listOf(question, "paddings") ?? [];
  const axes = question.opset >= 18 ? knownInput(question, 3) : undefined;
  const count = pads.length / 2;
  const named = axes?.map((axis) => axisIn(question, axis, shape.length)) ?? shape.map((_, i) => i);
  if (count !== named.length) refuse(question, `${pads.length} pads`, `two for each of ${named.length} axes`);
  return shape.map((_, axis) => {
    const i = named.indexOf(axis);
    return i < 0 ? [0, 0] : [pads[i]!, pads[i + count]!];
  });
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

const repeat = (question: Question): readonly number[] =>
  knownInput(question, 1) ?? refuse(question, "no repeats", "how often each axis repeats");

/** A shape that the input stretches to. */
function expandedShape(question: Question): Shape {
  const { shape } = inputOf(question, 0);
  const wanted = knownInput(question, 1) ?? [];
  const rank = Math.max(shape.length, wanted.length);
  return Array.from({ length: rank }, (_, i) => {
    const own = shape[shape.length - rank + i] ?? 1;
    const other = wanted[wanted.length - rank + i] ?? 1;
    if (own !== other && own !== 1 && other !== 1) {
      refuse(question, `shape ${showShape(shape)} for ${showShape(wanted)}`, "a shape that it stretches to");
    }
    return own === 1 ? other : own;
  });
}

const typed =
  (shapeOf: (question: Question) => Shape) =>
  (question: Question): readonly ValueType[] => [{ shape: shapeOf(question), kind: inputOf(question, 0).kind }];

/** [n, c, h, w] by blocks of pixels: which element of the input each one of the output is. */
function depthMove(question: Question, toSpace: boolean): { shape: Shape; move: Move } {
  const { shape } = inputOf(question, 0);
  const size = numberOf(question, "blocksize", 0);
  const [n = 0, c = 0, h = 0, w = 0] = shape;
  if (shape.length !== 4 || !(size >= 1)) refuse(question, showShape(shape), "images and a blocksize");
  if (toSpace) {
    const isColumns = textOf(question, "mode", "DCR") === "CRD";
    const parts = isColumns ? [n, c / size ** 2, size, size, h, w] : [n, size, size, c / size ** 2, h, w];
    const move = transposeMove(parts, isColumns ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]);
    return { shape: [n, c / size ** 2, h * size, w * size], move };
  }
  const move = transposeMove([n, c, h / size, size, w / size, size], [0, 3, 5, 1, 2, 4]);
  return { shape: [n, c * size ** 2, h / size, w / size], move };
}

/** Operators that move elements or only rename shapes. */
export const movingOperators: readonly Operator[] = [
  reshaper("Reshape", reshapeShape),
  reshaper("Squeeze", squeezedShape),
  reshaper("Unsqueeze", unsqueezedShape),
  reshaper("Flatten", flattenedShape),
  ...["Identity", "Dropout"].map((name): Operator => {
    return {
      name,
      layout: "either",
      derivative: "yes",
      infer: (question) => {
        const type = sameAs(question);
        return name === "Dropout" && question.node.outputs.length > 1 ? [type, { ...type, kind: "truth" }] : [type];
      },
      apply(call) {
        const { outputs, ...rest } = aliased(call);
        if (call.types.length === 1) return { outputs, ...rest };
        return { outputs: [...outputs, new Uint8Array(outputs[0]!.length).fill(1)], ...rest };
      },
      flops: () => 0,
    };
  }),
  mover("Transpose", {
    infer: typed((question) => {
      const { shape } = inputOf(question, 0);
      return permutationOf(question).map((axis) => shape[axis]!);
    }),
    move: (call) => transposeMove(call.inputs[0]!.shape, permutationOf(call)),
  }),
  mover("Slice", {
    infer: typed((question) => slicesOf(question).map(({ count }) => count)),
    move: (call) => sliceMove(call.inputs[0]!.shape, slicesOf(call)),
  }),
  mover("Pad", {
    infer: typed((question) => {
      const { shape } = inputOf(question, 0);
      return padsOf(question).map(([before, after], axis) => Math.max(0, before + shape[axis]! + after));
    }),
    move: (call) => {
      const constant = knownInput(call, 2)?.[0] ?? numberOf(call, "value", 0);
      return padMove(call.inputs[0]!.shape, padsOf(call), { mode: textOf(call, "mode", "constant"), constant });
    },
  }),
  mover("Expand", {
    infer: typed(expandedShape),
    move: (call) => {
      const { shape } = call.types[0]!;
      return stridedMove({ shape, strides: stretchedStrides(call.inputs[0]!.shape, shape), offset: 0 });
    },
  }),
  mover("Tile", {
    infer: typed((question) => {
      const { shape } = inputOf(question, 0);
      return repeat(question).map((times, axis) => times * shape[axis]!);
    }),
    move: (call) => {
      const { shape } = call.inputs[0]!;
      const pads = repeat(call).map((times, axis) => [0, (times - 1) * shape[axis]!] as const);
      return padMove(shape, pads, { mode: "wrap" });
    },
  }),
  mover("DepthToSpace", {
    infer: typed((question) => depthMove(question, true).shape),
    move: (call) => depthMove(call, true).move,
  }),
  mover("SpaceToDepth", {
    infer: typed((question) => depthMove(question, false).shape),
    move: (call) => depthMove(call, false).move,
  }),
];
