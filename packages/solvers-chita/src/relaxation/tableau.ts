/**
 * Swaps between kept and pruned weights on a small pool, with exact gains. For a symmetric positive definite B [c, c] and
 * b [c] the pool's problem is min over supports of x'Bx - 2 b'x. Sweeping the bordered matrix T = [[B, b], [b', 0]] on an
 * index (Goodnight 1979, "A tutorial on the SWEEP operator") adds it to the support or takes it out; then
 *   kept i:   T_ii = -1 / (cost of removal per x_i^2), T_ic = x_i;    pruned j: T_jj = Schur complement, T_jc = residual;
 *   T_cc = min of the objective on the support.
 * Swapping kept i for pruned j changes it by  x_i^2 / D_i - (r_j + T_ij x_i / D_i)^2 / (T_jj + T_ij^2 / D_i),  D_i = -T_ii.
 * The search takes the best swap even when it is uphill (tabu search, Glover 1989) and remembers the best support seen.
 */

/** A pool's support and its objective. */
export interface PoolSupport {
  readonly value: number;
  /** 1 = kept, per pool member. */
  readonly kept: Uint8Array;
}

/** Limits of a search. */
export interface SearchOptions {
  /** Swaps during which a swapped weight stays put. */
  readonly tenure: number;
  /** Swaps that are not downhill before giving up; counted anew at every new best. */
  readonly misses: number;
  /** Swaps in all. */
  readonly maxSwaps: number;
  /** 1 = stays as it is, a member each; default: none. */
  readonly fixed?: Uint8Array;
}

/** A swept tableau of c pool members. */
export class Tableau {
  /** [c + 1, c + 1] row-major, symmetric; only what is on and below the diagonal is read and kept up to date. */
  readonly #T: Float64Array;
  readonly #width: number;
  readonly kept: Uint8Array;

  /**
   * Swept on what is kept already; both arrays are kept and changed.
   *
   * @param T - [c + 1, c + 1] row-major, on and below the diagonal; the value in its corner may count from anywhere
   * @param kept - [c]
   */
  constructor(T: Float64Array, kept: Uint8Array) {
    this.#T = T;
    this.#width = kept.length + 1;
    this.kept = kept;
  }

  /** The tableau of some members (ascending), all others staying as they are. */
  part(members: Uint32Array): Tableau {
    const width = members.length + 1;
    const T = new Float64Array(width ** 2);
    const wanted = Uint32Array.from([...members, this.#width - 1]);
    for (let r = 0; r < width; r++) {
      for (let s = 0; s <= r; s++) T[r * width + s] = this.#T[wanted[r]! * this.#width + wanted[s]!]!;
    }
    return new Tableau(
      T,
      Uint8Array.from(members, (i) => this.kept[i]!),
    );
  }

  /** The least objective on the support. */
  get value(): number {
    return this.#T[this.#T.length - 1]!;
  }

  /** x_i of a kept member. */
  weight(i: number): number {
    return this.#T[(this.#width - 1) * this.#width + i]!;
  }

  /** T_ii: minus D_i of a kept member, the Schur complement of a pruned one. */
  pivot(i: number): number {
    return this.#T[i * this.#width + i]!;
  }

  /** Adds member i to the support, or takes it out. O(c^2). */
  flip(i: number): void {
    const T = this.#T;
    const width = this.#width;
    const pivot = T[i * width + i]!;
    const row = new Float64Array(width);
    for (let c = 0; c < width; c++) row[c] = T[c <= i ? i * width + c : c * width + i]!;
    for (let r = 0; r < width; r++) {
      const factor = row[r]! / pivot;
      if (r === i || factor === 0) continue;
      const start = r * width;
      for (let c = 0; c <= r; c++) T[start + c]! -= factor * row[c]!;
    }
    const sign = this.kept[i] === 1 ? -1 : 1;
    for (let c = 0; c < width; c++) T[c <= i ? i * width + c : c * width + i] = (sign * row[c]!) / pivot;
    T[i * width + i] = -1 / pivot;
    this.kept[i] = this.kept[i] === 1 ? 0 : 1;
  }

  /** Swaps until nothing helps any more; returns the best support seen. O(c^2) a swap. */
  search(options: SearchOptions): PoolSupport & { readonly swaps: number } {
    const until = new Int32Array(this.kept.length);
    options.fixed?.forEach((bit, i) => {
      if (bit === 1) until[i] = options.maxSwaps;
    });
    const keptCount = this.kept.reduce((sum, bit) => sum + bit, 0);
    const smaller = Math.min(keptCount, this.kept.length - keptCount);
    const tenure = Math.min(options.tenure, Math.max(0, Math.floor((smaller - 1) / 2)));
    let best: PoolSupport = { value: this.value, kept: this.kept.slice() };
    let missed = 0;
    let swaps = 0;
    while (swaps < options.maxSwaps) {
      const swap = this.#bestSwap(until, swaps);
      if (!swap) break;
      // Gains below this are rounding of the swept tableau.
      const noise = 1e-9 * Math.abs(best.value);
      if (swap.change >= -noise && ++missed > options.misses) break;
      this.flip(swap.out);
      this.flip(swap.into);
      swaps++;
      until[swap.out] = swaps + tenure;
      until[swap.into] = swaps + tenure;
      if (this.value < best.value - noise) {
        best = { value: this.value, kept: this.kept.slice() };
        missed = 0;
      }
    }
    return { ...best, swaps };
  }

  #bestSwap(until: Int32Array, now: number): { out: number; into: number; change: number } | undefined {
    const T = this.#T;
    const width = this.#width;
    const last = width - 1;
    let best: { out: number; into: number; change: number } | undefined;
    for (let i = 0; i < last; i++) {
      if (this.kept[i] === 0 || until[i]! > now) continue;
      const cost = -T[i * width + i]!;
      // Rounding has eaten it.
      if (!(cost > 0)) continue;
      const x = T[last * width + i]!;
      const removal = (x * x) / cost;
      for (let j = 0; j < last; j++) {
        if (this.kept[j] === 1 || until[j]! > now) continue;
        const cross = T[j < i ? i * width + j : j * width + i]!;
        const residual = T[last * width + j]! + (cross * x) / cost;
        const change = removal - (residual * residual) / (T[j * width + j]! + (cross * cross) / cost);
        if (best === undefined || change < best.change) best = { out: i, into: j, change };
      }
    }
    return best;
  }
}
