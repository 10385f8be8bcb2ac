/**
 * Swaps between pruned and kept units (weights, or groups of them) on a pool, for the combinatorial objective of the Combinatorial Brain Surgeon,
 *   f(P) = w_P' H w_P = sum over i, j in P of B_ij,   B_ij = w_i' H_ij w_j                  (Yu et al., ICML 2022, section 4)
 * With v_x = w_x (H w_P)_x, for pruned i and kept j:
 *   alpha_i = 2 v_i - B_ii   what restoring i gains,     beta_j = 2 v_j + B_jj   what pruning j costs,
 *   gamma_ij = 2 B_ij,       f falls by alpha_i - beta_j + gamma_ij when they swap.
 * A swap changes v by B_.j - B_.i, so that all gains stay exact at O(c) a swap.
 */

/** A pool of c weights. */
export interface SwapPool {
  /** B [c, c] row-major, symmetric */
  readonly B: Float64Array;
  /** v [c]; changed by swaps */
  readonly v: Float64Array;
  /** 1 = pruned; changed by swaps */
  readonly pruned: Uint8Array;
}

/** What a search did to a pool. */
export interface SwapOutcome {
  readonly swaps: number;
  /** By how much f fell. */
  readonly gain: number;
}

/** Whether kept `into` may be pruned for pruned `out` to come back, as the pool is now; both are places in it. */
export type MaySwap = (out: number, into: number) => boolean;

/** alpha of a pruned, beta of a kept member. */
function swapTerm({ B, v, pruned }: SwapPool, x: number): number {
  const own = B[x * v.length + x]!;
  return pruned[x] === 1 ? 2 * v[x]! - own : 2 * v[x]! + own;
}

/** By how much f falls when pruned i comes back and kept j goes. */
export function swapGain(pool: SwapPool, i: number, j: number): number {
  return swapTerm(pool, i) - swapTerm(pool, j) + 2 * pool.B[i * pool.v.length + j]!;
}

/** Swaps pruned i and kept j. O(c). */
export function swap({ B, v, pruned }: SwapPool, i: number, j: number): void {
  const c = v.length;
  for (let x = 0; x < c; x++) v[x]! += B[j * c + x]! - B[i * c + x]!;
  pruned[i] = 0;
  pruned[j] = 1;
}

/**
 * Takes the best swap of all until none gains more than `least`: beyond the paper, which passes once through sorted lists.
 * O(c^2) a swap.
 */
export function swapBest(
  pool: SwapPool,
  options: { least: number; maxSwaps: number; allowed: () => MaySwap },
): SwapOutcome {
  const { B, v, pruned } = pool;
  const c = v.length;
  const terms = new Float64Array(c);
  let [swaps, gain] = [0, 0];
  while (swaps < options.maxSwaps) {
    for (let x = 0; x < c; x++) terms[x] = swapTerm(pool, x);
    const allows = options.allowed();
    let [best, out, into] = [options.least, -1, -1];
    for (let i = 0; i < c; i++) {
      if (pruned[i] === 0) continue;
      for (let j = 0; j < c; j++) {
        if (pruned[j] === 1) continue;
        const value = terms[i]! - terms[j]! + 2 * B[i * c + j]!;
        if (value > best && allows(i, j)) [best, out, into] = [value, i, j];
      }
    }
    if (out < 0) break;
    swap(pool, out, into);
    gain += best;
    swaps++;
  }
  return { swaps, gain };
}

/**
 * One pass of the published CBS-S: pruned members by descending alpha, kept ones by ascending beta - gamma with the first of
 * them; each pruned one takes the best of the next `window` kept ones not taken yet, with the corrections of the swaps so far,
 * if that gains at least `least`. Ends after `misses` that found none, or when the first pair finds none.
 */
export function swapPass(
  pool: SwapPool,
  options: { least: number; window: number; misses: number; allowed: () => MaySwap },
): SwapOutcome {
  const c = pool.v.length;
  const members = Array.from({ length: c }, (_, x) => x);
  const terms = members.map((x) => swapTerm(pool, x));
  const outs = members.filter((x) => pool.pruned[x] === 1).sort((a, b) => terms[b]! - terms[a]! || a - b);
  const first = outs[0];
  if (first === undefined) return { swaps: 0, gain: 0 };
  const order = (j: number): number => terms[j]! - 2 * pool.B[first * c + j]!;
  const waiting = members.filter((x) => pool.pruned[x] === 0).sort((a, b) => order(a) - order(b) || a - b);
  let [swaps, gain, missed] = [0, 0, 0];
  let allows = options.allowed();
  for (const i of outs) {
    let [best, place] = [-Infinity, -1];
    for (let s = 0; s < Math.min(options.window, waiting.length); s++) {
      const value = swapGain(pool, i, waiting[s]!);
      if (value > best && allows(i, waiting[s]!)) [best, place] = [value, s];
    }
    if (place < 0 || best < options.least || best <= 0) {
      missed++;
      if (swaps === 0 || missed >= options.misses) break;
      continue;
    }
    swap(pool, i, waiting[place]!);
    waiting.splice(place, 1);
    allows = options.allowed();
    gain += best;
    swaps++;
  }
  return { swaps, gain };
}
