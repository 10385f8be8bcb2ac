/** What the layer-wise methods do where an option is left out: their functions and their schema read it here. */
export const defaults = {
  alps: { damping: 0.01, rho: 0.1, iterations: 300 },
  obc: { mostWork: 2e11 },
  layerwise: { start: "best", exchanges: 4, mostWork: 1e10, boundSteps: 0 },
  sparsegpt: { blockSize: 128, damping: 0.01 },
  sparseswaps: { mostWork: 1e11 },
  wanda: { rows: "equal" },
  allocation: { mostWork: 3.3e9 },
  evolution: { generations: 20, offspring: 4 },
  blocks: { epochs: 8, rate: 0.05, batchSize: 4 },
} as const;
