/** What the solvers of groups do where an option is left out: their functions and their schema read it here. */
export const defaults = {
  osscar: { looks: 128, swaps: 100, pool: 64 },
  structuredObs: { rounds: 4 },
  taylor: { power: 1 },
} as const;
