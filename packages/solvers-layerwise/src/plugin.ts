import { definePlugin, defineSaliency, defineSelector, defineSolver, defineUpdater, type Plugin } from "@secateur/core";
import { z } from "zod";
import { defaults } from "./defaults.ts";
import { alps } from "./methods/alps.ts";
import { dsnot, dsnotSelector } from "./methods/dsnot.ts";
import { layerwise } from "./methods/layerwise.ts";
import { obc } from "./methods/obc.ts";
import { sparseGpt } from "./methods/sparse-gpt.ts";
import { sparseSwaps, sparseSwapsSelector } from "./methods/sparse-swaps.ts";
import { rowRefit } from "./methods/updater.ts";
import { wanda, wandaSaliency } from "./methods/wanda.ts";

const references = {
  obc: "Frantar and Alistarh, Optimal Brain Compression, NeurIPS 2022",
  sparseGpt: "Frantar and Alistarh, SparseGPT, ICML 2023",
  wanda: "Sun et al., A simple and effective pruning approach for large language models, ICLR 2024",
  alps: "Meng et al., ALPS, NeurIPS 2024",
  dsnot: "Zhang et al., Dynamic Sparse No Training, ICLR 2024",
  sparseSwaps: "Zimmer et al., SparseSwaps, arXiv 2512.10922, 2025",
};

const admm = {
  damping: z
    .number()
    .min(0)
    .default(defaults.alps.damping)
    .describe("added to the diagonal of H while ADMM searches the support, as a fraction of its mean"),
  rho: z
    .number()
    .positive()
    .default(defaults.alps.rho)
    .describe("first penalty of ADMM, on H scaled to a unit diagonal"),
  iterations: z.int().min(1).default(defaults.alps.iterations).describe("steps of ADMM at most"),
};

const swapWork = {
  mostWork: z
    .number()
    .positive()
    .default(defaults.sparseswaps.mostWork)
    .describe("pairs of weights that swaps may look at; rows of larger layers make fewer swaps"),
};

/** The plugin manifest of this package. */
const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/solvers-layerwise",
  entries: [
    defineSolver({
      name: "layerwise",
      summary: "a layer at a time: ALPS's or OBC's support, swaps priced with the re-fit, exact re-fit",
      reference: `${references.alps}; ${references.obc}`,
      explanation:
        "Starts from the better of ALPS's and OBC's support, swaps kept and pruned weights of a row as long as that lowers its error with all kept weights re-fitted, lets weights change rows where the layer has one budget, and re-fits every row exactly.",
      options: z.strictObject({
        start: z
          .enum(["best", "alps", "obc"])
          .default(defaults.layerwise.start)
          .describe("support to start from; best: of lower error after the re-fit"),
        exchanges: z.int().min(0).default(defaults.layerwise.exchanges).describe("times that weights may change rows"),
        mostWork: z
          .number()
          .min(0)
          .default(defaults.layerwise.mostWork)
          .describe("multiply-adds that swaps may cost; larger layers keep the support of the start"),
        boundSteps: z
          .int()
          .min(0)
          .default(defaults.layerwise.boundSteps)
          .describe("steps towards a lower bound on the error; 0: no bound"),
        ...admm,
      }),
      create: layerwise,
    }),
    defineSolver({
      name: "obc",
      summary: "Optimal Brain Compression: rows lose weights one by one, all others re-fitted",
      reference: references.obc,
      explanation:
        "ExactOBS: of every row the weight goes whose removal costs least with all others re-fitted, and so on; the layer's budget takes the cheapest removals of all rows.",
      options: z.strictObject({
        mostWork: z
          .number()
          .positive()
          .default(defaults.obc.mostWork)
          .describe("multiply-adds that the traces may cost; larger layers are traced in blocks of columns"),
      }),
      create: obc,
    }),
    defineSolver({
      name: "alps",
      summary: "ADMM on the layer's least squares with a budget, then the exact re-fit",
      reference: references.alps,
      explanation:
        "Brings dense weights and sparse weights together by ADMM with a growing penalty; the support that is left is re-fitted. Takes any budget over any units.",
      options: z.strictObject(admm),
      create: alps,
    }),
    defineSolver({
      name: "sparsegpt",
      summary: "columns from left to right, each error sent into the columns behind it",
      reference: references.sparseGpt,
      explanation:
        "One pass over the columns in blocks: the mask of a block is chosen when it begins, removed weights are made up for by the columns behind. Fast, and further from the optimum than obc and alps.",
      options: z.strictObject({
        blockSize: z
          .int()
          .min(1)
          .default(defaults.sparsegpt.blockSize)
          .describe("columns whose mask is chosen together"),
        damping: z
          .number()
          .min(0)
          .default(defaults.sparsegpt.damping)
          .describe("added to the diagonal of H, as a fraction of its mean"),
      }),
      create: sparseGpt,
    }),
    defineSolver({
      name: "wanda",
      summary: "keep the largest |w| times the norm of the input, row by row, as they are",
      reference: references.wanda,
      options: z.strictObject({
        rows: z
          .enum(["equal", "free"])
          .default(defaults.wanda.rows)
          .describe("equal: every row keeps the same number, as published; free: the best of the layer stay"),
      }),
      create: wanda,
    }),
    defineSolver({
      name: "sparseswaps",
      summary: "Wanda's mask, improved by swaps with weights as they are",
      reference: references.sparseSwaps,
      options: z.strictObject(swapWork),
      create: sparseSwaps,
    }),
    defineSolver({
      name: "dsnot",
      summary: "Wanda's mask, swapped until the expected change of every output is near 0, weights as they are",
      reference: references.dsnot,
      options: z.strictObject({}),
      create: () => dsnot(),
    }),
    defineSaliency({
      name: "wanda",
      summary: "w^2 times the squared norm of the input",
      reference: references.wanda,
      options: z.strictObject({}),
      create: () => wandaSaliency,
    }),
    defineSelector({
      name: "sparseswaps",
      summary: "the mask of sparseswaps",
      reference: references.sparseSwaps,
      options: z.strictObject(swapWork),
      create: sparseSwapsSelector,
    }),
    defineSelector({
      name: "dsnot",
      summary: "the mask of dsnot",
      reference: references.dsnot,
      options: z.strictObject({}),
      create: () => dsnotSelector,
    }),
    defineUpdater({
      name: "layerwise",
      summary: "the exact re-fit of every row on its support",
      reference: references.obc,
      options: z.strictObject({}),
      create: () => rowRefit,
    }),
  ],
});
export default plugin;
