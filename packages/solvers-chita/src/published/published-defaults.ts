/** What the published methods do where an option is left out: their functions and their schema read it here. */
export const publishedDefaults = {
  iht: { maxIterations: 200, tolerance: 1e-5 },
  cd: { maxSweeps: 80, tolerance: 1e-7, residual: "exact" },
  block: { blockSize: 2000 },
  bso: { form: "auto" },
} as const;
