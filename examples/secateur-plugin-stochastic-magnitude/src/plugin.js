import { definePlugin, defineSaliency } from "@secateur/core";
import { z } from "zod";
import { stochasticMagnitude } from "./stochastic-magnitude.js";

export default definePlugin({
  api: 2,
  name: "secateur-plugin-stochastic-magnitude",
  entries: [
    defineSaliency({
      name: "stochastic-magnitude",
      summary: "draw the weights to keep, large ones more often",
      reference: "Kool, van Hoof, Welling: Stochastic Beams and Where to Find Them, ICML 2019",
      explanation:
        "Gumbel noise on log |w| / spread, and the k largest sums stay: k weights drawn without replacement, each with a probability proportional to |w|^(1 / spread). --seed decides the draw.",
      options: z.strictObject({
        spread: z.number().positive().default(0.1).describe("0 is magnitude pruning, 1 draws in proportion to |w|"),
      }),
      create: stochasticMagnitude,
    }),
  ],
});
