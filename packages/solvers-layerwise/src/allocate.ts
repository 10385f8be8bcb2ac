/**
 * How many weights each row loses: minimise the sum of C_r(m_r), C_r(m) the loss after m removals of a row's trace, over
 * numbers with sum M. Greedy OBC sorts the single losses (Frantar and Alistarh 2022, section 4); departure: where a loss is
 * smaller than the one before it (a weight that only became cheap because another went), the two count as one step of their
 * mean, the slope of the largest convex function below C_r, so that what is cheap later is not taken without what opens it.
 */

/** Traces of any number of rows, of one layer or several. */
export interface RowLosses {
  /** Losses of the removals, in order. */
  readonly losses: Float64Array;
  /** Removals that have to be made in any case. */
  readonly least?: number;
}

/**
 * Removals of each row, `total` in all (as many as there are when that is less).
 *
 * @param rows - one trace a row
 * @param scaleOf - what the losses of a row are multiplied by; default 1
 */
export function allocateRemovals(
  rows: readonly RowLosses[],
  total: number,
  scaleOf: (row: number) => number = () => 1,
): Uint32Array {
  const steps: { readonly row: number; readonly order: number; readonly count: number; readonly slope: number }[] = [];
  const taken = new Uint32Array(rows.length);
  let left = total;
  rows.forEach(({ losses, least = 0 }, row) => {
    taken[row] = least;
    left -= least;
    slopesOf(losses.subarray(least)).forEach(({ count, slope }, order) => {
      steps.push({ row, order, count, slope: slope * scaleOf(row) });
    });
  });
  // A row's own slopes rise, so its steps are taken in order.
  steps.sort((a, b) => a.slope - b.slope || a.row - b.row || a.order - b.order);
  for (const { row, count } of steps) {
    if (left <= 0) break;
    const some = Math.min(count, left);
    taken[row]! += some;
    left -= some;
  }
  return taken;
}

/** The slopes of the largest convex function below the sums of `losses` (pool adjacent violators). */
export function slopesOf(losses: Float64Array): readonly { readonly count: number; readonly slope: number }[] {
  const pools: { count: number; sum: number }[] = [];
  for (const loss of losses) {
    let pool = { count: 1, sum: loss };
    for (let last = pools.at(-1); last && last.sum * pool.count >= pool.sum * last.count; last = pools.at(-1)) {
      // Equal slopes stay apart, so that a budget can end between them.
      if (last.sum * pool.count === pool.sum * last.count) break;
      pools.pop();
      pool = { count: pool.count + last.count, sum: pool.sum + last.sum };
    }
    pools.push(pool);
  }
  return pools.map(({ count, sum }) => ({ count, slope: sum / count }));
}
