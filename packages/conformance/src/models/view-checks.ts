/** Whether the views of one curvature are views of one matrix. */
import {
  type Curvature,
  type CurvatureView,
  type FactorView,
  type InverseView,
  isPruneError,
  type Mat,
  matrix,
  referenceKernels,
  zeros,
} from "@secateur/core";
import { describe, ensure, ensureClose } from "../assertions.ts";

/** H [dim, dim] in f64, column by column through `apply`. */
export async function denseOf({ dim, apply }: Pick<Curvature, "dim" | "apply">): Promise<Mat> {
  const H = matrix(dim, dim, new Float64Array(dim * dim));
  for (let j = 0; j < dim; j++) await apply(unit(dim, j), H.data.subarray(j * dim, (j + 1) * dim));
  return H;
}

const unit = (length: number, j: number): Float64Array => Float64Array.from({ length }, (_, i) => (i === j ? 1 : 0));

/** Some of the indices below a length, ascending. */
const some = (length: number): Uint32Array =>
  Uint32Array.from({ length: Math.ceil(length / 3) }, (_, i) => 3 * i).filter((j) => j < length);

/**
 * @param provides - the views it says it has
 * @param tolerance - relative to the largest entry of H
 * @throws Error naming the view that disagrees
 */
export async function ensureViews(
  curvature: Curvature,
  provides: readonly CurvatureView[],
  tolerance: number,
): Promise<void> {
  for (const view of ["factor", "gram", "blocks", "inverse"] as const) {
    const [has, says] = [curvature[view] !== undefined, provides.includes(view)];
    ensure(has === says, () => `'${view}' is ${says ? "provided and missing" : "there and not listed in provides"}`);
  }
  const H = await denseOf(curvature);
  const { dim } = curvature;
  ensureSymmetric(H, tolerance);
  const diagonal = Float64Array.from({ length: dim }, (_, j) => H.data[j * (dim + 1)]!);
  ensureClose(curvature.diagonal(), diagonal, { what: "diagonal", tolerance });
  await ensureLinear(curvature, tolerance);
  const view = curvature.factor?.();
  if (view) await ensureFactor(view, H, tolerance);
  const gram = curvature.gram?.();
  if (gram) ensureClose(gram.data, H.data, { what: "gram", tolerance });
  await ensureEnergy(curvature, H, tolerance);
  if (curvature.blocks) await ensureBlocks(curvature, H, tolerance);
  if (curvature.inverse) {
    await ensureInverse(await curvature.inverse(), H, tolerance);
    const support = some(dim);
    const size = support.length;
    const entry = (i: number): number => H.data[support[Math.floor(i / size)]! * dim + support[i % size]!]!;
    const inner = matrix(
      size,
      size,
      Float64Array.from({ length: size * size }, (_, i) => entry(i)),
    );
    // Structured inverses may exist for all weights only, and then say so.
    const part = await partOf(curvature, support);
    if (part) await ensureInverse(part, inner, tolerance);
  }
}

async function partOf({ inverse }: Curvature, support: Uint32Array): Promise<InverseView | undefined> {
  try {
    return await inverse!(support);
  } catch (error) {
    ensure(isPruneError(error) && error.code === "ERR_INCOMPATIBLE", () => {
      return `inverse of some weights: ended with ${describe(error)}, expected a view or ERR_INCOMPATIBLE`;
    });
    return undefined;
  }
}

function ensureSymmetric(H: Mat, tolerance: number): void {
  const { rows: dim, data } = H;
  const largest = largestOf(data);
  const shifted = matrix(dim, dim, data.slice());
  for (let i = 0; i < dim; i++) {
    for (let j = 0; j < i; j++) {
      const [a, b] = [data[i * dim + j]!, data[j * dim + i]!];
      ensure(
        Math.abs(a - b) <= tolerance * largest,
        () => `H is not symmetric: H[${i},${j}] = ${a}, H[${j},${i}] = ${b}`,
      );
    }
    shifted.data[i * (dim + 1)]! += 10 * tolerance * largest;
  }
  const pivot = referenceKernels.cholesky(shifted);
  ensure(pivot < 0, () => `H is not positive semi-definite: pivot ${pivot} is negative`);
}

/** f32 in, f32 out; H of a sum; the input unchanged. */
async function ensureLinear(curvature: Curvature, tolerance: number): Promise<void> {
  const { dim } = curvature;
  const x = Float64Array.from({ length: dim }, (_, j) => Math.sin(j + 1));
  const y = Float64Array.from({ length: dim }, (_, j) => Math.cos(3 * j));
  const apply = async (vector: Float64Array): Promise<Float64Array> => {
    const out = new Float64Array(dim).fill(Number.NaN);
    const copy = vector.slice();
    await curvature.apply(vector, out);
    ensureClose(vector, copy, { what: "the input of apply afterwards", tolerance: 0 });
    return out;
  };
  const [Hx, Hy] = [await apply(x), await apply(y)];
  const sum = await apply(x.map((value, j) => value + 2 * y[j]!));
  ensureClose(
    sum,
    Hx.map((value, j) => value + 2 * Hy[j]!),
    { what: "H (x + 2 y)", tolerance: 10 * tolerance },
  );
  const single = new Float32Array(dim);
  await curvature.apply(Float32Array.from(x), single);
  ensureClose(single, Hx, { what: "apply in f32", tolerance: 1e-4 });
}

/** Of two rows, and of none. */
async function ensureEnergy({ energy }: Curvature, H: Mat, tolerance: number): Promise<void> {
  if (!energy) return;
  const D = matrix(
    2,
    H.rows,
    Float64Array.from({ length: 2 * H.rows }, (_, i) => Math.sin(i + 1)),
  );
  const image = matrix(2, H.rows, new Float64Array(2 * H.rows));
  referenceKernels.gemm({ a: D, b: H, out: image });
  const expected = 0.5 * referenceKernels.dot(D.data, image.data);
  const none = matrix(0, H.rows, new Float64Array(0));
  ensureClose(Float64Array.of(await energy(D), await energy(none)), Float64Array.of(expected, 0), {
    what: "energy",
    tolerance: 10 * tolerance,
  });
}

async function ensureFactor(view: FactorView, H: Mat, tolerance: number): Promise<void> {
  const { rows: n, dim, scale, damping, dtype } = view;
  ensure(dim === H.rows, () => `factor: dim is ${dim}, expected ${H.rows}`);
  ensure(scale > 0 && damping >= 0, () => `factor: scale ${scale} and damping ${damping}, expected > 0 and >= 0`);
  ensure(
    view.productCost > 0,
    () => `factor: productCost is ${view.productCost}, expected the multiply-adds of a product`,
  );
  const G = matrix(n, dim, new Float64Array(n * dim));
  for (let i = 0; i < n; i++) await view.transposeTimes(unit(n, i), G.data.subarray(i * dim, (i + 1) * dim));
  const again = new Float64Array(n);
  for (let j = 0; j < dim; j++) {
    await view.times(unit(dim, j), again);
    const column = Float64Array.from({ length: n }, (_, i) => G.data[i * dim + j]!);
    ensureClose(again, column, { what: `factor: G e_${j} against G'`, tolerance, scale: largestOf(G.data) });
  }
  const rebuilt = matrix(dim, dim, new Float64Array(dim * dim));
  referenceKernels.gram({ a: G, transpose: true, out: rebuilt, alpha: scale });
  for (let j = 0; j < dim; j++) rebuilt.data[j * (dim + 1)]! += damping;
  ensureClose(rebuilt.data, H.data, { what: "factor: scale G'G + damping I", tolerance: 10 * tolerance });
  if (view.gramTimes) {
    const column = new Float64Array(dim);
    for (let j = 0; j < dim; j++) {
      await view.gramTimes(unit(dim, j), column);
      const expected = Float64Array.from(
        column,
        (_, i) => (rebuilt.data[i * dim + j]! - (i === j ? damping : 0)) / scale,
      );
      ensureClose(column, expected, {
        what: `factor: G'G e_${j}`,
        tolerance: 10 * tolerance,
        scale: largestOf(rebuilt.data) / scale,
      });
    }
  }
  const norms = Float64Array.from({ length: dim }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += G.data[i * dim + j]! ** 2;
    return sum;
  });
  ensureClose(view.columnNormsSquared(), norms, { what: "factor: columnNormsSquared", tolerance: 10 * tolerance });
  if (view.rowGram) {
    const K = matrix(n, n, new Float64Array(n * n));
    referenceKernels.gram({ a: G, out: K });
    ensureClose((await view.rowGram()).data, K.data, { what: "factor: rowGram", tolerance: 10 * tolerance });
  }
  const support = some(dim);
  const chosen = Float64Array.from({ length: n * support.length }, (_, i) => {
    return G.data[Math.floor(i / support.length) * dim + support[i % support.length]!]!;
  });
  if (view.columns) {
    const out = matrix(n, support.length, zeros(n * support.length, dtype));
    await view.columns(support, out);
    ensureClose(out.data, chosen, { what: "factor: columns", tolerance });
  }
  const inner = view.restricted?.(support);
  if (!inner) return;
  ensure(
    inner.columnGramCost === view.columnGramCost,
    () => "factor: restricted says something else of what an entry of columnGram costs",
  );
  const row = new Float64Array(support.length);
  for (let i = 0; i < n; i++) {
    await inner.transposeTimes(unit(n, i), row);
    const expected = chosen.subarray(i * support.length, (i + 1) * support.length);
    ensureClose(row, expected, { what: `factor: row ${i} of restricted`, tolerance, scale: largestOf(G.data) });
  }
  inner.release();
}

function largestOf(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}

async function ensureBlocks({ blocks, dim }: Curvature, H: Mat, tolerance: number): Promise<void> {
  const joined = new Float64Array(dim * dim);
  let end = 0;
  for (const { start, size, curvature } of blocks!()) {
    ensure(
      start === end && curvature.dim === size,
      () => `blocks: one starts at ${start} with ${size}, expected to start at ${end}`,
    );
    const inner = await denseOf(curvature);
    for (let i = 0; i < size; i++) joined.set(inner.data.subarray(i * size, (i + 1) * size), (start + i) * dim + start);
    end = start + size;
  }
  ensure(end === dim, () => `blocks end at ${end}, expected ${dim}`);
  ensureClose(joined, H.data, { what: "blocks", tolerance });
}

async function ensureInverse(inverse: InverseView, H: Mat, tolerance: number): Promise<void> {
  const n = H.rows;
  const what = `inverse of ${n}`;
  ensure(inverse.dim === n, () => `${what}: dim is ${inverse.dim}`);
  const columns = matrix(n, n, new Float64Array(n * n));
  for (let j = 0; j < n; j++) await inverse.column(j, columns.data.subarray(j * n, (j + 1) * n));
  const identity = matrix(n, n, new Float64Array(n * n));
  referenceKernels.gemm({ a: H, b: columns, out: identity });
  // The condition number of the suites' H is about a hundred.
  const loose = 1e3 * tolerance;
  ensureClose(
    identity.data,
    Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
    { what: `${what}: H H^-1`, tolerance: loose },
  );
  ensureClose(
    await inverse.diagonal(),
    Float64Array.from({ length: n }, (_, j) => columns.data[j * (n + 1)]!),
    { what: `${what}: diagonal`, tolerance: loose },
  );
  const x = Float64Array.from({ length: n }, (_, j) => Math.sin(j + 1));
  const expected = new Float64Array(n);
  referenceKernels.gemv({ a: columns, x, out: expected });
  const out = new Float64Array(n);
  await inverse.apply(x, out);
  ensureClose(out, expected, { what: `${what}: apply`, tolerance: loose });
  const chosen = some(n);
  const size = chosen.length;
  const block = Float64Array.from(
    { length: size * size },
    (_, i) => columns.data[chosen[Math.floor(i / size)]! * n + chosen[i % size]!]!,
  );
  ensureClose((await inverse.block(chosen)).data, block, { what: `${what}: block`, tolerance: loose });
  inverse.release();
}
