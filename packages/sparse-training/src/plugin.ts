/** The plugin manifest of this package: rules that act while a network trains. */
import { defineEntry, definePlugin, type Plugin } from "@secateur/core";
import { z } from "zod";
import { gmp } from "./gmp.ts";

const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/sparse-training",
  entries: [
    defineEntry({
      kind: "training-rule",
      name: "gmp",
      summary: "gradual magnitude pruning while a network trains",
      reference: "Zhu, Gupta: To prune, or not to prune, 2017",
      explanation:
        "After every few epochs the weights of smallest magnitude over the whole network go, until the sparsity has grown with a cube to the target; the last epochs are left to recover. What is pruned stays pruned, and the optimizer forgets it.",
      options: z.strictObject({
        sparsity: z.number().min(0).lt(1).default(0.9).describe("the fraction of prunable weights removed at the end"),
        from: z.number().min(0).lt(1).default(0).describe("the sparsity that the schedule starts from"),
        interval: z.int().min(1).default(1).describe("epochs between prunings"),
      }),
      create: gmp,
    }),
  ],
});
export default plugin;
