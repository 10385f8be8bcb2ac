/**
 * The first greedy removals and additions of a row, and what each changes Q by: what it offers to the other rows of its layer. With A, C, w and e of the
 * tableau, every kept weight p that goes changes
 *   A_xy -= A_xp A_py / A_pp,  w_x -= A_xp w_p / A_pp,
 * and every pruned weight q that comes
 *   C_xy -= C_xq C_qy / C_qq,  e_x -= C_xq e_q / C_qq.
 * Only the columns of these few weights are made, from the tableau and the columns before.
 */
import { type RowTableau, rowOfC } from "./row-tableau.ts";

/** Moves of one kind in a row, one after the other, and what each changes Q by in absolute value. */
export interface RowCurve {
  /** Columns, in order. */
  readonly columns: Uint32Array;
  /** Costs of removals or gains of additions. */
  readonly values: Float64Array;
}

/** The first `depth` removals, the cheapest first. O(depth k). */
export function removalsOf({ S, A, w }: RowTableau, depth: number): RowCurve {
  const k = S.length;
  return greedy(S, {
    depth,
    isBetter: (price, best) => price < best,
    worst: Number.POSITIVE_INFINITY,
    values: w,
    diagonal: Float64Array.from(S, (_, s) => A[s * k + s]!),
    columnOf: (s) => Float64Array.from(A.subarray(s * k, (s + 1) * k)),
  });
}

/** The first `depth` additions, the largest gains first; of `eligible` weights [cols] only. O(depth k m). */
export function additionsOf(tableau: RowTableau, depth: number, eligible?: Uint8Array): RowCurve {
  const { N, c, e } = tableau;
  return greedy(N, {
    depth,
    isBetter: (price, best) => price > best,
    worst: 0,
    values: e,
    diagonal: c,
    mayMove: (t) => eligible?.[N[t]!] !== 0,
    columnOf: (t) => rowOfC(tableau, t),
  });
}

interface Moves {
  readonly depth: number;
  isBetter(price: number, best: number): boolean;
  /** A price that any move is better than. */
  readonly worst: number;
  /** Weights, or slopes, by slot. */
  readonly values: Float64Array;
  readonly diagonal: Float64Array;
  mayMove?(slot: number): boolean;
  /** Of the matrix as it is in the tableau. */
  columnOf(slot: number): Float64Array;
}

function greedy(slots: Uint32Array, moves: Moves): RowCurve {
  const { depth, isBetter, worst, mayMove, columnOf } = moves;
  const [v, diagonal] = [moves.values.slice(), moves.diagonal.slice()];
  const done: {
    readonly slot: number;
    readonly column: Float64Array;
    readonly pivot: number;
    readonly price: number;
  }[] = [];
  const isDone = new Uint8Array(slots.length);
  while (done.length < depth) {
    let [slot, price] = [-1, worst];
    for (let x = 0; x < slots.length; x++) {
      if (isDone[x] === 1 || mayMove?.(x) === false) continue;
      const own = (0.5 * v[x]! * v[x]!) / diagonal[x]!;
      if (isBetter(own, price)) [slot, price] = [x, own];
    }
    if (slot < 0) break;
    const column = columnOf(slot);
    for (const before of done) {
      const share = before.column[slot]! / before.pivot;
      for (let x = 0; x < column.length; x++) column[x]! -= share * before.column[x]!;
    }
    const pivot = diagonal[slot]!;
    const value = v[slot]! / pivot;
    for (let x = 0; x < column.length; x++) {
      v[x]! -= column[x]! * value;
      diagonal[x]! -= column[x]! ** 2 / pivot;
    }
    isDone[slot] = 1;
    done.push({ slot, column, pivot, price });
  }
  return {
    columns: Uint32Array.from(done, ({ slot }) => slots[slot]!),
    values: Float64Array.from(done, ({ price }) => price),
  };
}
