/** What the Brain Surgeons do where an option is left out: their functions and their schema read it here. */
export const defaults = {
  obs: { rounds: 8 },
  cbs: {
    /** Chosen on held-out training images of MNIST, flat from 12 to 24. */
    steps: 12,
    draws: 0,
    starts: 1,
  },
  search: { search: "best", pool: 256, rounds: 60, worthwhile: 0.002, epsilon: 1e-7, window: 10, misses: 20 },
  update: { update: "joint", form: "auto", blockSize: "network" },
  inverse: { blockSize: "auto" },
} as const;
