/** Views of a block-diagonal H from the views of its blocks; a block may be given several times. */
import type { FactorView, InverseView } from "../problem/curvature.ts";
import { dtypeOf, type Mat, matrix, type Vec, zeros } from "../problem/matrix.ts";
import type { RestrictedView } from "./restrict-view.ts";

/** Where each of consecutive sizes starts, and at the end their sum. */
function startsOf(sizes: readonly number[]): readonly number[] {
  const starts = [0];
  for (const size of sizes) starts.push(starts[starts.length - 1]! + size);
  return starts;
}

/** The indices of a support (ascending) within each of consecutive ranges of these sizes. */
export function partsOf(support: Uint32Array, sizes: readonly number[]): readonly Uint32Array[] {
  const starts = startsOf(sizes);
  let first = 0;
  return sizes.map((_, b) => {
    let last = first;
    while (last < support.length && support[last]! < starts[b + 1]!) last++;
    const part = support.subarray(first, last).map((j) => j - starts[b]!);
    first = last;
    return part;
  });
}

/** Writes a block into a matrix, with its upper left entry at (row, col). */
function writeBlock(block: Mat, out: Mat, { row, col }: { row: number; col: number }): void {
  for (let i = 0; i < block.rows; i++) {
    out.data.set(block.data.subarray(i * block.cols, (i + 1) * block.cols), (row + i) * out.cols + col);
  }
}

/**
 * The factor view of blocks that share scale, damping and dtype: gradient rows of one block are zero in the columns of the others. A
 * product costs what the blocks' products cost together; columns and Gram matrices are written out with their zeros.
 *
 * @param views - at least one
 */
export function joinFactors(views: readonly FactorView[]): FactorView {
  const [first] = views;
  if (!first) throw new RangeError("a block-diagonal view needs a block");
  const { scale, damping, dtype } = first;
  const sizes = views.map(({ dim }) => dim);
  const [columnStarts, rowStarts] = [startsOf(sizes), startsOf(views.map(({ rows }) => rows))];
  const [rows, dim] = [rowStarts[views.length]!, columnStarts[views.length]!];
  const ofColumns = (vector: Vec, b: number): Vec => vector.subarray(columnStarts[b], columnStarts[b + 1]);
  const ofRows = (vector: Vec, b: number): Vec => vector.subarray(rowStarts[b], rowStarts[b + 1]);
  const has = (name: "rowGram" | "columns" | "columnGram" | "columnGramCost" | "restricted"): boolean =>
    views.every((view) => view[name] !== undefined);
  /** Writes what each view gives for its part of a support. */
  const eachPart = async (
    support: Uint32Array,
    out: Mat,
    write: (spec: { view: FactorView; chosen: Uint32Array; block: number; first: number }) => Promise<void>,
  ): Promise<void> => {
    out.data.fill(0);
    let place = 0;
    for (const [block, chosen] of partsOf(support, sizes).entries()) {
      if (chosen.length > 0) await write({ view: views[block]!, chosen, block, first: place });
      place += chosen.length;
    }
  };
  return {
    ...{ rows, dim, scale, damping, dtype },
    productCost: views.reduce((sum, view) => sum + view.productCost, 0),
    async times(x, out) {
      for (const [b, view] of views.entries()) await view.times(ofColumns(x, b), ofRows(out, b));
    },
    async transposeTimes(u, out) {
      for (const [b, view] of views.entries()) await view.transposeTimes(ofRows(u, b), ofColumns(out, b));
    },
    columnNormsSquared() {
      const norms = new Float64Array(dim);
      views.forEach((view, b) => {
        norms.set(view.columnNormsSquared(), columnStarts[b]);
      });
      return norms;
    },
    ...(has("rowGram") && {
      async rowGram() {
        const known = new Map<FactorView, Mat>();
        for (const view of views) if (!known.has(view)) known.set(view, await view.rowGram!());
        const out = matrix(rows, rows, zeros(rows * rows, dtypeOf(known.get(first)!.data)));
        views.forEach((view, b) => {
          writeBlock(known.get(view)!, out, { row: rowStarts[b]!, col: rowStarts[b]! });
        });
        return out;
      },
    }),
    ...(has("columns") && {
      columns: (support, out) =>
        eachPart(support, out, async (part) => {
          const { view, chosen } = part;
          const own = matrix(view.rows, chosen.length, zeros(view.rows * chosen.length, dtype));
          await view.columns!(chosen, own);
          writeBlock(own, out, { row: rowStarts[part.block]!, col: part.first });
        }),
    }),
    ...(has("columnGram") && {
      columnGram: (support, out) =>
        eachPart(support, out, async ({ view, chosen, first: place }) => {
          const own = matrix(chosen.length, chosen.length, zeros(chosen.length ** 2, dtype));
          await view.columnGram!(chosen, own);
          writeBlock(own, out, { row: place, col: place });
        }),
    }),
    ...(has("columnGramCost") && { columnGramCost: Math.max(...views.map((view) => view.columnGramCost!)) }),
    ...(has("restricted") && {
      restricted(support): RestrictedView {
        const inner = partsOf(support, sizes).map((chosen, b) => views[b]!.restricted!(chosen));
        return {
          ...joinFactors(inner),
          release() {
            for (const view of inner) view.release();
          },
        };
      },
    }),
  };
}

/** The inverse of a block-diagonal H from the inverses of its blocks, which are released with it. */
export function joinInverses(inverses: readonly InverseView[]): InverseView {
  const sizes = inverses.map(({ dim }) => dim);
  const starts = startsOf(sizes);
  const dim = starts[inverses.length]!;
  const part = (vector: Vec, b: number): Vec => vector.subarray(starts[b], starts[b + 1]);
  return {
    dim,
    async diagonal() {
      const out = new Float64Array(dim);
      for (const [b, inverse] of inverses.entries()) out.set(await inverse.diagonal(), starts[b]);
      return out;
    },
    async column(j, out) {
      out.fill(0);
      const b = starts.findIndex((start) => start > j) - 1;
      await inverses[b]!.column(j - starts[b]!, part(out, b));
    },
    async apply(x, out) {
      for (const [b, inverse] of inverses.entries()) await inverse.apply(part(x, b), part(out, b));
    },
    async block(chosen) {
      const out = matrix(chosen.length, chosen.length, new Float64Array(chosen.length ** 2));
      let place = 0;
      for (const [b, inside] of partsOf(chosen, sizes).entries()) {
        if (inside.length > 0) writeBlock(await inverses[b]!.block(inside), out, { row: place, col: place });
        place += inside.length;
      }
      return out;
    },
    release() {
      for (const inverse of new Set(inverses)) inverse.release();
    },
  };
}
