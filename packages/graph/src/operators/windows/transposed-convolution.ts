/** ConvTranspose: the adjoint of a convolution with the same geometry. */
import { type Mat, matrix, type Pool, type Vec } from "@secateur/core";
import { noDerivative } from "../../errors.ts";
import type { Applied, Call, Operator, Question, WeightGradient } from "../../operator.ts";
import { realOf, type Shape, sizeOf } from "../../value.ts";
import { inputOf, listOf, numberOf, refuse, showShape, textOf } from "../node-facts.ts";
import { kernelOf, spaceOf } from "./convolution.ts";
import { hasOneDilation, planOf } from "./convolution-plan.ts";
import { adjoint, convolutionGradient, forward, padImages, wholeDelta } from "./run-convolution.ts";
import { type Windows, windowsOf } from "./window-facts.ts";

/** Extents of the output of a transposed convolution and how it is padded, from ONNX's several ways of saying it. */
function transposedWindows(question: Question, space: Shape): { windows: Windows; out: readonly number[] } {
  const rank = space.length;
  const kernel = kernelOf(question);
  const list = (key: string, otherwise: number): readonly number[] =>
    listOf(question, key) ?? new Array<number>(rank).fill(otherwise);
  const [strides, dilations, extra] = [list("strides", 1), list("dilations", 1), list("output_padding", 0)];
  const full = space.map((extent, i) => (extent - 1) * strides[i]! + extra[i]! + (kernel[i]! - 1) * dilations[i]! + 1);
  const wanted = listOf(question, "output_shape")?.slice(-rank);
  const auto = textOf(question, "auto_pad", "NOTSET");
  const isSame = auto.startsWith("SAME");
  const out = wanted ?? (isSame ? space.map((extent, i) => extent * strides[i]!) : undefined);
  let pads = listOf(question, "pads") ?? new Array<number>(2 * rank).fill(0);
  if (out) {
    const totals = full.map((extent, i) => Math.max(0, extent - out[i]!));
    const half = totals.map((total) => Math.floor(total / 2));
    const rest = totals.map((total, i) => total - half[i]!);
    pads = auto === "SAME_UPPER" ? [...half, ...rest] : [...rest, ...half];
  }
  const extents = full.map((extent, i) => extent - pads[i]! - pads[i + rank]!);
  const node = { ...question.node, attributes: { ...question.node.attributes, pads, auto_pad: "NOTSET" } };
  return { windows: windowsOf({ ...question, node }, extents, kernel), out: extents };
}

export const convTranspose: Operator = {
  name: "ConvTranspose",
  layout: "last",
  derivative: "yes",
  weightInputs: [1],
  infer(question) {
    const [x, w] = [inputOf(question, 0).shape, inputOf(question, 1).shape];
    const groups = numberOf(question, "group", 1);
    if (x.length < 3 || w.length !== x.length || x[1] !== w[0] || x[1]! % groups !== 0) {
      refuse(question, `input ${showShape(x)}, weights ${showShape(w)}`, "channels that fit");
    }
    const { windows, out } = transposedWindows(question, x.slice(2));
    const fits = windows.positions.slice(2 - windows.rank).every((count, i) => count === x[i + 2]);
    if (!fits || !hasOneDilation(windows)) refuse(question, "a geometry of its own", "one that a convolution undoes");
    return [{ kind: "real", shape: [x[0]!, w[1]! * groups, ...out] }];
  },
  apply: (call) => applyTransposed(call),
  flops: (question) => {
    const [x, w] = [inputOf(question, 0).shape, inputOf(question, 1).shape];
    return 2 * sizeOf(x) * sizeOf(w.slice(1));
  },
};

function applyTransposed(call: Call): Applied {
  const { pool } = call;
  const { kernels } = pool;
  const x = call.inputs[0]!;
  const groups = numberOf(call, "group", 1);
  const [inputs, ownOutputs] = call.inputs[1]!.shape as readonly [number, number, ...number[]];
  const { windows } = transposedWindows(call, spaceOf(x.shape));
  const channels = ownOutputs * groups;
  // The convolution it is the adjoint of goes from what is the output here to what is the input.
  const plan = planOf(windows, { batch: x.shape[0]!, channels, outputs: inputs, groups });
  const use = call.weights[1];
  const order: Order = {
    groups,
    own: inputs / groups,
    outputs: ownOutputs,
    taps: windows.kernel[0] * windows.kernel[1],
  };
  const stored = (w: Vec): Vec => (use ? toStored(w, order, pool) : w);
  const w = stored(realOf(call.inputs[1]!));
  const back = (change: Vec, weights: Vec): Vec => {
    const whole = wholeDelta(plan, change, pool);
    const out = adjoint(plan, whole, weights, pool);
    if (whole !== change) pool.give(whole);
    return out;
  };
  const y = back(realOf(x), w);
  const rows = (data: Vec): Mat => matrix(data.length / channels, channels, data);
  if (call.inputs[2]) kernels.addRow(rows(y), realOf(call.inputs[2]));
  return {
    outputs: [y],
    kept: use ? [w] : [],
    backward([delta], sink) {
      const images = plan.isPadded ? padImages(plan, delta!, pool) : delta!;
      const whole = wholeDelta(plan, realOf(x), pool);
      if (use && sink.wants(use.param)) {
        sink.take(use.param, reordered(convolutionGradient(plan, images, whole, pool), order, pool));
      }
      let dw: Vec | undefined;
      if (!use && call.active[1]) {
        dw = pool.take(w.length);
        convolutionGradient(plan, images, whole, pool).rows(Math.max(1, plan.shape.batch), matrix(1, w.length, dw));
      }
      const dx = call.active[0] ? forward({ ...plan, isPadded: false }, images, w, { pool }).y : undefined;
      const db = call.active[2] ? pool.take(channels) : undefined;
      if (db) kernels.columnSums(rows(delta!), db);
      if (whole !== x.data) pool.give(whole);
      if (images !== delta) pool.give(images);
      pool.give(delta!);
      return [dx, dw, db];
    },
    tangent([tx, tw, tb]) {
      if (!tx && !tw && !tb) return [undefined];
      const out = tx ? back(tx, w) : pool.take(y.length).fill(0);
      if (tw) {
        const change = stored(tw);
        const second = back(realOf(x), change);
        kernels.axpy(1, second, out);
        pool.give(second);
        if (change !== tw) pool.give(change);
      }
      if (tb) kernels.addRow(rows(out), tb);
      return [out];
    },
  };
}

/** Weights of a transposed convolution: stored [groups own, outputs, taps], canonical [groups outputs, own, taps]. */
interface Order {
  readonly groups: number;
  readonly own: number;
  readonly outputs: number;
  readonly taps: number;
}

/** Canonical weights in the order that files and kernels have them. */
function toStored(canonical: Vec, { groups, own, outputs, taps }: Order, pool: Pool): Vec {
  const out = pool.take(canonical.length);
  for (let g = 0, k = 0; g < groups; g++) {
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < own; i++) {
        const to = ((g * own + i) * outputs + o) * taps;
        for (let t = 0; t < taps; t++) out[to + t] = canonical[k++]!;
      }
    }
  }
  return out;
}

/** The gradient with its rows in canonical order. The inputs that a row sees lie all over the image, and are not gathered. */
function reordered(gradient: WeightGradient, order: Order, pool: Pool): WeightGradient {
  const { groups, own, outputs, taps } = order;
  const none = (): never => {
    throw noDerivative({ node: "ConvTranspose", what: "second moments" });
  };
  return {
    ...gradient,
    deltaOf: none,
    inputs: none,
    rows(group, out) {
      gradient.rows(group, out);
      const row = pool.take(out.cols);
      for (let r = 0; r < out.rows; r++) {
        const target = out.data.subarray(r * out.cols, (r + 1) * out.cols);
        row.set(target);
        for (let g = 0, k = 0; g < groups; g++) {
          for (let o = 0; o < outputs; o++) {
            for (let i = 0; i < own; i++) {
              const from = ((g * own + i) * outputs + o) * taps;
              for (let t = 0; t < taps; t++) target[k++] = row[from + t]!;
            }
          }
        }
      }
      pool.give(row);
    },
  };
}
