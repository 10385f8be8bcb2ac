/**
 * Matrix products. With a parameter W as canonical matrix [out, in] on the right: y = x W', backward dx = d W, and the gradient of W is the sum
 * over rows of the outer products d' x, handed over as its factors. Products of two computed arrays go matrix by matrix, stretched as numpy has it.
 */
import { type Mat, matrix, type Pool, type Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question, WeightGradient, WeightInputs } from "../operator.ts";
import type { ConvolutionView } from "../run/joined-layers.ts";
import { broadcastShape, realOf, type Shape, sizeOf } from "../value.ts";
import { broadcastIndices, indexAt, overlayOf } from "./broadcast.ts";
import { countedShare, inputOf, numberOf, refuse, showShape } from "./node-facts.ts";

/** What a row of factors means to whoever takes gradients. */
function factoredGradient(delta: Mat, input: Mat, pool: Pool): WeightGradient {
  return {
    ...rowInputs(input),
    factors: { delta, input },
    rows(group, out) {
      const { kernels } = pool;
      for (let row = 0; row < out.rows; row++) {
        const [from, to] = [row * group, Math.min((row + 1) * group, delta.rows)];
        const target = matrix(delta.cols, input.cols, out.data.subarray(row * out.cols, (row + 1) * out.cols));
        kernels.gemm({ a: rowsOf(delta, from, to), transposeA: true, b: rowsOf(input, from, to), out: target });
      }
    },
    deltaOf: () => delta,
  };
}

/** Rows that are multiplied with a weight. */
function rowInputs(input: Mat): WeightInputs {
  return { units: input.rows, groups: 1, inputs: (_group, [from, to]) => [rowsOf(input, from, to)] };
}

function rowsOf({ cols, data }: Mat, from: number, to: number): Mat {
  return matrix(to - from, cols, data.subarray(from * cols, to * cols));
}

/** y [rows, out] = x W', with everything that follows from it. */
function weighted(call: Call, at: { x: number; w: number; rows: number; alpha?: number; y: Vec }): Applied {
  const { pool, active } = call;
  const { kernels } = pool;
  const { rows, alpha = 1, y } = at;
  const w = realOf(call.inputs[at.w]!);
  const x = realOf(call.inputs[at.x]!);
  const cols = rows === 0 ? 0 : x.length / rows;
  const weights = matrix(cols === 0 ? 0 : w.length / cols, cols, w);
  const input = matrix(rows, cols, x);
  const product = (a: Mat, b: Mat, out: Vec, beta: number): void =>
    kernels.gemm({ a, b, transposeB: true, out: matrix(a.rows, b.rows, out), alpha, beta });
  product(input, weights, y, 0);
  const param = call.weights[at.w]?.param;
  return {
    outputs: [y],
    ...(param === undefined ? {} : { weightInputs: rowInputs(input) }),
    backward([delta], sink) {
      const d = matrix(rows, weights.rows, delta!);
      if (alpha !== 1) for (let i = 0; i < delta!.length; i++) delta![i] = delta![i]! * alpha;
      if (param !== undefined && sink.wants(param)) sink.take(param, factoredGradient(d, input, pool));
      const dx = active[at.x] ? pool.take(x.length) : undefined;
      if (dx) kernels.gemm({ a: d, b: weights, out: matrix(rows, cols, dx) });
      pool.give(delta!);
      return at.x === 0 ? [dx] : [undefined, dx];
    },
    tangent(tangents) {
      const [tx, tw] = [tangents[at.x], tangents[at.w]];
      if (!tx && !tw) return [undefined];
      const out = pool.take(y.length);
      if (tx) product(matrix(rows, cols, tx), weights, out, 0);
      if (tw) product(input, matrix(weights.rows, cols, tw), out, tx ? 1 : 0);
      return [out];
    },
  };
}

function matmulShape(question: Question): Shape {
  const [a, b] = [inputOf(question, 0).shape, inputOf(question, 1).shape];
  const problem = (): never => refuse(question, `shapes ${showShape(a)} and ${showShape(b)}`, "matrices that multiply");
  if (a.length === 0 || b.length === 0) return problem();
  const [left, right] = [a.length === 1 ? [1, ...a] : a, b.length === 1 ? [...b, 1] : b];
  if (left.at(-1) !== right.at(-2)) return problem();
  const outer = broadcastShape(left.slice(0, -2), right.slice(0, -2)) ?? problem();
  return [...outer, ...(a.length === 1 ? [] : [left.at(-2)!]), ...(b.length === 1 ? [] : [right.at(-1)!])];
}

/** Products of the last two axes, one matrix after the other. */
function batched(call: Call): Applied {
  const { pool, active } = call;
  const { kernels } = pool;
  const [a, b] = [call.inputs[0]!, call.inputs[1]!];
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [m, k, n] = [left.at(-2)!, left.at(-1)!, right.at(-1)!] as const;
  const outer = broadcastShape(left.slice(0, -2), right.slice(0, -2))!;
  const [atA, atB] = [broadcastIndices(left.slice(0, -2), outer), broadcastIndices(right.slice(0, -2), outer)];
  const part = (data: Vec, i: number, rows: number, cols: number): Mat =>
    matrix(rows, cols, data.subarray(i * rows * cols, (i + 1) * rows * cols));
  // Neither stretches: one matrix after the other on both sides.
  const areInOrder = atA.every((ia, i) => ia === i && atB[i] === i);
  const product = (x: Vec, z: Vec, out: Vec, beta: number): void => {
    const count = atA.length;
    if (areInOrder && beta === 0 && kernels.gemmEach) {
      kernels.gemmEach({
        count,
        a: matrix(count * m, k, x),
        b: matrix(count * k, n, z),
        out: matrix(count * m, n, out),
      });
      return;
    }
    atA.forEach((ia, i) => {
      kernels.gemm({ a: part(x, ia, m, k), b: part(z, atB[i]!, k, n), out: part(out, i, m, n), beta });
    });
  };
  const size = sizeOf(outer) * m * n;
  const [x, z] = [realOf(a), realOf(b)];
  const y = pool.take(size);
  product(x, z, y, 0);
  return {
    outputs: [y],
    backward([delta]) {
      const da = active[0] ? pool.take(x.length).fill(0) : undefined;
      const db = active[1] ? pool.take(z.length).fill(0) : undefined;
      atA.forEach((ia, i) => {
        const d = part(delta!, i, m, n);
        const ib = atB[i]!;
        if (da) kernels.gemm({ a: d, b: part(z, ib, k, n), transposeB: true, out: part(da, ia, m, k), beta: 1 });
        if (db) kernels.gemm({ a: part(x, ia, m, k), transposeA: true, b: d, out: part(db, ib, k, n), beta: 1 });
      });
      pool.give(delta!);
      return [da, db];
    },
    tangent([ta, tb]) {
      if (!ta && !tb) return [undefined];
      const out = pool.take(size);
      if (ta) product(ta, z, out, 0);
      if (tb) product(x, tb, out, ta ? 1 : 0);
      return [out];
    },
  };
}

/** A product with a weight as a convolution of one tap over images of one pixel. */
function pointwise(rows: number, [channels, outputs]: readonly [number, number], bias?: number): ConvolutionView {
  const pixel = { height: 1, width: 1, kernel: [1, 1], stride: 1, padding: 0, dilation: 1, groups: 1 } as const;
  return { shape: { batch: rows, channels, outputs, ...pixel }, x: 0, weights: 1, bias, length: rows * outputs };
}

const matmul: Operator = {
  name: "MatMul",
  layout: "first",
  derivative: "yes",
  weightInputs: [1],
  infer: (question) => [{ kind: inputOf(question, 0).kind, shape: matmulShape(question) }],
  apply(call) {
    if (!call.weights[1]) return batched(call);
    const { shape } = call.inputs[0]!;
    const rows = sizeOf(shape.slice(0, -1));
    return weighted(call, { x: 0, w: 1, rows, y: call.pool.take(sizeOf(call.types[0]!.shape)) });
  },
  convolution(question) {
    const [{ shape: a }, { shape: b, data, kind }] = [inputOf(question, 0), inputOf(question, 1)];
    const rows = sizeOf(a.slice(0, -1));
    if (question.weights[1]) return pointwise(rows, b as [number, number]);
    const isMatrix = data !== undefined && kind === "real" && b.length === 2;
    return isMatrix ? { ...pointwise(rows, b as [number, number]), isTransposed: true } : undefined;
  },
  flops: (question, [output]) =>
    numberOf(question, countedShare, 1) * 2 * (inputOf(question, 0).shape.at(-1) ?? 0) * sizeOf(output!.shape),
};

function gemmShape(question: Question): Shape {
  const [a, b] = [inputOf(question, 0).shape, inputOf(question, 1).shape];
  const [m, k] = numberOf(question, "transA", 0) ? [a[1], a[0]] : [a[0], a[1]];
  const [l, n] = numberOf(question, "transB", 0) ? [b[1], b[0]] : [b[0], b[1]];
  if (a.length !== 2 || b.length !== 2 || k !== l) {
    refuse(question, `shapes ${showShape(a)} and ${showShape(b)}`, "matrices that multiply");
  }
  return [m!, n!];
}

const gemm: Operator = {
  name: "Gemm",
  layout: "first",
  derivative: "yes",
  weightInputs: [1],
  infer(question) {
    if (inputOf(question, 0).kind !== "real") refuse(question, "whole numbers", "real ones");
    return [{ kind: "real", shape: gemmShape(question) }];
  },
  apply(call): Applied {
    const { pool } = call;
    const shape = call.types[0]!.shape;
    const y = pool.take(sizeOf(shape));
    const product = gemmProduct(call, y);
    const [c, beta] = [call.inputs[2], numberOf(call, "beta", 1)];
    if (!c) return product;
    const at = indexAt(overlayOf(c.shape, shape));
    const offset = realOf(c);
    for (let i = 0; i < y.length; i++) y[i] = y[i]! + beta * offset[at(i)]!;
    return {
      ...product,
      backward(deltas, sink) {
        const [delta] = deltas;
        let dc: Vec | undefined;
        if (call.active[2]) {
          dc = pool.take(offset.length).fill(0);
          for (let i = 0; i < delta!.length; i++) dc[at(i)] = dc[at(i)]! + beta * delta![i]!;
        }
        const [da, db] = product.backward!(deltas, sink);
        return [da, db, dc];
      },
      tangent(tangents) {
        const [out = tangents[2] && pool.take(y.length).fill(0)] = product.tangent!(tangents);
        const t = tangents[2];
        if (out && t) for (let i = 0; i < out.length; i++) out[i] = out[i]! + beta * t[at(i)]!;
        return [out];
      },
    };
  },
  convolution(question) {
    const [a, c] = [inputOf(question, 0).shape, question.inputs[2]?.shape];
    const [m, n] = gemmShape(question) as [number, number];
    const isPlain =
      ["alpha", "beta"].every((key) => numberOf(question, key, 1) === 1) && !numberOf(question, "transA", 0);
    const isRow = !c || (sizeOf(c) === n && c.at(-1) === n);
    return question.weights[1] && isPlain && isRow ? pointwise(m, [a[1]!, n], c && 2) : undefined;
  },
  flops: (question, [output]) => {
    const [a] = [inputOf(question, 0).shape];
    return 2 * (numberOf(question, "transA", 0) ? a[0]! : a[1]!) * sizeOf(output!.shape);
  },
};

function gemmProduct(call: Call, y: Vec): Applied {
  const alpha = numberOf(call, "alpha", 1);
  const [m, n] = call.types[0]!.shape as [number, number];
  const [transposeA, transposeB] = [numberOf(call, "transA", 0) === 1, numberOf(call, "transB", 0) === 1];
  if (call.weights[1] && !transposeA) return weighted(call, { x: 0, w: 1, rows: m, alpha, y });
  const { pool, active } = call;
  const { kernels } = pool;
  const [a, b] = [call.inputs[0]!, call.inputs[1]!].map(({ shape, data }) => {
    return matrix(shape[0]!, shape[1]!, data as Vec);
  }) as [Mat, Mat];
  const product = (x: Vec, z: Vec, out: Vec, beta: number): void =>
    kernels.gemm({
      ...{ a: { ...a, data: x }, transposeA, b: { ...b, data: z }, transposeB },
      ...{ out: matrix(m, n, out), alpha, beta },
    });
  product(a.data, b.data, y, 0);
  return {
    outputs: [y],
    backward([delta]) {
      const d = matrix(m, n, delta!);
      const da = active[0] ? pool.take(a.data.length) : undefined;
      const db = active[1] ? pool.take(b.data.length) : undefined;
      if (da) {
        const out = matrix(a.rows, a.cols, da);
        if (transposeA) kernels.gemm({ a: b, transposeA: transposeB, b: d, transposeB: true, out, alpha });
        else kernels.gemm({ a: d, b, transposeB: !transposeB, out, alpha });
      }
      if (db) {
        const out = matrix(b.rows, b.cols, db);
        if (transposeB) kernels.gemm({ a: d, transposeA: true, b: a, transposeB: transposeA, out, alpha });
        else kernels.gemm({ a, transposeA: !transposeA, b: d, out, alpha });
      }
      pool.give(delta!);
      return [da, db];
    },
    tangent([ta, tb]) {
      if (!ta && !tb) return [undefined];
      const out = pool.take(y.length);
      if (ta) product(ta, b.data, out, 0);
      if (tb) product(a.data, tb, out, ta ? 1 : 0);
      return [out];
    },
  };
}

/** MatMul and Gemm. */
export const multiplyingOperators: readonly Operator[] = [matmul, gemm];
