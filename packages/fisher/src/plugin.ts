import { defineCurvature, definePlugin, type Plugin } from "@secateur/core";
import { z } from "zod";
import { gaussNewton } from "./gauss-newton.ts";
import { kfac } from "./kronecker/kfac.ts";
import { kroneckerGaussNewton } from "./kronecker/kronecker-gauss-newton.ts";
import { empiricalFisher } from "./rows/empirical-fisher.ts";

const options = z.strictObject({
  examples: z.int().min(1).optional().describe("gradient rows to take; more generalise better and cost in proportion"),
  batch: z.int().min(1).optional().describe("training examples averaged into one row"),
  ridge: z
    .union([z.number().min(0), z.literal("auto")])
    .optional()
    .describe('damping added to the curvature, or "auto"'),
  layout: z
    .enum(["auto", "factored", "dense"])
    .default("auto")
    .describe("keep gradient rows as outer products, expand them, or whichever is cheaper"),
});

/** The plugin manifest of this package. */
const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/fisher",
  entries: [
    defineCurvature({
      name: "empirical-fisher",
      summary: "curvature from the gradients of training examples: H = G'G / n + ridge I",
      reference: "Singh and Alistarh, WoodFisher, NeurIPS 2020; Benbaki et al., CHITA, ICML 2023",
      options,
      unread: ["temperature", "distill"],
      create: empiricalFisher,
    }),
    defineCurvature({
      name: "gauss-newton",
      summary: "Gauss-Newton curvature of the task's loss, through products with the network's Jacobian",
      reference:
        "Schraudolph, Fast curvature matrix-vector products, 2002; Martens, New insights on the natural gradient, JMLR 2020",
      options: z.strictObject({
        examples: z
          .int()
          .min(1)
          .optional()
          .describe("training examples; more generalise better and cost in proportion"),
        ridge: z
          .union([z.number().min(0), z.literal("auto")])
          .optional()
          .describe('damping added to the curvature, or "auto"'),
        temperature: z
          .number()
          .positive()
          .optional()
          .describe("divides class scores; above 1 it softens over-confident probabilities"),
      }),
      unread: ["batch", "distill"],
      create: gaussNewton,
    }),
    defineCurvature({
      name: "kfac",
      summary: "Kronecker-factored Fisher, a block a layer: cheap inverses, no rows kept",
      reference:
        "Martens and Grosse, Optimizing neural networks with Kronecker-factored approximate curvature, ICML 2015",
      options: z.strictObject({
        examples: z.int().min(1).optional().describe("training examples the factors are averaged over"),
        ridge: z
          .union([z.number().min(0), z.literal("auto")])
          .optional()
          .describe('damping, split between the two factors of each layer, or "auto"'),
      }),
      create: kfac,
    }),
    defineCurvature({
      name: "kronecker-gauss-newton",
      summary:
        "Gauss-Newton curvature, a Kronecker product a layer, also for convolutions: full rank from few examples",
      reference:
        "Martens and Grosse, K-FAC, ICML 2015; Grosse and Martens, A Kronecker-factored approximate Fisher matrix for convolution layers, ICML 2016",
      options: z.strictObject({
        examples: z.int().min(1).optional().describe("training examples the factors are averaged over"),
        ridge: z
          .union([z.number().min(0), z.literal("auto")])
          .optional()
          .describe(
            'damping added to the curvature beside that of the factors, or "auto": none but with the first-order term',
          ),
        temperature: z
          .number()
          .positive()
          .optional()
          .describe("divides class scores; above 1 it softens over-confident probabilities"),
        share: z.number().positive().default(0.01).describe("damping of each factor, in means of its diagonal"),
      }),
      unread: ["batch"],
      create: kroneckerGaussNewton,
    }),
  ],
});
export default plugin;
