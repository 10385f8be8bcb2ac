/** What chita does where an option is left out: its function, its schema and its parts read the numbers here. */
export const chitaDefaults: {
  /** On the relaxation; see {@link effortFor}. */
  readonly iterations: number;
  /** Swap candidates of each kind; see {@link effortFor}. */
  readonly pool: number;
  /** Sweeps of swaps. */
  readonly rounds: number;
  /** Gradient rows up to which the row-space method is used. */
  readonly maxRows: number;
} = { iterations: 20, pool: 64, rounds: 4, maxRows: 2048 };

/** How hard the relaxation and the swaps try. */
export interface Effort {
  readonly iterations: number;
  readonly pool: number;
  /** An iteration on the relaxation that gains less than this fraction of all that was gained is the last. */
  readonly leastGain: number;
}

/** Gradient rows up to which the plain numbers do, and what takes their place beyond. */
export const manyRows: {
  readonly from: number;
  readonly iterations: number;
  /** For every so many rows the pool has a member of each kind. */
  readonly rowsPerMember: number;
  readonly leastGain: number;
} = { from: 1024, iterations: 60, rowsPerMember: 16, leastGain: 1e-4 };

/**
 * For n gradient rows. About n / 6 weights are undecided in the relaxation, and there is more of a gap to close the more they are; the n^3 of factorisations grows
 * faster than an iteration or a swap, so that more of both cost a smaller part of the whole.
 */
export function effortFor(rows: number): Effort {
  const { iterations, pool } = chitaDefaults;
  if (rows <= manyRows.from) return { iterations, pool, leastGain: 3e-4 };
  const { rowsPerMember, ...more } = manyRows;
  return { iterations: more.iterations, pool: Math.ceil(rows / rowsPerMember), leastGain: more.leastGain };
}
