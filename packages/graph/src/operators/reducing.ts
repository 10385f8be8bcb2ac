/** Sums, means and extremes over axes. Backward spreads each delta over what was summed; an extreme's goes to where it was taken. */
import type { Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../operator.ts";
import { numbersOf, type Shape, sizeOf } from "../value.ts";
import { broadcastIndices } from "./broadcast.ts";
import { lazily } from "./lazily.ts";
import { axisIn, inputOf, listOrInput, numberOf } from "./node-facts.ts";

/** The axes that go, as ONNX counts them. */
function axesOf(question: Question): readonly number[] {
  const { shape } = inputOf(question, 0);
  const axes = listOrInput(question, "axes", 1);
  if (!axes || axes.length === 0) return numberOf(question, "noop_with_empty_axes", 0) ? [] : shape.map((_, i) => i);
  return axes.map((axis) => axisIn(question, axis, shape.length));
}

function inferReduced(question: Question) {
  const { shape, kind } = inputOf(question, 0);
  const axes = axesOf(question);
  const isKept = numberOf(question, "keepdims", 1) === 1;
  return [{ kind, shape: shape.flatMap((extent, i) => (!axes.includes(i) ? [extent] : isKept ? [1] : [])) }];
}

/** For every element of the input the one it goes into. */
function targets(call: Call): { into: Int32Array; size: number } {
  const { shape } = call.inputs[0]!;
  const axes = axesOf(call);
  const kept: Shape = shape.map((extent, i) => (axes.includes(i) ? 1 : extent));
  return { into: broadcastIndices(kept, shape), size: sizeOf(kept) };
}

interface Rule {
  /** What a number adds to its sum. */
  readonly of: (x: number) => number;
  /** What becomes of the sum of `count` numbers. */
  readonly finish: (sum: number, count: number) => number;
  /** d result / d x, from x and the result. */
  readonly slope: (x: number, result: number, count: number) => number;
}

const SUMS: Readonly<Record<string, Rule>> = {
  ReduceSum: { of: (x) => x, finish: (sum) => sum, slope: () => 1 },
  ReduceMean: { of: (x) => x, finish: (sum, n) => sum / n, slope: (_x, _y, n) => 1 / n },
  ReduceSumSquare: { of: (x) => x * x, finish: (sum) => sum, slope: (x) => 2 * x },
  ReduceL1: { of: Math.abs, finish: (sum) => sum, slope: Math.sign },
  ReduceL2: { of: (x) => x * x, finish: Math.sqrt, slope: (x, y) => (y === 0 ? 0 : x / y) },
};

function applySum(call: Call, { of, finish, slope }: Rule): Applied {
  const { data: x, kind, shape } = call.inputs[0]!;
  const known = lazily(() => targets(call));
  const axes = axesOf(call);
  const first = axes.length === 0 ? shape.length : Math.min(...axes);
  // Axes at the end: neighbours go into one sum.
  const areLast = axes.length === shape.length - first;
  const size = sizeOf(shape.filter((_, axis) => !axes.includes(axis)));
  const count = size === 0 ? 0 : x.length / size;
  const sums = new Float64Array(size);
  if (areLast) {
    for (let k = 0, i = 0; k < size; k++) {
      let sum = 0;
      for (const end = i + count; i < end; i++) sum += of(x[i]!);
      sums[k] = sum;
    }
  } else {
    const { into } = known();
    for (let i = 0; i < x.length; i++) sums[into[i]!]! += of(x[i]!);
  }
  const y = kind === "real" ? call.pool.take(size) : numbersOf(kind, size, "f64");
  for (let k = 0; k < size; k++) y[k] = finish(sums[k]!, count);
  return {
    outputs: [y],
    backward([delta]) {
      const { into } = known();
      const out = call.pool.take(x.length);
      for (let i = 0; i < out.length; i++) out[i] = delta![into[i]!]! * slope(x[i]!, y[into[i]!]!, count);
      call.pool.give(delta!);
      return [out];
    },
    tangent([t]) {
      if (!t) return [undefined];
      const { into } = known();
      const changes = new Float64Array(size);
      for (let i = 0; i < t.length; i++) changes[into[i]!]! += t[i]! * slope(x[i]!, y[into[i]!]!, count);
      const out = call.pool.take(size);
      out.set(changes);
      return [out];
    },
  };
}

function applyExtreme(call: Call, isBetter: (a: number, b: number) => boolean): Applied {
  const { data: x, kind } = call.inputs[0]!;
  const { into, size } = targets(call);
  const taken = new Int32Array(size).fill(-1);
  for (let i = 0; i < x.length; i++) {
    const k = into[i]!;
    if (taken[k]! < 0 || isBetter(x[i]!, x[taken[k]!]!)) taken[k] = i;
  }
  const y = kind === "real" ? call.pool.take(size) : numbersOf(kind, size, "f64");
  for (let k = 0; k < size; k++) y[k] = x[taken[k]!] ?? Number.NaN;
  return {
    outputs: [y],
    backward([delta]) {
      const out = call.pool.take(x.length).fill(0);
      taken.forEach((i, k) => {
        if (i >= 0) out[i] = delta![k]!;
      });
      call.pool.give(delta!);
      return [out];
    },
    tangent([t]) {
      if (!t) return [undefined];
      const out: Vec = call.pool.take(size);
      taken.forEach((i, k) => {
        out[k] = t[i] ?? 0;
      });
      return [out];
    },
  };
}

/** Reductions, which change shape, so that channels last are no use to them. */
export const reducingOperators: readonly Operator[] = [
  ...Object.entries(SUMS).map(([name, rule]) => reducer(name, (call) => applySum(call, rule))),
  reducer("ReduceMax", (call) => applyExtreme(call, (a, b) => a > b)),
  reducer("ReduceMin", (call) => applyExtreme(call, (a, b) => a < b)),
];

function reducer(name: string, apply: Operator["apply"]): Operator {
  return {
    name,
    layout: "first",
    derivative: "yes",
    infer: inferReduced,
    apply,
    flops: (question) => sizeOf(inputOf(question, 0).shape),
  };
}
