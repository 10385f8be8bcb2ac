/**
 * Softmax and its logarithm along an axis, in f64 inside: y = e^x / sum e^x. Backward and tangent: y (d - sum y d), and for the logarithm
 * d - e^y sum d backward, t - sum e^y t forward. Before operator set 13 everything from the axis on is one row.
 */
import { type Mat, matrix, type Vec } from "@secateur/core";
import type { Applied, Call, Operator } from "../operator.ts";
import { realOf, sizeOf } from "../value.ts";
import { axisIn, inputOf, numberOf, sameAs } from "./node-facts.ts";

/** Rows of `length` numbers, `step` apart; row r starts at `start(r)`. */
interface Rows {
  readonly count: number;
  readonly length: number;
  readonly step: number;
}

function rowsOf(call: Call): Rows {
  const { shape } = call.inputs[0]!;
  const isOld = call.opset < 13;
  const axis = axisIn(call, numberOf(call, "axis", isOld ? 1 : -1), shape.length);
  const length = isOld ? sizeOf(shape.slice(axis)) : (shape[axis] ?? 1);
  const step = isOld ? 1 : sizeOf(shape.slice(axis + 1));
  return { length, step, count: length === 0 ? 0 : sizeOf(shape) / length };
}

function eachRow({ count, length, step }: Rows, visit: (start: number) => void): void {
  for (let r = 0; r < count; r++) visit(Math.floor(r / step) * length * step + (r % step));
}

const barred = Number.NEGATIVE_INFINITY;

/** y = the softmax of one row of x, or its logarithm. */
function softmaxRow(x: Vec, y: Vec, at: { start: number; end: number; step: number; isLog: boolean }): void {
  const { start, end, step, isLog } = at;
  let most = barred;
  for (let i = start; i < end; i += step) if (!(x[i]! <= most)) most = x[i]!;
  let sum = 0;
  for (let i = start; i < end; i += step) {
    // What attention masks out is minus infinity, half of all scores; a test costs less than an exponential.
    const value = x[i] === barred && most > barred ? 0 : Math.exp(x[i]! - most);
    y[i] = value;
    sum += value;
  }
  if (isLog) {
    const log = most + Math.log(sum);
    for (let i = start; i < end; i += step) y[i] = x[i]! - log;
  } else for (let i = start; i < end; i += step) y[i] = y[i]! / sum;
}

function applySoftmax(call: Call, isLog: boolean): Applied {
  const x = realOf(call.inputs[0]!);
  const rows = rowsOf(call);
  const { length, step } = rows;
  const y = call.pool.take(x.length);
  const { kernels, dtype } = call.pool;
  if (step === 1 && dtype === "f32" && kernels.softmax) {
    const [a, out] = [x, y].map((data) => matrix(rows.count, length, data)) as [Mat, Mat];
    kernels.softmax({ a, out, isLogarithm: isLog });
  } else {
    eachRow(rows, (start) => {
      softmaxRow(x, y, { start, end: start + length * step, step, isLog });
    });
  }
  /** In place: what a change of x, or for the plain softmax also a delta, becomes. */
  const changed = (d: Vec): Vec => {
    eachRow(rows, (start) => {
      let sum = 0;
      for (let j = 0, i = start; j < length; j++, i += step) sum += (isLog ? Math.exp(y[i]!) : y[i]!) * d[i]!;
      for (let j = 0, i = start; j < length; j++, i += step) d[i] = isLog ? d[i]! - sum : y[i]! * (d[i]! - sum);
    });
    return d;
  };
  return {
    outputs: [y],
    backward([delta]) {
      if (!isLog) return [changed(delta!)];
      eachRow(rows, (start) => {
        let sum = 0;
        for (let j = 0, i = start; j < length; j++, i += step) sum += delta![i]!;
        for (let j = 0, i = start; j < length; j++, i += step) delta![i] = delta![i]! - Math.exp(y[i]!) * sum;
      });
      return [delta];
    },
    tangent([t]) {
      if (!t) return [undefined];
      const out = call.pool.take(t.length);
      out.set(t);
      return [changed(out)];
    },
  };
}

/** Softmax and LogSoftmax. */
export const softmaxOperators: readonly Operator[] = ["Softmax", "LogSoftmax"].map((name) => ({
  name,
  layout: "first",
  derivative: "yes",
  infer: (question) => [sameAs(question)],
  apply: (call) => applySoftmax(call, name === "LogSoftmax"),
  flops: (question) => 6 * sizeOf(inputOf(question, 0).shape),
}));
