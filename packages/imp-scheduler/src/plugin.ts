import { definePlugin, defineSelector, defineSolver, type Plugin, selectorFrom } from "@secateur/core";
import { z } from "zod";
import { random, randomSaliency } from "./allocation/random-solver.ts";

/** The plugin manifest of this package: the random baseline. Schedules and allocations are no strategies, they go around any. */
const plugin: Plugin = definePlugin({
  api: 1,
  name: "@secateur/imp-scheduler",
  entries: [
    defineSolver({
      name: "random",
      summary: "a mask drawn at random from the seed: the baseline below all baselines",
      explanation:
        "Keeps k weights drawn uniformly over the network, as they are. With --allocation it is random within each layer. What a method gains over it is what its choice of weights is worth.",
      options: z.strictObject({}),
      create: () => random(),
    }),
    defineSelector({
      name: "random",
      summary: "a mask drawn at random from the seed",
      options: z.strictObject({}),
      create: () => selectorFrom(randomSaliency),
    }),
  ],
});
export default plugin;
