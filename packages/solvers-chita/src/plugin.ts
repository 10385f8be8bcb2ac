import { definePlugin, defineSelector, defineSolver, defineUpdater, type Plugin } from "@secateur/core";
import { z } from "zod";
import { chita, chitaSelector } from "./chita.ts";
import { chitaDefaults, manyRows } from "./chita-defaults.ts";
import { chitaBlock, chitaBso, chitaCd, chitaIht, ridgeRefit } from "./published/named-solvers.ts";
import { publishedDefaults } from "./published/published-defaults.ts";

const reference =
  "Benbaki, Chen, Meng, Hazimeh, Ponomareva, Zhao, Mazumder: Fast as CHITA: Neural Network Pruning with Combinatorial Optimization, ICML 2023";
const form = z
  .enum(["auto", "primal", "dual", "cg"])
  .default(publishedDefaults.bso.form)
  .describe(
    "how the ridge system on the support is solved: k x k or n x n Cholesky, conjugate gradients, or the cheapest",
  );

const chitaOptions = z.strictObject({
  iterations: z
    .int()
    .min(1)
    .optional()
    .describe(
      `iterations on the relaxation (default: ${chitaDefaults.iterations}, beyond ${manyRows.from} gradient rows ${manyRows.iterations})`,
    ),
  pool: z
    .int()
    .min(0)
    .optional()
    .describe(
      `swap candidates of each kind, kept and pruned; 0 = no swaps (default: ${chitaDefaults.pool}, beyond ${manyRows.from} gradient rows one for every ${manyRows.rowsPerMember} of them)`,
    ),
  rounds: z.int().min(0).default(chitaDefaults.rounds).describe("rounds of swaps"),
  maxRows: z
    .int()
    .min(1)
    .default(chitaDefaults.maxRows)
    .describe(
      "beyond this many gradient rows the support shrinks along a path instead of being optimised with a bound",
    ),
});

/** The plugin manifest of this package. */
const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/solvers-chita",
  entries: [
    defineSolver({
      name: "chita",
      summary:
        "the best CHITA here: near-optimal on one quadratic model, and staged with fresh gradients for far targets",
      reference,
      explanation: `Minimises Q(w) = 1/2 d'Hd + g'd, d = w - w0, over at most k non-zero weights, H a curvature of the training loss at the present weights, ridge included.

By default H is the Gauss-Newton matrix of several thousand training examples and the target is reached in stages, each with fresh examples: the support shrinks by the saliency H_jj w_j^2 a little at a time, with conjugate-gradient re-fits in between; at the target, pruned weights whose gradient promises most are tried again. Steps are halved while that lowers the loss of training examples that no gradient is taken of.

On an empirical Fisher of up to --max-rows gradient rows (--curvature empirical-fisher, and always in 'secateur solve') Q is minimised nearly to the optimum instead: the dual of the perspective relaxation gives a certified lower bound and a support to round to, exact swaps improve it, and the weights are the exact ridge minimiser on it. The result names the bound and the gap.`,
      options: chitaOptions,
      optionsOnlyWith: {
        iterations: ["empirical-fisher"],
        pool: ["empirical-fisher"],
        rounds: ["empirical-fisher"],
        maxRows: ["empirical-fisher"],
      },
      create: chita,
    }),
    defineSolver({
      name: "chita.iht",
      summary: "the paper's active-set iterative hard thresholding with exact line search",
      reference,
      explanation:
        "Gradient steps followed by keeping the k largest weights; step lengths by exact line search, through the first change of support; worked on a small active set first. Its weights are the last iterate's, not the exact minimiser on the support.",
      options: z.strictObject({
        maxIterations: z.int().min(1).default(publishedDefaults.iht.maxIterations).describe("steps in all"),
        tolerance: z
          .number()
          .min(0)
          .default(publishedDefaults.iht.tolerance)
          .describe("stop when a step gains less than this fraction of the objective"),
      }),
      create: chitaIht,
    }),
    defineSolver({
      name: "chita.cd",
      summary: "cyclic coordinate descent on the support of largest magnitudes",
      reference,
      explanation:
        "Fixes the support by magnitude (with the first-order term: by IHT) and minimises over one weight after the other. Converges to chita.bso. The public code computes its residual wrongly and changes nothing without the first-order term; residual=published repeats that.",
      options: z.strictObject({
        maxSweeps: z.int().min(0).default(publishedDefaults.cd.maxSweeps).describe("sweeps over the support"),
        tolerance: z
          .number()
          .min(0)
          .default(publishedDefaults.cd.tolerance)
          .describe("stop when a sweep gains less than this fraction of the objective"),
        residual: z
          .enum(["exact", "published"])
          .default(publishedDefaults.cd.residual)
          .describe("published: repeat the public code's residual, to reproduce its tables"),
      }),
      create: chitaCd,
    }),
    defineSolver({
      name: "chita.bso",
      summary: "exact ridge back-solve on the support of largest magnitudes",
      reference,
      explanation:
        "Fixes the support by magnitude (with the first-order term: by IHT) and solves for the best weights on it exactly. Without the first-order term this is the joint OBS update.",
      options: z.strictObject({ form }),
      create: chitaBso,
    }),
    defineSolver({
      name: "chita.block",
      summary: "the back-solve block by block, for networks whose support is too large for one system",
      reference,
      explanation:
        "As chita.bso, with H taken as block-diagonal: each block of a layer is solved as if all others stayed as they were.",
      options: z.strictObject({
        blockSize: z
          .union([z.int().min(1), z.literal("layer")])
          .default(publishedDefaults.block.blockSize)
          .describe('weights a block, or "layer"'),
        form,
      }),
      create: chitaBlock,
    }),
    defineSelector({
      name: "chita",
      summary: "the mask of chita",
      reference,
      options: chitaOptions,
      create: chitaSelector,
    }),
    defineUpdater({
      name: "bso",
      summary: "exact ridge back-solve on the mask",
      reference,
      options: z.strictObject({ form }),
      create: ridgeRefit,
    }),
  ],
});
export default plugin;
