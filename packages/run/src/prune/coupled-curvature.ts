/**
 * The curvature of channels in groups: that of the members' weights, seen in the order of the sets. H of the sets is a principal block of H of all
 * members, with rows and columns in another order, so products, columns and inverses are those of the members between a scatter and a gather.
 */
import {
  type Curvature,
  type CurvatureEstimator,
  type FactorView,
  type InverseView,
  type Mat,
  matrix,
  type Vec,
} from "@secateur/core";
import type { PrunableModel } from "./prunable-model.ts";

/** Where the weights of some sets lie among those of all their members, one after the other. */
export interface SetLayout {
  readonly params: readonly string[];
  /** Weights of the members together. */
  readonly size: number;
  /** For each weight of the sets its place there. */
  readonly at: Uint32Array;
}

/** Estimates for the members, and hands out what belongs to the sets. */
export function coupledEstimator(
  inner: CurvatureEstimator,
  spec: { readonly model: PrunableModel; layoutOf(names: readonly string[]): SetLayout },
): CurvatureEstimator {
  return {
    ...inner,
    provides: inner.provides.filter((view) => view !== "gram" && view !== "blocks"),
    async estimate(request, ctx) {
      const { params, size, at } = spec.layoutOf(request.params);
      const { kept: own, ...rest } = request;
      // Weights in no set are not pruned.
      const kept = own && new Uint8Array(size).fill(1);
      if (kept) for (let i = 0; i < at.length; i++) kept[at[i]!] = own[i]!;
      const found = await inner.estimate({ ...rest, model: spec.model, params, ...(kept ? { kept } : {}) }, ctx);
      const { gradient } = found;
      return {
        ...found,
        curvature: (factor) => inOrder(found.curvature(factor), at),
        ...(gradient ? { gradient: matrix(1, at.length, gathered(gradient.data, at)) } : {}),
      };
    },
  };
}

function gathered(whole: Vec, at: Uint32Array, out: Vec = emptyLike(whole, at.length)): Vec {
  for (let i = 0; i < at.length; i++) out[i] = whole[at[i]!]!;
  return out;
}

function scattered(own: Vec, at: Uint32Array, size: number): Vec {
  const out = emptyLike(own, size);
  for (let i = 0; i < at.length; i++) out[at[i]!] = own[i]!;
  return out;
}

function emptyLike(vector: Vec, length: number): Vec {
  return vector instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
}

/** H[at, at]. */
function inOrder(inner: Curvature, at: Uint32Array): Curvature {
  const { dim, factor, energy, inverse } = inner;
  return {
    dim: at.length,
    diagonal: () => gathered(inner.diagonal(), at),
    async apply(x, out) {
      const whole = emptyLike(out, dim);
      await inner.apply(scattered(x, at, dim), whole);
      gathered(whole, at, out);
    },
    ...(factor ? { factor: () => viewInOrder(factor.call(inner), at) } : {}),
    ...(energy
      ? {
          energy(D: Mat) {
            const whole = matrix(D.rows, dim, emptyLike(D.data, D.rows * dim));
            for (let r = 0; r < D.rows; r++) {
              for (let i = 0; i < at.length; i++) whole.data[r * dim + at[i]!] = D.data[r * D.cols + i]!;
            }
            return energy.call(inner, whole);
          },
        }
      : {}),
    ...(inverse
      ? {
          async inverse(support?: Uint32Array) {
            const { sorted, rank } = ranked(support ? Uint32Array.from(support, (i) => at[i]!) : at);
            return inverseInOrder(await inverse.call(inner, sorted), rank);
          },
        }
      : {}),
  };
}

/** Places in ascending order, and for each one given its place among them. */
function ranked(places: Uint32Array): { readonly sorted: Uint32Array; readonly rank: Uint32Array } {
  const order = Uint32Array.from(places.keys()).sort((a, b) => places[a]! - places[b]!);
  const rank = new Uint32Array(places.length);
  order.forEach((from, i) => {
    rank[from] = i;
  });
  return { sorted: Uint32Array.from(order, (from) => places[from]!), rank };
}

function viewInOrder(inner: FactorView, at: Uint32Array): FactorView {
  const { dim, gramTimes, rowGram, columns, columnGram, restricted } = inner;
  const isWhole = at.length === dim;
  return {
    ...{ rows: inner.rows, dim: at.length, scale: inner.scale, damping: inner.damping },
    ...{ dtype: inner.dtype, productCost: inner.productCost },
    ...(inner.columnGramCost === undefined ? {} : { columnGramCost: inner.columnGramCost }),
    times: (x, out) => inner.times(scattered(x, at, dim), out),
    async transposeTimes(u, out) {
      const whole = emptyLike(out, dim);
      await inner.transposeTimes(u, whole);
      gathered(whole, at, out);
    },
    ...(gramTimes
      ? {
          async gramTimes(x: Vec, out: Vec) {
            const whole = emptyLike(out, dim);
            await gramTimes.call(inner, scattered(x, at, dim), whole);
            gathered(whole, at, out);
          },
        }
      : {}),
    // The rows of all members together are longer than those of the sets where some weights are in none.
    ...(rowGram && isWhole ? { rowGram: () => rowGram.call(inner) } : {}),
    ...(columns
      ? {
          async columns(support: Uint32Array, out: Mat) {
            const { sorted, rank } = ranked(Uint32Array.from(support, (i) => at[i]!));
            const whole = { ...out, data: emptyLike(out.data, out.data.length) };
            await columns.call(inner, sorted, whole);
            for (let r = 0; r < out.rows; r++) {
              for (let i = 0; i < rank.length; i++) out.data[r * out.cols + i] = whole.data[r * out.cols + rank[i]!]!;
            }
          },
        }
      : {}),
    ...(columnGram
      ? {
          async columnGram(support: Uint32Array, out: Mat) {
            const { sorted, rank } = ranked(Uint32Array.from(support, (i) => at[i]!));
            const whole = { ...out, data: emptyLike(out.data, out.data.length) };
            await columnGram.call(inner, sorted, whole);
            for (let i = 0; i < rank.length; i++) {
              for (let j = 0; j < rank.length; j++)
                out.data[i * out.cols + j] = whole.data[rank[i]! * out.cols + rank[j]!]!;
            }
          },
        }
      : {}),
    ...(restricted
      ? {
          restricted(support: Uint32Array) {
            const { sorted, rank } = ranked(Uint32Array.from(support, (i) => at[i]!));
            const narrow = restricted.call(inner, sorted);
            return { ...viewInOrder(narrow, rank), release: () => narrow.release() };
          },
        }
      : {}),
    columnNormsSquared: () => gathered(inner.columnNormsSquared(), at) as Float64Array,
  };
}

function inverseInOrder(inner: InverseView, rank: Uint32Array): InverseView {
  const { dim } = inner;
  return {
    dim,
    diagonal: async () => gathered(await inner.diagonal(), rank) as Float64Array,
    async column(j, out) {
      const whole = emptyLike(out, dim);
      await inner.column(rank[j]!, whole);
      gathered(whole, rank, out);
    },
    async apply(x, out) {
      const whole = emptyLike(out, dim);
      await inner.apply(scattered(x, rank, dim), whole);
      gathered(whole, rank, out);
    },
    async block(chosen) {
      const { sorted, rank: own } = ranked(Uint32Array.from(chosen, (i) => rank[i]!));
      const whole = await inner.block(sorted);
      const out = matrix(own.length, own.length, new Float64Array(own.length ** 2));
      for (let i = 0; i < own.length; i++) {
        for (let j = 0; j < own.length; j++) out.data[i * own.length + j] = whole.data[own[i]! * own.length + own[j]!]!;
      }
      return out;
    },
    release: () => inner.release(),
  };
}
