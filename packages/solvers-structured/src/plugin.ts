import { definePlugin, defineSelector, defineSolver, type Plugin } from "@secateur/core";
import { z } from "zod";
import { defaults } from "./defaults.ts";
import { osscar } from "./osscar.ts";
import { structuredObs } from "./structured-obs.ts";
import { taylor, taylorSelector } from "./taylor.ts";

const power = z
  .union([z.literal(1), z.literal(2)])
  .default(defaults.taylor.power)
  .describe("of each gradient row's sum over a group: 1 its size, 2 its square");
const reference = {
  osscar:
    "Meng, Ibrahim, Behdin, Hazimeh, Ponomareva, Mazumder: OSSCAR: One-Shot Structured Pruning in Vision and Language Models with Combinatorial Optimization, ICML 2024",
  obs: "Hassibi, Stork: Second order derivatives for network pruning: Optimal Brain Surgeon, NeurIPS 1993",
  taylor: "Molchanov, Mallya, Tyree, Frosio, Kautz: Importance Estimation for Neural Network Pruning, CVPR 2019",
} as const;

/** The plugin manifest of this package. */
const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/solvers-structured",
  entries: [
    defineSolver({
      name: "osscar",
      summary: "layer by layer, whole inputs: greedy removal with re-fits, then exchanges while the error falls",
      reference: reference.osscar,
      explanation:
        "Of each layer's inputs, groups of columns (input channels, heads' widths) go in the order of what each costs once all the others are re-fitted; then a kept group is exchanged for a pruned one as long as the layer's error falls, each exchange judged exactly. Needs units that own whole columns: --units inputs or columns. What no reader reads any more, secateur cut takes out.",
      options: z.strictObject({
        looks: z
          .int()
          .min(1)
          .default(defaults.osscar.looks)
          .describe("how often costs are taken again while groups go"),
        swaps: z.int().min(0).default(defaults.osscar.swaps).describe("exchanges at most; 0: greedy removal alone"),
        pool: z.int().min(1).default(defaults.osscar.pool).describe("groups of each kind tried in an exchange"),
      }),
      create: osscar,
    }),
    defineSolver({
      name: "structured-obs",
      summary:
        "Optimal Brain Surgeon for groups over the whole network: costs with everything else re-fitted, in rounds",
      reference: reference.obs,
      explanation:
        "A group costs 1/2 w'[(H^-1)_gg]^-1 w: what the loss grows by once all other weights answer. In rounds the cheapest groups go, the rest is re-fitted exactly, costs are taken again. Made for --units channels; for single weights obs is the same and faster.",
      options: z.strictObject({
        rounds: z.int().min(1).default(defaults.structuredObs.rounds).describe("how often costs are taken"),
      }),
      create: structuredObs,
    }),
    defineSolver({
      name: "taylor",
      summary: "keep the groups whose removal changes the losses of examples most, to first order; weights as they are",
      reference: reference.taylor,
      explanation:
        "Scores a group by the mean over gradient rows of |sum of g_i w_i|, so that weights of a group may cancel. Cheap, and the usual baseline for channels.",
      options: z.strictObject({ power }),
      create: taylor,
    }),
    defineSelector({
      name: "taylor",
      summary: "the mask of the highest Taylor scores of groups",
      options: z.strictObject({ power }),
      create: taylorSelector,
    }),
  ],
});
export default plugin;
