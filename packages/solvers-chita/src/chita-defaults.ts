/** What chita does where an option is left out: its function, its schema and its parts read the numbers here. */
export const chitaDefaults: {
  /** On the relaxation. */
  readonly iterations: number;
  /** Swap candidates of each kind. */
  readonly pool: number;
  /** Sweeps of swaps. */
  readonly rounds: number;
  /** Gradient rows up to which the row-space method is used. */
  readonly maxRows: number;
} = { iterations: 20, pool: 64, rounds: 4, maxRows: 2048 };
