/** A factor view over some of its columns: H[S, S] in the same form, scale G_S'G_S + damping I. */
import type { Kernels } from "../kernels/kernels.ts";
import type { FactorView } from "../problem/curvature.ts";
import { dtypeOf, type Mat, matrix, type Vec, zeros } from "../problem/matrix.ts";
import { addRowGram, type ColumnView, hasColumns, indices } from "./column-grams.ts";
import { pick } from "./pick.ts";

/** A view over some columns, and what was set up for it. */
export type RestrictedView<V extends FactorView = FactorView> = V & { release(): void };

/** Entries of gathered columns, beyond which products run on all of G: 256 MB of f32 beside rows that may fill the memory. */
const mostGathered = 2 ** 26;

/** What a copy of G in kernel memory serves. */
type Resident = Pick<FactorView, "productCost" | "times" | "transposeTimes" | "columnNormsSquared"> &
  Partial<Pick<ColumnView, "columns">>;

/**
 * The view with its products and columns from a copy of G in kernel memory, or from G itself where it lies there: rows elsewhere are copied there for every product
 * anew. The view itself where its rows are factored, exist only as products, or are too many (more than 256 MB of f32). Release it.
 */
export async function residentView(view: FactorView, kernels: Kernels): Promise<Resident & { release(): void }> {
  const { rows, dim, productCost } = view;
  if (!hasColumns(view) || productCost < rows * dim || rows * dim > mostGathered) {
    return {
      productCost,
      times: (x, out) => view.times(x, out),
      transposeTimes: (u, out) => view.transposeTimes(u, out),
      columnNormsSquared: () => view.columnNormsSquared(),
      release: () => {},
    };
  }
  const { stored } = view;
  const isWhole = stored?.rows === rows && stored.cols === dim;
  const ready = stored && isWhole && kernels.holds?.(stored.data) ? stored : undefined;
  const { times, transposeTimes, gather, release } = gatheredProducts(view, indices(0, dim), kernels, ready);
  const G = await gather().catch((error: unknown) => {
    release();
    throw error;
  });
  let norms: Float64Array | undefined;
  return {
    productCost: rows * dim,
    times,
    transposeTimes,
    release,
    columns: (support, out) => kernels.gatherColumns(G, support, out),
    columnNormsSquared() {
      if (!norms && ready) norms = view.columnNormsSquared();
      if (!norms) {
        norms = new Float64Array(dim);
        kernels.columnDots(G, G, norms);
      }
      return norms;
    },
  };
}

/**
 * The view over G[:, support]. Products in the dtype of the rows run on whichever is cheapest: the columns of G, gathered at the
 * first product (n |S| numbers), the view's own way, or all of G; those with G' in another dtype on all of G. The row Gram is summed over the
 * columns, n^2 |S| / 2 multiply-adds. Release it.
 *
 * @param support - S, ascending
 */
export function restrictView(
  view: ColumnView,
  support: Uint32Array,
  kernels: Kernels,
): RestrictedView<ColumnView & Required<Pick<FactorView, "rowGram">>>;
export function restrictView(view: FactorView, support: Uint32Array, kernels: Kernels): RestrictedView;
export function restrictView(view: FactorView, support: Uint32Array, kernels: Kernels): RestrictedView {
  const { rows, dtype } = view;
  const dim = support.length;
  const outer = (inner: Uint32Array): Uint32Array => inner.map((s) => support[s]!);
  const { columns, ...products } = cheapestProducts(view, support, kernels);
  let norms: Float64Array | undefined;
  return {
    ...products,
    rows,
    dim,
    scale: view.scale,
    damping: view.damping,
    dtype,
    columnNormsSquared() {
      if (!norms) {
        norms = pick(view.columnNormsSquared(), support);
      }
      return norms;
    },
    ...(hasColumns(view) && {
      columns: columns ?? ((inner: Uint32Array, out: Mat) => view.columns(outer(inner), out)),
      async rowGram() {
        const gram = matrix(rows, rows, kernels.alloc(rows * rows, dtype));
        await addRowGram({ view, columns: support, out: gram, kernels });
        return gram;
      },
    }),
    ...(view.columnGram && { columnGram: (inner, out) => view.columnGram!(outer(inner), out) }),
    ...(view.columnGramCost !== undefined && { columnGramCost: view.columnGramCost }),
    ...(view.restricted && { restricted: (inner) => view.restricted!(outer(inner)) }),
  };
}

type Products = Pick<RestrictedView, "productCost" | "times" | "transposeTimes" | "gramTimes" | "release">;

function cheapestProducts(
  view: FactorView,
  support: Uint32Array,
  kernels: Kernels,
): Products & Partial<Pick<ColumnView, "columns">> {
  const { rows, productCost } = view;
  if (hasColumns(view) && rows * support.length <= Math.min(productCost, mostGathered)) {
    const { gather: _, ...products } = gatheredProducts(view, support, kernels);
    return products;
  }
  if (!view.restricted) return { productCost, ...scatteredProducts(view, support), release: () => {} };
  const inner = view.restricted(support);
  return {
    productCost: inner.productCost,
    times: (x, out) => inner.times(x, out),
    transposeTimes: (u, out) => inner.transposeTimes(u, out),
    ...(inner.gramTimes && { gramTimes: (x, out) => inner.gramTimes!(x, out) }),
    release: () => inner.release(),
  };
}

/** Products with all of G on vectors that are 0 outside the support. */
function scatteredProducts(
  view: FactorView,
  support: Uint32Array,
): Pick<Products, "times" | "transposeTimes" | "gramTimes"> {
  const fullLike = keptVector(view);
  // A product of two steps needs a second one.
  const secondLike = keptVector(view);
  const scatter = (x: Vec): Vec => {
    const whole = fullLike(x).fill(0);
    for (let s = 0; s < support.length; s++) whole[support[s]!] = x[s]!;
    return whole;
  };
  const gather = (whole: Vec, out: Vec): void => {
    for (let s = 0; s < support.length; s++) out[s] = whole[support[s]!]!;
  };
  return {
    times: (x, out) => view.times(scatter(x), out),
    async transposeTimes(u, out) {
      const whole = fullLike(out);
      await view.transposeTimes(u, whole);
      gather(whole, out);
    },
    ...(view.gramTimes && {
      async gramTimes(x: Vec, out: Vec) {
        const whole = secondLike(out);
        await view.gramTimes!(scatter(x), whole);
        gather(whole, out);
      },
    }),
  };
}

/** A vector over all weights in the dtype of another, made once. */
function keptVector({ dim, dtype }: FactorView): (like: Vec) => Vec {
  let kept: Vec = zeros(0, dtype);
  return (like) => {
    if (kept.length !== dim || dtypeOf(kept) !== dtypeOf(like)) kept = zeros(dim, dtypeOf(like));
    return kept;
  };
}

/**
 * Products on G[:, support], which `gather` copies to kernel memory once.
 *
 * @param ready - those columns where they lie there already; they stay when the rest is released
 */
function gatheredProducts(
  view: ColumnView,
  support: Uint32Array,
  kernels: Kernels,
  ready?: Mat,
): Products & { gather(): Promise<Mat>; columns(inner: Uint32Array, out: Mat): void | Promise<void> } {
  const { rows, dtype } = view;
  const cols = support.length;
  const scattered = scatteredProducts(view, support);
  let gathering: Promise<Mat> | undefined = ready && Promise.resolve(ready);
  let G = ready;
  let isGathered = ready !== undefined;
  const copy = async (): Promise<Mat> => {
    const fresh = matrix(rows, cols, kernels.alloc(rows * cols, dtype));
    G = fresh;
    await view.columns(support, fresh);
    isGathered = true;
    return fresh;
  };
  const gather = (): Promise<Mat> => {
    gathering ??= copy();
    return gathering;
  };
  const inRows = (x: Vec, out: Vec): boolean => dtypeOf(x) === dtype && dtypeOf(out) === dtype;
  const inDoubles = (x: Vec, out: Vec): boolean => dtypeOf(x) === "f64" && dtypeOf(out) === "f64";
  return {
    productCost: rows * cols,
    gather,
    columns(inner, out) {
      if (isGathered) return kernels.gatherColumns(G!, inner, out);
      return view.columns(
        inner.map((s) => support[s]!),
        out,
      );
    },
    async times(x, out) {
      if (!inRows(x, out) && !inDoubles(x, out)) return scattered.times(x, out);
      kernels.gemv({ a: await gather(), x, out });
    },
    async transposeTimes(u, out) {
      if (!inRows(u, out)) return scattered.transposeTimes(u, out);
      kernels.gemv({ a: await gather(), transpose: true, x: u, out });
    },
    release() {
      if (G && G !== ready) kernels.free(G.data);
    },
  };
}
