/**
 * What a shard of the columns does when CHITA runs by columns: it holds its columns of G [n, p] and its weights, and everything of p numbers stays in it.
 * In the notation of relaxation/row-space.ts, with s = sqrt(scale) u / lambda from whoever leads the solve, the weights that places want are
 *   V = w0 - G's,
 * and what leaves the shard are sums over its panels: products G x [n], Gram matrices [n, n], numbers; and single columns of the pool of swaps.
 * Rows and weights are f32; sums within a panel are those of the kernels, sums of panels f64.
 */
import { matrix } from "@secateur/core";
import { withScratch } from "@secateur/core/linalg";
import { type Panel, type PanelSpec, Panels } from "./panels.ts";
import { type TreeNode, TreeSum } from "./tree-sum.ts";

/** Nodes of a sum, from the left to the right. */
export type Nodes = readonly TreeNode[];

/** How places are judged along V + step dV: shares z = clamp((q - threshold) / width, 0, 1) of q = (V + step dV)^2. */
export interface Choice {
  readonly step: number;
  readonly threshold: number;
  readonly width: number;
}

/**
 * Which x [p] a product G x is taken of: w0; V where it is kept; w0 where it is kept, but for `except`; or z V with the shares of a choice at step 0.
 */
export type ProductOf =
  | { readonly of: "dense" | "kept" }
  | { readonly of: "others"; readonly except: Uint32Array }
  | ({ readonly of: "shared" } & Omit<Choice, "step">);

/** Places among all columns, ascending, and a number of each. */
export interface Places {
  readonly columns: Uint32Array;
  readonly values: Float64Array;
}

/** A shard, here or elsewhere. Columns are numbered among all p; every method takes plain data and gives plain data. */
export interface ColumnShard {
  /** Forgets what an earlier solve left. @param weights - the shard's part of w0 */
  begin(weights: Float32Array): Promise<void>;
  /** G G' [n * n] over all its columns, over those kept, or over those not kept. */
  gram(of: "all" | "kept" | "pruned"): Promise<Nodes>;
  /** G x [n], then sum (x - w0)^2 and sum w0^2. */
  product(of: ProductOf): Promise<Nodes>;
  /** V = w0 - G's; dV = 0. */
  setWeights(s: Float64Array): Promise<void>;
  /** dV = -G's. */
  setDirection(s: Float64Array): Promise<void>;
  /** V += step dV. */
  move(step: number): Promise<void>;
  /** Sum of the shares, how many lie between 0 and 1, sum z q - width/2 z^2, and sum z (V + step dV) dV. */
  countShares(choice: Choice): Promise<Nodes>;
  /** max (V + step dV)^2 */
  largestSquare(step: number): Promise<number>;
  /** How many |V| there are by bits of their f32 form, from bit `shift` on: the upper 11; or, of those whose bits above are `within`, the next 10. */
  histogram(spec: { shift: number; within?: number }): Promise<Uint32Array>;
  /** Sum of V^2 over |V| whose f32 bits are above `bits`. */
  squaresAbove(bits: number): Promise<Nodes>;
  /** Keeps the places whose bits are above `bits`, and the first `ties` of those that have them. */
  keep(spec: { bits: number; ties: number }): Promise<void>;
  /** The `count` kept places of least |V|, and the `count` others of greatest |V|; ties go to the lower column. */
  extremes(count: number): Promise<{ kept: Places; pruned: Places }>;
  /** Columns of G [n, m] row by row, for those of the given that it holds, and their w0. */
  gather(columns: Uint32Array): Promise<Places & { rows: Float64Array }>;
  /** Takes places in and out. */
  swap(spec: { into: Uint32Array; out: Uint32Array }): Promise<void>;
  /** Sets V at places. */
  set(places: Places): Promise<void>;
  /** V where it is kept, 0 elsewhere. */
  result(): Promise<{ weights: Float32Array; mask: Uint8Array }>;
}

/** The methods of a shard, by which one elsewhere is asked. */
export const columnShardMethods: readonly (keyof ColumnShard)[] = [
  ...(["begin", "gram", "product", "setWeights", "setDirection", "move", "countShares", "largestSquare"] as const),
  ...(["histogram", "squaresAbove", "keep", "extremes", "gather", "swap", "set", "result"] as const),
];

/** What a shard is made of; see {@link PanelSpec}. */
export type ColumnShardSpec = PanelSpec;

/**
 * A shard here. What it is asked waits for what it was asked before. Memory: the rows that stay, a panel where some do not, and 13 bytes a column.
 */
export function columnShard(spec: ColumnShardSpec): ColumnShard & { release(): void } {
  const { release, ...shard } = shardOf(spec);
  let last: Promise<unknown> = Promise.resolve();
  const inTurn =
    (method: keyof ColumnShard) =>
    (argument: unknown): Promise<unknown> => {
      const turn = last.then(() => (shard[method] as (one: unknown) => Promise<unknown>)(argument));
      last = turn.catch(() => {});
      return turn;
    };
  const turns = Object.fromEntries(columnShardMethods.map((method) => [method, inTurn(method)]));
  return { ...(turns as unknown as ColumnShard), release };
}

function shardOf(spec: ColumnShardSpec): ColumnShard & { release(): void } {
  const { kernels, source } = spec;
  const n = source.rows;
  const panels = new Panels(spec);
  const { start, size } = panels;
  let w0: Float32Array = new Float32Array(0);
  const [V, dV] = [new Float32Array(size), new Float32Array(size)];
  const bitsOfV = new Uint32Array(V.buffer);
  const kept = new Uint8Array(size);
  const bits = (j: number): number => bitsOfV[j]! & 0x7fffffff;

  /** One vector a panel, added up. */
  const sumOver = async (length: number, work: (panel: Panel, sum: Float64Array) => void | Promise<void>) => {
    const tree = new TreeSum();
    for await (const panel of panels.all()) {
      const sum = new Float64Array(length);
      await work(panel, sum);
      tree.add({ level: 0, index: panel.index, sum });
    }
    return tree.nodes;
  };
  /** The same over places alone: `add` takes those of a panel, [from, to). */
  const sumPlaces = (length: number, add: (sum: Float64Array, from: number, to: number) => void): Nodes => {
    const tree = new TreeSum();
    for (let index = spec.range.from; index < spec.range.to; index++) {
      const [sum, from] = [new Float64Array(length), index * spec.panel - start];
      add(sum, from, Math.min(from + spec.panel, size));
      tree.add({ level: 0, index, sum });
    }
    return tree.nodes;
  };
  const transposed = async (s: Float64Array, use: (j: number, product: number) => void): Promise<void> => {
    const [x, out] = [Float32Array.from(s), new Float32Array(Math.min(spec.panel, size))];
    for await (const { at, rows } of panels.all()) {
      const product = out.subarray(0, rows.cols);
      kernels.gemv({ a: rows, transpose: true, x, out: product });
      for (let j = 0; j < rows.cols; j++) use(at + j, product[j]!);
    }
  };
  const own = (columns: Uint32Array): readonly number[] =>
    Array.from(
      columns.filter((column) => column >= start && column < start + size),
      (column) => column - start,
    );

  return {
    release: () => panels.release(),
    async begin(weights) {
      w0 = weights;
      kept.fill(0);
    },
    gram: (of) =>
      sumOver(n * n, async ({ at, rows }, sum) => {
        const wanted = of === "all" ? undefined : placesOf(kept.subarray(at, at + rows.cols), of === "kept" ? 1 : 0);
        await withScratch(kernels, (alloc) => {
          const out = matrix(n, n, alloc(n * n, "f32"));
          if (wanted) {
            const some = matrix(n, wanted.length, alloc(n * wanted.length, "f32"));
            kernels.gatherColumns(rows, wanted, some);
            kernels.gram({ a: some, out });
          } else kernels.gram({ a: rows, out });
          sum.set(out.data);
        });
      }),
    product(of) {
      const except = new Set(of.of === "others" ? own(of.except) : []);
      const value = (j: number): number => {
        if (of.of === "dense") return w0[j]!;
        if (of.of === "shared") return Math.min(1, Math.max(0, (V[j]! ** 2 - of.threshold) / of.width)) * V[j]!;
        if (kept[j] === 0 || except.has(j)) return 0;
        return of.of === "kept" ? V[j]! : w0[j]!;
      };
      const [x, out] = [new Float32Array(Math.min(spec.panel, size)), new Float32Array(n)];
      return sumOver(n + 2, ({ at, rows }, sum) => {
        const part = x.subarray(0, rows.cols);
        let [distance, square] = [0, 0];
        for (let j = 0; j < rows.cols; j++) {
          part[j] = value(at + j);
          distance += (part[j]! - w0[at + j]!) ** 2;
          square += w0[at + j]! ** 2;
        }
        kernels.gemv({ a: rows, x: part, out });
        sum.set(out);
        sum[n] = distance;
        sum[n + 1] = square;
      });
    },
    async setWeights(s) {
      dV.fill(0);
      await transposed(s, (j, product) => {
        V[j] = w0[j]! - product;
      });
    },
    setDirection: (s) =>
      transposed(s, (j, product) => {
        dV[j] = -product;
      }),
    async move(step) {
      for (let j = 0; j < size; j++) V[j] = V[j]! + step * dV[j]!;
    },
    async countShares({ step, threshold, width }) {
      return sumPlaces(4, (sum, from, to) => {
        let [shares, between, value, slope] = [0, 0, 0, 0];
        for (let j = from; j < to; j++) {
          const moved = V[j]! + step * dV[j]!;
          const q = moved * moved;
          if (q <= threshold) continue;
          const z = Math.min(1, (q - threshold) / width);
          shares += z;
          if (z < 1) between += 1;
          value += z * q - 0.5 * width * z * z;
          slope += z * moved * dV[j]!;
        }
        sum.set([shares, between, value, slope]);
      });
    },
    async largestSquare(step) {
      let most = 0;
      for (let j = 0; j < size; j++) most = Math.max(most, (V[j]! + step * dV[j]!) ** 2);
      return most;
    },
    async histogram({ shift, within }) {
      const counts = new Uint32Array(within === undefined ? 2048 : 1024);
      for (let j = 0; j < size; j++) {
        const upper = bits(j) >>> shift;
        if (within === undefined) counts[upper]!++;
        else if (upper >>> 10 === within) counts[upper & 1023]!++;
      }
      return counts;
    },
    async squaresAbove(least) {
      return sumPlaces(1, (sum, from, to) => {
        for (let j = from; j < to; j++) if (bits(j) > least) sum[0]! += V[j]! ** 2;
      });
    },
    async keep({ bits: least, ties }) {
      let left = ties;
      for (let j = 0; j < size; j++) {
        const isTie = bits(j) === least && left > 0;
        if (isTie) left--;
        kept[j] = bits(j) > least || isTie ? 1 : 0;
      }
    },
    async extremes(count) {
      const score = new Float32Array(size);
      const best = (of: 0 | 1): Places => {
        for (let j = 0; j < size; j++) {
          score[j] = kept[j] !== of ? Number.NEGATIVE_INFINITY : of === 1 ? -Math.abs(V[j]!) : Math.abs(V[j]!);
        }
        const found = kernels.largest(score, Math.min(count, size)).filter((j) => kept[j] === of);
        return { columns: found.map((j) => start + j), values: Float64Array.from(found, (j) => Math.abs(V[j]!)) };
      };
      return { kept: best(1), pruned: best(0) };
    },
    async gather(columns) {
      const places = own(columns);
      return {
        columns: Uint32Array.from(places, (j) => start + j),
        values: Float64Array.from(places, (j) => w0[j]!),
        rows: await panels.columns(places),
      };
    },
    async swap({ into, out }) {
      for (const j of own(into)) kept[j] = 1;
      for (const j of own(out)) kept[j] = 0;
    },
    async set({ columns, values }) {
      columns.forEach((column, s) => {
        if (column >= start && column < start + size) V[column - start] = values[s]!;
      });
    },
    async result() {
      const weights = new Float32Array(size);
      for (let j = 0; j < size; j++) weights[j] = kept[j] === 1 ? V[j]! : 0;
      return { weights, mask: kept.slice() };
    },
  };
}

function placesOf(kept: Uint8Array, wanted: 0 | 1): Uint32Array {
  let count = 0;
  for (const one of kept) if (one === wanted) count++;
  const found = new Uint32Array(count);
  let place = 0;
  for (let j = 0; j < kept.length; j++) if (kept[j] === wanted) found[place++] = j;
  return found;
}
