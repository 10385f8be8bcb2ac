/** Operators that move elements: one rule, by which element each one of the output is; see `moves.ts`. */
import type { Call, Operator, Question } from "../../operator.ts";
import { stretchedStrides } from "../../run/programs.ts";
import type { Shape, ValueType } from "../../value.ts";
import {
  axisIn,
  inputOf,
  knownInput,
  listOf,
  listOrInput,
  numberOf,
  refuse,
  showShape,
  textOf,
} from "../node-facts.ts";
import { applyMove, type Move, padMove, type Range, sliceMove, stridedMove, transposeMove } from "./moves.ts";

/** An operator that is a move along a known pattern, which is worked out once for a step of a plan: its types are of it alone. */
function mover(name: string, rule: { infer: Operator["infer"]; move: (call: Call) => Move }): Operator {
  const known = new WeakMap<Call["types"], Move>();
  const moveOf = (call: Call): Move => {
    const move = known.get(call.types) ?? rule.move(call);
    known.set(call.types, move);
    return move;
  };
  return {
    name,
    layout: "first",
    derivative: "yes",
    infer: rule.infer,
    apply: (call) => applyMove(call, moveOf(call)),
    flops: () => 0,
  };
}

function permutationOf(question: Question): readonly number[] {
  const { shape } = inputOf(question, 0);
  const perm = listOf(question, "perm") ?? shape.map((_, i) => shape.length - 1 - i);
  if (perm.length !== shape.length || new Set(perm).size !== shape.length) {
    refuse(question, `perm ${showShape(perm)} of ${shape.length} dimensions`, "every axis once");
  }
  return perm;
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

/** Operators that move elements. */
export const movingOperators: readonly Operator[] = [
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
