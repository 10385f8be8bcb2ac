import {
  definePlugin,
  defineSelector,
  defineSolver,
  defineUpdater,
  keepWeights,
  type Plugin,
  selectorFrom,
} from "@secateur/core";
import { z } from "zod";
import { magnitude, magnitudeSaliency } from "./magnitude.ts";

/** The plugin manifest of this package. */
const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/solvers-magnitude",
  entries: [
    defineSolver({
      name: "magnitude",
      summary: "keep the largest |w| over the whole network; no data, no curvature",
      reference:
        "Han, Pool, Tran, Dally: Learning both Weights and Connections for Efficient Neural Networks, NeurIPS 2015",
      explanation:
        "Score |w|, keep the k largest, leave them as they are. Exact for H = I. The baseline: fine up to moderate sparsity, far behind curvature-aware methods beyond it unless the network is retrained.",
      options: z.strictObject({}),
      create: () => magnitude(),
    }),
    defineSelector({
      name: "magnitude",
      summary: "the mask of the largest |w|",
      options: z.strictObject({}),
      create: () => selectorFrom(magnitudeSaliency),
    }),
    defineUpdater({
      name: "none",
      summary: "kept weights stay as they are",
      options: z.strictObject({}),
      create: () => keepWeights,
    }),
  ],
});
export default plugin;
