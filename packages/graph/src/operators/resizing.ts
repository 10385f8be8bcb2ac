/**
 * Resize and Upsample: every output position is a weighted sum of input positions along each axis, one axis after the other (ONNX operator
 * specification, Resize: coordinate_transformation_mode, nearest_mode, linear and cubic). Linear in the input, so that backward is the transpose.
 */
import type { Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../operator.ts";
import { realOf, type Shape, sizeOf } from "../value.ts";
import { inputOf, knownInput, listOf, numberOf, refuse, textOf } from "./node-facts.ts";

/** For each output place its input places and their weights. */
type Taps = readonly { readonly places: readonly number[]; readonly weights: readonly number[] }[];

interface Sizes {
  readonly out: readonly number[];
  readonly scales: readonly number[];
}

function sizesOf(question: Question): Sizes {
  const { shape } = inputOf(question, 0);
  const isOld = question.node.op === "Upsample" || question.opset < 11;
  const scalesAt = isOld ? 1 : 2;
  const given = listOf(question, "scales") ?? (question.inputs[scalesAt] && knownInput(question, scalesAt));
  const sizes = isOld ? undefined : question.inputs[3] && knownInput(question, 3);
  const axes = listOf(question, "axes") ?? shape.map((_, i) => i);
  const scales = shape.map(() => 1);
  const out = [...shape];
  axes.forEach((axis, i) => {
    const front = axis < 0 ? axis + shape.length : axis;
    if (sizes && sizes.length > 0) {
      out[front] = sizes[i]!;
      scales[front] = sizes[i]! / shape[front]!;
    } else if (given && given.length > 0) {
      scales[front] = given[i]!;
      out[front] = Math.floor(shape[front]! * given[i]!);
    } else refuse(question, "neither scales nor sizes", "one of them");
  });
  const policy = textOf(question, "keep_aspect_ratio_policy", "stretch");
  if (policy !== "stretch") refuse(question, `keep_aspect_ratio_policy '${policy}'`, "stretch");
  return { out, scales };
}

/** Where an output place lies in the input. */
function coordinate(question: Question, place: number, at: { scale: number; from: number; to: number }): number {
  const { scale, from, to } = at;
  const fallback = question.node.op === "Upsample" || question.opset < 11 ? "asymmetric" : "half_pixel";
  switch (textOf(question, "coordinate_transformation_mode", fallback)) {
    case "asymmetric":
      return place / scale;
    case "align_corners":
      return to === 1 ? 0 : (place * (from - 1)) / (to - 1);
    case "pytorch_half_pixel":
      return to > 1 ? (place + 0.5) / scale - 0.5 : 0;
    case "half_pixel":
      return (place + 0.5) / scale - 0.5;
    default:
      return refuse(
        question,
        "a coordinate transformation that is not known",
        "half_pixel, asymmetric or align_corners",
      );
  }
}

function nearest(question: Question, x: number): number {
  const mode = textOf(question, "nearest_mode", question.opset < 11 ? "floor" : "round_prefer_floor");
  if (mode === "floor") return Math.floor(x);
  if (mode === "ceil") return Math.ceil(x);
  return mode === "round_prefer_ceil" ? Math.floor(x + 0.5) : Math.ceil(x - 0.5);
}

function tapsOf(question: Question, spec: { from: number; to: number; scale: number }): Taps {
  const { from, to } = spec;
  const mode = textOf(question, "mode", "nearest");
  const inside = (place: number): number => Math.max(0, Math.min(from - 1, place));
  if (numberOf(question, "antialias", 0) === 1) refuse(question, "antialias", "resizing without it");
  return Array.from({ length: to }, (_, place) => {
    const x = coordinate(question, place, spec);
    if (mode === "nearest") return { places: [inside(nearest(question, x))], weights: [1] };
    const base = Math.floor(x);
    const rest = x - base;
    if (mode === "linear") return { places: [inside(base), inside(base + 1)], weights: [1 - rest, rest] };
    if (mode !== "cubic") return refuse(question, `mode '${mode}'`, "nearest, linear or cubic");
    const a = numberOf(question, "cubic_coeff_a", -0.75);
    const near = (d: number): number => (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
    const far = (d: number): number => a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a;
    return {
      places: [-1, 0, 1, 2].map((k) => inside(base + k)),
      weights: [far(1 + rest), near(rest), near(1 - rest), far(2 - rest)],
    };
  });
}

interface Step {
  readonly outer: number;
  readonly from: number;
  readonly inner: number;
  readonly taps: Taps;
}

function alongAxis(x: Vec, { outer, from, inner, taps }: Step, out: Vec): Vec {
  out.fill(0);
  taps.forEach(({ places, weights }, to) => {
    for (let o = 0; o < outer; o++) {
      const target = (o * taps.length + to) * inner;
      places.forEach((place, k) => {
        const [source, weight] = [(o * from + place) * inner, weights[k]!];
        for (let i = 0; i < inner; i++) out[target + i] = out[target + i]! + weight * x[source + i]!;
      });
    }
  });
  return out;
}

function adjointAlongAxis(d: Vec, { outer, from, inner, taps }: Step, out: Vec): Vec {
  out.fill(0);
  taps.forEach(({ places, weights }, to) => {
    for (let o = 0; o < outer; o++) {
      const source = (o * taps.length + to) * inner;
      places.forEach((place, k) => {
        const [target, weight] = [(o * from + place) * inner, weights[k]!];
        for (let i = 0; i < inner; i++) out[target + i] = out[target + i]! + weight * d[source + i]!;
      });
    }
  });
  return out;
}

function applyResize(call: Call): Applied {
  const { pool } = call;
  const { shape } = call.inputs[0]!;
  const { out, scales } = sizesOf(call);
  const steps: Step[] = [];
  let present: Shape = shape;
  shape.forEach((from, axis) => {
    const to = out[axis]!;
    if (to === from && scales[axis] === 1) return;
    const taps = tapsOf(call, { from, to, scale: scales[axis]! });
    steps.push({ outer: sizeOf(present.slice(0, axis)), from, inner: sizeOf(present.slice(axis + 1)), taps });
    present = present.map((extent, i) => (i === axis ? to : extent));
  });
  const forward = (x: Vec): Vec => {
    let now = x;
    for (const step of steps) {
      const next = alongAxis(now, step, pool.take(step.outer * step.taps.length * step.inner));
      if (now !== x) pool.give(now);
      now = next;
    }
    return now;
  };
  return {
    outputs: [forward(realOf(call.inputs[0]!))],
    backward([delta]) {
      let now = delta!;
      for (const step of [...steps].reverse()) {
        const next = adjointAlongAxis(now, step, pool.take(step.outer * step.from * step.inner));
        pool.give(now);
        now = next;
      }
      return [now];
    },
    tangent: ([t]) => [t && (steps.length === 0 ? t.slice() : forward(t))],
  };
}

/** Resize and the older Upsample. */
export const resizingOperators: readonly Operator[] = ["Resize", "Upsample"].map((name) => ({
  name,
  layout: "first",
  derivative: "yes",
  infer: (question) => [{ kind: "real", shape: sizesOf(question).out }],
  apply: applyResize,
  flops: (_question, [output]) => 4 * sizeOf(output!.shape),
}));
