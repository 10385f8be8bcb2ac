import { definePlugin, defineSelector, defineSolver, defineUpdater, type Plugin, selectorFrom } from "@secateur/core";
import { z } from "zod";
import { cbs, cbsSelector } from "./cbs/cbs.ts";
import { defaults } from "./defaults.ts";
import { obd, obdSaliency } from "./obs/obd.ts";
import { obs } from "./obs/obs.ts";
import { jointUpdater, singleUpdater, woodfisher, woodfisherSelector } from "./obs/woodfisher.ts";

const references = {
  obd: "LeCun, Denker, Solla: Optimal Brain Damage, NeurIPS 1990",
  obs: "Hassibi, Stork: Second order derivatives for network pruning: Optimal Brain Surgeon, NeurIPS 1993",
  woodfisher:
    "Singh, Alistarh: WoodFisher: Efficient Second-Order Approximation for Neural Network Compression, NeurIPS 2020",
  cbs: "Yu, Serra, Ramalingam, Zhe: The Combinatorial Brain Surgeon: Pruning Weights That Cancel One Another in Neural Networks, ICML 2022",
} as const;

const inverseBlocks = z
  .union([z.int().min(1), z.enum(["auto", "layer", "network"])])
  .default(defaults.inverse.blockSize)
  .describe("weights a block of the inverse; auto: the whole network up to 2048 gradient rows, else 1000");
const updateBlocks = z
  .union([z.int().min(1), z.enum(["layer", "network"])])
  .default(defaults.update.blockSize)
  .describe("weights a block of the update: entries of the curvature between blocks count as zero");
const form = z
  .enum(["auto", "primal", "dual", "cg"])
  .default(defaults.update.form)
  .describe("how the update is solved: k x k or n x n Cholesky, conjugate gradients, or the cheapest");
const search = {
  search: z
    .enum(["best", "published"])
    .default(defaults.search.search)
    .describe("best: the best swap of the pool, again and again; published: one pass with window and misses a round"),
  pool: z.int().min(1).default(defaults.search.pool).describe("swap candidates of each kind, kept and pruned"),
  rounds: z.int().min(0).default(defaults.search.rounds).describe("rounds of swaps at most"),
  worthwhile: z
    .number()
    .min(0)
    .default(defaults.search.worthwhile)
    .describe("a round that gains less than this fraction of all gains so far is the last"),
  epsilon: z
    .number()
    .min(0)
    .default(defaults.search.epsilon)
    .describe("least gain of a swap, as a fraction of the objective"),
  window: z
    .int()
    .min(1)
    .default(defaults.search.window)
    .describe("published search: kept candidates a pruned weight looks at"),
  misses: z
    .int()
    .min(1)
    .default(defaults.search.misses)
    .describe("published search: pruned weights that may find none"),
  start: z
    .enum(["magnitude", "saliency"])
    .optional()
    .describe(
      "what the first start keeps: the largest |w|, as published and usual in one step, or the largest H_jj w_j^2 (of groups w'Hw, or for small ones the sum of H_jj w_j^2), usual in several",
    ),
  draws: z.int().min(0).default(defaults.cbs.draws).describe("random magnitude partitions beside the magnitude start"),
  starts: z.int().min(1).default(defaults.cbs.starts).describe("how many of the best starts are searched from"),
};

/** The plugin manifest of this package. */
const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/solvers-obs-cbs",
  entries: [
    defineSolver({
      name: "obd",
      summary: "keep the weights of largest 1/2 H_jj w_j^2, as they are",
      reference: references.obd,
      explanation:
        "Takes the curvature as diagonal: removing weight j costs 1/2 H_jj w_j^2 and leaves the others alone. As cheap as magnitude pruning but for one pass of gradients.",
      options: z.strictObject({}),
      create: () => obd(),
    }),
    defineSolver({
      name: "obs",
      summary: "Optimal Brain Surgeon in rounds: saliency and exact re-fit on the weights still kept",
      reference: references.obs,
      explanation:
        "Each round removes the weights of least w_j^2 / (2 [H^-1]_jj), with the inverse taken over the weights still kept, and re-fits the others exactly. rounds=each removes one weight at a time: OBS itself, for small networks. One round is WoodFisher.",
      options: z.strictObject({
        rounds: z
          .union([z.int().min(1), z.literal("each")])
          .default(defaults.obs.rounds)
          .describe("how often the inverse is taken again, or each: for every single weight"),
        update: z
          .enum(["joint", "single"])
          .default(defaults.update.update)
          .describe("after a round: the exact minimiser, or the sum of single-weight updates"),
      }),
      create: obs,
    }),
    defineSolver({
      name: "woodfisher",
      summary: "OBS saliency from the inverse empirical Fisher, all weights at once",
      reference: references.woodfisher,
      explanation:
        "Scores w_j^2 / (2 [H^-1]_jj), keeps the k largest, updates the others: jointly (the exact minimiser on the mask), or by the published sum of single-weight updates (update=single), which counts interactions between pruned weights twice. The inverse comes from the n gradient rows, so the curvature need not be cut to blocks.",
      options: z.strictObject({
        update: z
          .enum(["joint", "single"])
          .default(defaults.update.update)
          .describe("the exact minimiser on the mask, or the published sum of single-weight updates"),
        blockSize: inverseBlocks,
      }),
      create: woodfisher,
    }),
    defineSolver({
      name: "cbs",
      summary:
        "Combinatorial Brain Surgeon: swaps for the least w_P'Hw_P over the whole network, then the joint update",
      reference: references.cbs,
      explanation:
        "CBS-S looks for the set P of pruned weights of least w_P' H w_P, so that weights that cancel one another go together: from the magnitude start (and random magnitude partitions) by swaps with exact gains, on pools drawn from the whole network. CBS-U re-fits all kept weights exactly. On the way to the sparsity it selects and re-fits in steps, so that weights that become redundant together are seen; steps=1 is the published method.",
      options: z.strictObject({
        ...search,
        steps: z
          .int()
          .min(1)
          .default(defaults.cbs.steps)
          .describe(
            "selections and updates on the way to the sparsity, ever fewer weights kept; swaps in the last; 1: as published",
          ),
        blockSize: updateBlocks,
        form,
      }),
      create: cbs,
    }),
    defineSelector({
      name: "obd",
      summary: "the mask of obd",
      reference: references.obd,
      options: z.strictObject({}),
      create: () => selectorFrom(obdSaliency),
    }),
    defineSelector({
      name: "woodfisher",
      summary: "the mask of woodfisher: largest w_j^2 / [H^-1]_jj",
      reference: references.woodfisher,
      options: z.strictObject({ blockSize: inverseBlocks }),
      create: woodfisherSelector,
    }),
    defineSelector({
      name: "cbs",
      summary: "CBS-S: the mask of least w_P'Hw_P that swaps find",
      reference: references.cbs,
      options: z.strictObject(search),
      create: cbsSelector,
    }),
    defineUpdater({
      name: "obs",
      summary: "WoodFisher's update: the sum of single-weight OBS updates",
      reference: references.woodfisher,
      options: z.strictObject({ blockSize: inverseBlocks }),
      create: singleUpdater,
    }),
    defineUpdater({
      name: "cbs",
      summary: "CBS-U, the joint OBS update: the exact minimiser on the mask",
      reference: references.cbs,
      options: z.strictObject({ blockSize: updateBlocks, form }),
      create: jointUpdater,
    }),
  ],
});
export default plugin;
