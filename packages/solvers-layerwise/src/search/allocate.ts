/**
 * How many weights each row loses: minimise the sum of C_r(m_r), C_r(m) the loss after m removals of a row's trace, over
 * numbers with sum M. Greedy OBC sorts the single losses (Frantar and Alistarh 2022, section 4); departure: where a loss is
 * smaller than the one before it (a weight that only became cheap because another went), the two count as one step of their
 * mean, the slope of the largest convex function below C_r, so that what is cheap later is not taken without what opens it.
 * The M smallest slopes of all rows are found by sorting numbers: 16 bytes a weight.
 */

/** The trace of a row. */
export interface RowLosses {
  /** Losses of the removals, in order. */
  readonly losses: Float64Array;
  /** Removals that have to be made in any case. */
  readonly least?: number;
}

/** Removals of each row, `total` in all (as many as there are when that is less); ties go to the first rows. */
export function allocateRemovals(rows: readonly RowLosses[], total: number): Uint32Array {
  const slopes = rows.map(({ losses, least = 0 }) => convexSlopes(losses.subarray(least)));
  const forced = rows.reduce((sum, { least = 0 }) => sum + least, 0);
  const taken = smallestOf(slopes, Math.max(0, total - forced));
  return taken.map((count, r) => count + (rows[r]!.least ?? 0));
}

/**
 * How many of the `count` smallest numbers of all lists are in each. Lists rise, so that these are the first of each; ties go to the first lists.
 */
export function smallestOf(lists: readonly Float64Array[], count: number): Uint32Array {
  const size = lists.reduce((sum, { length }) => sum + length, 0);
  if (count >= size) return Uint32Array.from(lists, ({ length }) => length);
  const all = new Float64Array(size);
  let start = 0;
  for (const list of lists) {
    all.set(list, start);
    start += list.length;
  }
  const limit = all.sort()[count]!;
  const taken = Uint32Array.from(lists, (list) => countUpTo(list, (value) => value < limit));
  let left = count - taken.reduce((sum, some) => sum + some, 0);
  for (const [r, list] of lists.entries()) {
    const ties = Math.min(left, countUpTo(list, (value) => value <= limit) - taken[r]!);
    taken[r]! += ties;
    left -= ties;
  }
  return taken;
}

/** How many numbers at the beginning of a rising list pass: binary search. */
function countUpTo(list: Float64Array, passes: (value: number) => boolean): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (passes(list[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** For every removal the slope of the largest convex function below the sums of `losses` (pool adjacent violators); rising. */
export function convexSlopes(losses: Float64Array): Float64Array {
  const slopes = new Float64Array(losses.length);
  const counts = new Uint32Array(losses.length);
  let pools = 0;
  for (const loss of losses) {
    let [sum, count] = [loss, 1];
    while (pools > 0 && slopes[pools - 1]! * count > sum * counts[pools - 1]!) {
      pools--;
      sum += slopes[pools]!;
      count += counts[pools]!;
    }
    slopes[pools] = sum;
    counts[pools++] = count;
  }
  // From the last pool back, so that sums are read before they are written over.
  for (let p = pools - 1, end = losses.length; p >= 0; p--) {
    const start = end - counts[p]!;
    slopes.fill(slopes[p]! / counts[p]!, start, end);
    end = start;
  }
  return slopes;
}
