/** Conv: windows of images, taps of weights. */
import { matrix, type Pool, type Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../../operator.ts";
import { realOf, type Shape, sizeOf } from "../../value.ts";
import { inputOf, listOf, numberOf, refuse, showShape } from "../node-facts.ts";
import { hasOneDilation, type Plan, planOf } from "./convolution-plan.ts";
import { adjoint, convolutionGradient, forward, imageInputs, movedRuns, wholeDelta } from "./run-convolution.ts";
import { windowsOf } from "./window-facts.ts";

/** Spatial extents of an array stored with channels last. */
export const spaceOf = (shape: Shape): Shape => shape.slice(1, -1);

export function kernelOf(question: Question): readonly number[] {
  return listOf(question, "kernel_shape") ?? inputOf(question, 1).shape.slice(2);
}

export const conv: Operator = {
  name: "Conv",
  layout: "last",
  derivative: "yes",
  weightInputs: [1],
  infer(question) {
    if (inputOf(question, 0).kind !== "real") refuse(question, "whole numbers", "real ones");
    const [x, w] = [inputOf(question, 0).shape, inputOf(question, 1).shape];
    const groups = numberOf(question, "group", 1);
    if (x.length < 3 || w.length !== x.length || x[1] !== w[1]! * groups || w[0]! % groups !== 0) {
      refuse(question, `input ${showShape(x)}, weights ${showShape(w)}, ${groups} groups`, "channels that fit");
    }
    const windows = windowsOf(question, x.slice(2), kernelOf(question));
    if (!hasOneDilation(windows)) refuse(question, "dilations that differ", "one dilation");
    return [{ kind: "real", shape: [x[0]!, w[0]!, ...windows.positions.slice(2 - windows.rank)] }];
  },
  apply(call) {
    const { shape } = call.inputs[0]!;
    const plan = planFor(call, { batch: shape[0]!, channels: shape.at(-1)!, space: spaceOf(shape) });
    return applyConvolution(call, plan, call.pool);
  },
  convolution(question) {
    const [batch = 0, channels = 0, ...space] = inputOf(question, 0).shape;
    const plan = planFor(question, { batch, channels, space });
    const bias = question.inputs[2] ? 2 : undefined;
    return { shape: plan.shape, x: 0, weights: 1, bias, ...movedRuns(plan) };
  },
  flops(question, [output]) {
    return 2 * sizeOf(output!.shape) * sizeOf(inputOf(question, 1).shape.slice(1));
  },
};

function planFor(question: Question, { space, ...size }: { batch: number; channels: number; space: Shape }): Plan {
  const [outputs = 0] = inputOf(question, 1).shape;
  const windows = windowsOf(question, space, kernelOf(question));
  return planOf(windows, { ...size, outputs, groups: numberOf(question, "group", 1) });
}

function applyConvolution(call: Call, plan: Plan, pool: Pool): Applied {
  const [x, w] = [realOf(call.inputs[0]!), realOf(call.inputs[1]!)];
  const bias = call.inputs[2] && realOf(call.inputs[2]);
  const { y, images } = forward(plan, x, w, { pool, ...(bias ? { bias } : {}) });
  const use = call.weights[1];
  const { outputs } = plan.shape;
  return {
    outputs: [y],
    kept: plan.isPadded ? [images] : [],
    ...(use ? { weightInputs: imageInputs(plan, images, pool) } : {}),
    backward([delta], sink) {
      const whole = wholeDelta(plan, delta!, pool);
      if (use && sink.wants(use.param)) sink.take(use.param, convolutionGradient(plan, images, whole, pool));
      const dx = call.active[0] ? adjoint(plan, whole, w, pool) : undefined;
      let dw: Vec | undefined;
      if (!use && call.active[1]) {
        dw = pool.take(w.length);
        convolutionGradient(plan, images, whole, pool).rows(Math.max(1, plan.shape.batch), matrix(1, w.length, dw));
      }
      const db = call.active[2] ? pool.take(outputs) : undefined;
      if (db) pool.kernels.columnSums(matrix(delta!.length / outputs, outputs, delta!), db);
      if (whole !== delta) pool.give(whole);
      pool.give(delta!);
      return [dx, dw, db];
    },
    tangent([tx, tw, tb]) {
      if (!tx && !tw && !tb) return [undefined];
      const first = tx ? forward(plan, tx, w, { pool }) : undefined;
      if (first && first.images !== tx) pool.give(first.images);
      const second = tw ? forward({ ...plan, isPadded: false }, images, tw, { pool }) : undefined;
      const out = first?.y ?? second?.y ?? pool.take(y.length).fill(0);
      if (first && second) {
        pool.kernels.axpy(1, second.y, out);
        pool.give(second.y);
      }
      if (tb) pool.kernels.addRow(matrix(out.length / outputs, outputs, out), tb);
      return [out];
    },
  };
}
