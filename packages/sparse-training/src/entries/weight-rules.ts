/** Rules that pull weights, or train others in their place. */
import { defineEntry, type PluginEntry } from "@secateur/core";
import { z } from "zod";
import { admm } from "../rules/admm.ts";
import { autoPrune } from "../rules/auto-prune.ts";
import { issP } from "../rules/iterative-shrinkage.ts";
import { perp } from "../rules/perp.ts";
import { polarization } from "../rules/polarization.ts";
import { powerpropagation } from "../rules/powerpropagation.ts";

const sparsity = z.number().min(0).lt(1).default(0.9).describe("the fraction of prunable weights removed at the end");
const until = (part: number) => z.number().gt(0).max(1).default(part);

/** The entries. */
export const weightRules: readonly PluginEntry[] = [
  defineEntry({
    kind: "training-rule",
    name: "powerpropagation",
    summary: "trains w = theta |theta|^(alpha - 1): the large weights grow, the others stay near 0",
    reference: "Schwarz et al.: Powerpropagation: A sparsity inducing weight reparameterisation, NeurIPS 2021",
    explanation:
      "Prunes nothing itself; what follows by magnitude costs less. Goes with gmp (--rule powerpropagation --rule gmp), not with rules that bring weights back: they would stay at 0.",
    options: z.strictObject({
      alpha: z.number().gt(1).max(10).default(2).describe("the power; larger ones want a lower learning rate"),
    }),
    create: powerpropagation,
  }),
  defineEntry({
    kind: "training-rule",
    name: "admm",
    summary: "pulls weights towards the nearest sparse ones, then prunes and trains on",
    reference:
      "Zhang et al.: A Systematic DNN Weight Pruning Framework using Alternating Direction Method of Multipliers, ECCV 2018",
    explanation:
      "A penalty rho / 2 |W - Z + U|^2 pulls to Z, the projection of W + U, renewed every interval epochs; after until of training W is pruned to its projection and what is kept trains on. keep=2 and of=4 project to 2 non-zeros of 4; levels=15 pulls what is kept to the levels of int4, until the end.",
    options: z.strictObject({
      sparsity: sparsity.removeDefault().optional().describe("the fraction of prunable weights removed; default 0.9"),
      keep: z.int().min(1).optional().describe("non-zeros in each group, in place of a sparsity"),
      of: z.int().min(1).optional().describe("consecutive weights of an output in a group"),
      levels: z.int().min(3).optional().describe("odd: pulls what is kept to as many levels; 15 are those of int4"),
      rho: z.number().gt(0).default(0.01).describe("how hard weights are pulled"),
      interval: z.int().min(1).default(1).describe("epochs between projections"),
      until: until(0.7).describe("the part of training after which weights are pruned"),
    }),
    create: admm,
  }),
  defineEntry({
    kind: "training-rule",
    name: "iss-p",
    summary: "shrinks the smallest weights a little in every step, prunes them late",
    reference: "Wang et al.: Iterative Soft Shrinkage Learning for Efficient Image Super-Resolution, ICCV 2023",
    explanation:
      "In every step the smallest weights of the whole network lose a fraction of themselves; which these are is asked anew each time, so a weight that the loss needs grows out of it. For plain or momentum gradient descent.",
    options: z.strictObject({
      sparsity,
      shrink: z.number().gt(0).max(1).default(0.001).describe("the fraction that small weights lose in a step"),
      until: until(0.7).describe("the part of training after which small weights are pruned"),
    }),
    create: issP,
  }),
  defineEntry({
    kind: "training-rule",
    name: "auto-prune",
    summary:
      "a gate beside every weight, trained by straight-through gradients; sparsity follows from the pull on gates",
    reference:
      "Xiao, Wang, Rajasekaran: AutoPrune: Automatic Network Pruning by Regularizing Auxiliary Parameters, NeurIPS 2019",
    explanation:
      "A weight counts while its gate is above 0. Gates move by sign(w) dL/dw and by the pull, which closes what the loss does not hold open; closed gates may open again. There is no sparsity to ask for: a larger pull prunes more.",
    options: z.strictObject({
      pull: z.number().min(0).default(1e-4).describe("closes gates; larger prunes more"),
      gate: z.number().gt(0).default(0.02).describe("where all gates start"),
      leak: z.number().gt(0).max(1).default(0.1).describe("slope of closed gates"),
    }),
    create: autoPrune,
  }),
  defineEntry({
    kind: "training-rule",
    name: "polarization",
    summary: "pulls small scales of normalisation to 0 and leaves large ones, with a gap between",
    reference: "Zhuang et al.: Neuron-level Structured Pruning using Polarization Regularizer, NeurIPS 2020",
    explanation:
      "The penalty strength (pull sum |gamma| - sum | |gamma| - mean |) over all scales of batch and layer normalisation. Prunes nothing itself; channels whose scale is near 0 can go afterwards.",
    options: z.strictObject({
      strength: z.number().min(0).default(1e-4).describe("of the penalty"),
      pull: z.number().min(0).default(1.2).describe("above 1 more scales fall, below it fewer"),
    }),
    create: polarization,
  }),
  defineEntry({
    kind: "training-rule",
    name: "perp",
    summary: "retrains a pruned network by few parameters: biases, normalisation, a product of low rank on each mask",
    reference: "Zimmer et al.: PERP: Rethinking the Prune-Retrain Paradigm in the Era of LLMs, 2023",
    explanation:
      "For train MODEL --keep-zeros: W = M (W_0 + B A / sqrt(r)) with W_0 and the mask M fixed; biases and normalisation train as usual. What is written is an ordinary pruned network.",
    options: z.strictObject({
      rank: z.int().min(0).default(16).describe("of the product; 0 trains biases and normalisation alone"),
    }),
    create: perp,
  }),
];
