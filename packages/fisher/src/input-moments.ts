/**
 * Sums over the rows x of a layer's inputs, and over the rows z that the dense model has in their places: of x x', x z', z z', x and z. Products are made
 * in the dtype of the rows, some thousands at a time, and added up in f64. Where an input is far from 0 beside its spread, f32 products of it have no digit of
 * the spread left; they are then made of x - s, with s the means of the first rows, exact in f32 where x is near to s, and
 *   sum x z' = sum (x - s) (z - t)' + s (sum z)' + (sum x) t' - n s t',
 * in f64, whose sixteen digits leave H less the product of the means the digits of a spread of a thirty-thousandth.
 */
import {
  type DenseMoments,
  dtypeOf,
  type Kernels,
  type LayerInputs,
  type Mat,
  matrix,
  type RunContext,
  type Vec,
  zeros,
} from "@secateur/core";
import { withScratch } from "@secateur/core/linalg";
import { chunksInShares } from "./input-shares.ts";
import { spreadRows } from "./spread-rows.ts";

/** Sums over the rows of one entry. */
export interface InputMoments {
  /** Of x x'. */
  readonly H: Mat;
  readonly count: number;
  /** Of x. */
  readonly means: Float64Array;
  /** With the rows that the dense model has in their place. */
  readonly dense?: DenseMoments;
}

/** Rows whose products are added up in the dtype of the inputs: f32 loses some digits in longer sums. */
const mostRows = 8192;

/** Squares of means beside variances from which on products are made of inputs less a shift: below, f32 has digits to spare. */
const farOff = 16;

/** Which of an entry's rows are taken. */
export interface RowChoice {
  /** Rows in all shares together; 0: not told, all are taken. */
  readonly rows: number;
  /** Rows that are enough: where at least twice as many come, so many spread over them stand for all. */
  readonly most: number;
  /** Rows in the shares before. */
  readonly before: number;
}

/**
 * Takes the chunks of an entry, and in step with them those of its partner in the dense model: share after share, the sums of which are added up in order, so that
 * they may as well be taken apart.
 *
 * @param spec.examples - how many there are
 * @param spec.share - examples of a share
 */
export async function inputMoments(
  spec: {
    readonly entry: LayerInputs;
    readonly partner: LayerInputs | undefined;
    readonly most: number;
    readonly examples: number;
    readonly share: number;
  },
  ctx: RunContext,
): Promise<InputMoments> {
  const { entry, partner, most, examples, share } = spec;
  const { cols, rows = 0 } = entry;
  const others = partner && chunksInShares(partner.chunks, share);
  let total: InputMoments | undefined;
  let taken = 0;
  for await (const chunks of chunksInShares(entry.chunks, share)) {
    const other = (await others?.next())?.value as AsyncIterable<Mat> | undefined;
    const choice = { rows, most, before: taken === 0 ? 0 : (rows / examples) * taken };
    const part = await shareMoments({ cols, chunks, other, choice }, ctx);
    total = total ? addMoments(total, part) : part;
    taken += share;
  }
  await others?.next();
  return (
    total ?? (await shareMoments({ cols, chunks: none(), other: undefined, choice: { rows, most, before: 0 } }, ctx))
  );
}

async function* none(): AsyncGenerator<Mat> {}

/** Adds a share's sums to those of all before it. */
export function addMoments(total: InputMoments, part: InputMoments): InputMoments {
  addTo(total.H, part.H);
  addVector(total.means, part.means);
  if (total.dense && part.dense) {
    addTo(total.dense.cross, part.dense.cross);
    addTo(total.dense.own, part.dense.own);
    addVector(total.dense.means, part.dense.means);
  }
  return { ...total, count: total.count + part.count };
}

/** The sums over one share of the examples. */
export async function shareMoments(
  spec: {
    readonly cols: number;
    readonly chunks: AsyncIterable<Mat>;
    readonly other: AsyncIterable<Mat> | undefined;
    readonly choice: RowChoice;
  },
  { kernels }: RunContext,
): Promise<InputMoments> {
  const { cols, other: partner, choice } = spec;
  const { rows, most, before } = choice;
  const pick = (given: AsyncIterable<Mat>): AsyncIterable<Mat> =>
    rows < 2 * most ? given : spreadRows(given, { of: rows, most, from: before });
  const chunks = pick(spec.chunks);
  const take = (): Mat => matrix(cols, cols, new Float64Array(cols * cols));
  const H = take();
  const dense = partner && { cross: take(), own: take(), means: new Float64Array(cols) };
  const others = partner && pick(partner)[Symbol.asyncIterator]();
  const means = new Float64Array(cols);
  let count = 0;
  let [shift, otherShift]: (Vec | undefined)[] = [];
  await withScratch(kernels, async (alloc) => {
    let sums: { readonly whole: Mat; readonly part: Mat }[] | undefined;
    let pending = 0;
    const flush = (): void => {
      for (const { whole, part } of sums ?? []) {
        addTo(whole, part);
        part.data.fill(0);
      }
      pending = 0;
    };
    for await (const chunk of chunks) {
      // Taken in step, so that row stands beside row: both come from the same batches.
      const other = (await others?.next())?.value as Mat | undefined;
      if (count === 0) [shift, otherShift] = [shiftOf(chunk), other && shiftOf(other)];
      sums ??= [H, ...(dense ? [dense.cross, dense.own] : [])].map((whole) => ({
        whole,
        part: matrix(cols, cols, alloc(cols * cols, dtypeOf(chunk.data)).fill(0)),
      }));
      const [own, cross, theirs] = sums.map(({ part }) => part);
      for (let from = 0; from < chunk.rows; from += mostRows) {
        const to = Math.min(from + mostRows, chunk.rows);
        if (pending + to - from > mostRows) flush();
        pending += to - from;
        const a = shifted(rowsOf(chunk, from, to), shift);
        kernels.gram({ a, transpose: true, beta: 1, out: own! });
        if (!other) continue;
        const b = shifted(rowsOf(other, from, to), otherShift);
        kernels.gemm({ a, transposeA: true, b, beta: 1, out: cross! });
        kernels.gram({ a: b, transpose: true, beta: 1, out: theirs! });
      }
      addRows(means, chunk, kernels);
      if (dense && other) addRows(dense.means, other, kernels);
      count += chunk.rows;
    }
    flush();
  });
  // The last chunk is given back when another one is asked for.
  await others?.next();
  const x = { shift, sums: means };
  unshift(H, x, x, count);
  if (dense) {
    const z = { shift: otherShift, sums: dense.means };
    unshift(dense.cross, x, z, count);
    unshift(dense.own, z, z, count);
  }
  return { H, count, means, ...(dense ? { dense } : {}) };
}

/** The means of some rows in their dtype, where one of them is far from 0 beside its spread; undefined where none is. */
function shiftOf({ rows, cols, data }: Mat): Vec | undefined {
  const some = Math.min(rows, mostRows);
  const [sums, squares] = [new Float64Array(cols), new Float64Array(cols)];
  // About the first row, so that the squares keep the digits of the spread.
  for (let r = 0, i = 0; r < some; r++) {
    for (let j = 0; j < cols; j++, i++) {
      const far = data[i]! - data[j]!;
      sums[j]! += far;
      squares[j]! += far * far;
    }
  }
  const shift = zeros(cols, dtypeOf(data));
  let isFar = false;
  for (let j = 0; j < cols && some > 0; j++) {
    const beside = sums[j]! / some;
    const mean = data[j]! + beside;
    isFar ||= mean ** 2 > farOff * Math.max(0, squares[j]! / some - beside ** 2);
    shift[j] = mean;
  }
  return isFar ? shift : undefined;
}

/** Rows less a shift; themselves where there is none. */
function shifted(rows: Mat, shift: Vec | undefined): Mat {
  if (!shift) return rows;
  const data = rows.data.slice();
  for (let r = 0, i = 0; r < rows.rows; r++) for (let j = 0; j < rows.cols; j++, i++) data[i]! -= shift[j]!;
  return { ...rows, data };
}

/** Sums of rows, and what they were shifted by. */
interface Shifted {
  readonly shift: Vec | undefined;
  readonly sums: Float64Array;
}

/** Adds what the shifts s and t took off a sum of products. */
function unshift(products: Mat, a: Shifted, b: Shifted, count: number): void {
  const { rows, cols, data } = products;
  if (!a.shift && !b.shift) return;
  for (let i = 0; i < rows; i++) {
    const s = a.shift?.[i] ?? 0;
    for (let j = 0; j < cols; j++) {
      const e = i * cols + j;
      const t = b.shift?.[j] ?? 0;
      // Products of rows with themselves are symmetric to the last bit.
      if (a === b && j < i) data[e] = data[j * cols + i]!;
      else data[e]! += s * (b.sums[j]! - count * t) + a.sums[i]! * t;
    }
  }
}

function rowsOf({ cols, data }: Mat, from: number, to: number): Mat {
  return matrix(to - from, cols, data.subarray(from * cols, to * cols));
}

function addRows(sums: Float64Array, rows: Mat, kernels: Kernels): void {
  const own = new Float64Array(rows.cols);
  kernels.columnSums(rows, own);
  for (let j = 0; j < own.length; j++) sums[j]! += own[j]!;
}

function addTo(total: Mat, sum: Mat): void {
  addVector(total.data, sum.data);
}

function addVector(total: Vec, sum: Vec): void {
  for (let i = 0; i < total.length; i++) total[i]! += sum[i]!;
}
