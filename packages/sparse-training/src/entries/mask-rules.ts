/** Rules that change masks while a network trains. */
import { defineEntry, type PluginEntry } from "@secateur/core";
import { z } from "zod";
import { dropCriteria } from "../masks/drop-and-grow.ts";
import { acDc } from "../rules/ac-dc.ts";
import { rigl, set } from "../rules/dynamic-sparsity.ts";
import { filters } from "../rules/filters.ts";
import { gmp } from "../rules/gmp.ts";
import { granet, granetSt } from "../rules/granet.ts";
import { stamp } from "../rules/stamp.ts";
import { tpp } from "../rules/tpp.ts";

const sparsity = z.number().min(0).lt(1).default(0.9).describe("the fraction of prunable weights removed at the end");
const always = sparsity.describe("the fraction of prunable weights that is 0 during all of training");
const steps = (count: number) => z.int().min(1).default(count).describe("steps between updates");
const until = (part: number) => z.number().gt(0).max(1).default(part);

/** Options of rigl and set, which differ in defaults. */
function dynamicOptions(usual: {
  interval: z.ZodType<number | undefined>;
  decay: "cosine" | "constant";
  until: number;
  drop: (typeof dropCriteria)[number];
  grow: "gradient" | "random";
}) {
  return z.strictObject({
    sparsity: always,
    distribution: z.enum(["erk", "uniform"]).default("erk").describe("how the kept weights are spread over layers"),
    interval: usual.interval,
    fraction: z.number().gt(0).max(1).default(0.3).describe("of a layer's kept weights that moves in an update"),
    decay: z.enum(["cosine", "constant"]).default(usual.decay).describe("how that fraction changes"),
    until: until(usual.until).describe("the part of training with updates"),
    drop: z.enum(dropCriteria).default(usual.drop).describe("which kept weights go first"),
    grow: z.enum(["gradient", "random"]).default(usual.grow).describe("which pruned weights come back"),
    lambda: z.number().min(0).default(1).describe("of the criterion mest, |w| + lambda |g|"),
  });
}

const granetOptions = (from: number) =>
  z.strictObject({
    sparsity,
    from: z.number().min(0).lt(1).default(from).describe("the sparsity of the first step"),
    interval: steps(100),
    regrow: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe("of a layer's kept weights that is regenerated in an update"),
    until: until(110 / 160).describe("the part of training with updates"),
  });

/** The entries. */
export const maskRules: readonly PluginEntry[] = [
  defineEntry({
    kind: "training-rule",
    name: "gmp",
    summary: "gradual magnitude pruning while a network trains",
    reference: "Zhu, Gupta: To prune, or not to prune, 2017",
    explanation:
      "After every few epochs the weights of smallest magnitude over the whole network go, until the sparsity has grown with a cube to the target; the last epochs are left to recover. What is pruned stays pruned, and the optimizer forgets it.",
    options: z.strictObject({
      sparsity,
      from: z.number().min(0).lt(1).default(0).describe("the sparsity that the schedule starts from"),
      interval: z.int().min(1).default(1).describe("epochs between prunings"),
    }),
    create: gmp,
  }),
  defineEntry({
    kind: "training-rule",
    name: "set",
    summary: "sparse from the start; the smallest weights go and others come at random after every epoch",
    reference: "Mocanu et al.: Scalable training of artificial neural networks with adaptive sparse connectivity, 2018",
    explanation:
      "The network keeps the same number of weights from the first step on. After every epoch but the last each layer drops the smallest of its positive and the largest of its negative weights, and as many others start from 0 at random places. Options take the drop criteria of Nowak et al. (2023).",
    options: dynamicOptions({
      interval: z.int().min(1).optional().describe("steps between updates; default: an epoch"),
      ...{ decay: "constant", until: 1, drop: "set", grow: "random" },
    }),
    create: set,
  }),
  defineEntry({
    kind: "training-rule",
    name: "rigl",
    summary: "sparse from the start; the smallest weights go and those of largest gradient come",
    reference: "Evci et al.: Rigging the Lottery: Making All Tickets Winners, ICML 2020",
    explanation:
      "The network keeps the same number of weights from the first step on, spread over layers by ERK. Every interval steps each layer drops its smallest weights and grows as many where the gradient of the loss is largest; the fraction that moves falls with a cosine until three quarters of training.",
    options: dynamicOptions({
      interval: steps(100),
      ...{ decay: "cosine", until: 0.75, drop: "magnitude", grow: "gradient" },
    }),
    create: rigl,
  }),
  defineEntry({
    kind: "training-rule",
    name: "granet",
    summary: "gradual magnitude pruning that regenerates weights by their gradient at every pruning",
    reference: "Liu et al.: Sparse Training via Boosting Pruning Plasticity with Neuroregeneration, NeurIPS 2021",
    explanation:
      "Every interval steps the network loses its smallest weights along a cubic schedule; then each layer drops half of what it keeps (falling with a cosine to nothing) and grows as many where the gradient is largest. Starts dense.",
    options: granetOptions(0),
    create: granet,
  }),
  defineEntry({
    kind: "training-rule",
    name: "granet-st",
    summary: "granet from a network that is half empty at the start",
    reference: "Liu et al.: Sparse Training via Boosting Pruning Plasticity with Neuroregeneration, NeurIPS 2021",
    explanation: "As granet, with random masks of half of the weights, spread by ERK, in the first step.",
    options: granetOptions(0.5),
    create: granetSt,
  }),
  defineEntry({
    kind: "training-rule",
    name: "ac-dc",
    summary: "phases with the largest weights alone and phases with all, in turn",
    reference:
      "Peste et al.: AC/DC: Alternating Compressed/DeCompressed Training of Deep Neural Networks, NeurIPS 2021",
    explanation:
      "After a dense beginning, compressed phases (the largest weights of the whole network) and decompressed ones (all weights, those that were pruned from 0) take turns; the end is compressed.",
    options: z.strictObject({
      sparsity,
      interval: z.int().min(1).optional().describe("epochs of a phase; default: a twentieth of training"),
      warmUp: z.int().min(0).optional().describe("dense epochs at the beginning; default: a tenth of training"),
    }),
    create: acDc,
  }),
  defineEntry({
    kind: "training-rule",
    name: "filters",
    summary:
      "whole rows of every layer but the last, filters of convolutions, go by their norm while the network trains",
    reference:
      "Roy, Panda, Srinivasan, Raghunathan: Pruning Filters while Training for Efficiently Optimizing Deep Learning Networks, IJCNN 2020",
    explanation:
      "After every few epochs the rows of smallest sum of magnitudes go whole, along a cubic schedule, as many in every layer but the last; secateur cut takes them out of the network afterwards.",
    options: z.strictObject({
      sparsity: z.number().min(0).lt(1).default(0.5).describe("the fraction of rows removed at the end"),
      interval: z.int().min(1).default(1).describe("epochs between prunings"),
    }),
    create: filters,
  }),
  defineEntry({
    kind: "training-rule",
    name: "tpp",
    summary: "rows that are to go are made orthogonal to those that stay, and go late",
    reference: "Wang, Fu: Trainability Preserving Neural Pruning, ICLR 2023",
    explanation:
      "The rows of smallest sum of magnitudes, as many in every layer but the last, are chosen before the first step. A penalty on their products with all rows of their layer, and on scale and shift of the normalisation behind them, takes them out of use; after until of training they are pruned and the rest trains on.",
    options: z.strictObject({
      sparsity: z.number().min(0).lt(1).default(0.5).describe("the fraction of rows removed"),
      strength: z.number().min(0).default(0.01).describe("of the penalty, at its largest"),
      until: until(0.7).describe("the part of training after which the rows are pruned"),
    }),
    create: tpp,
  }),
  defineEntry({
    kind: "training-rule",
    name: "stamp",
    summary: "channels of smallest expected activation behind their normalisation go while the network trains",
    reference:
      "Dinsdale, Jenkinson, Namburete: STAMP: Simultaneous Training and Model Pruning for low data regimes, Medical Image Analysis 2022",
    explanation:
      "After every few epochs the channels go whose normalisation lets the least through a ReLU, measured against the others of their layer, over the whole network and along a cubic schedule; no layer loses its last. Layers without a normalisation behind them stay whole.",
    options: z.strictObject({
      sparsity: z.number().min(0).lt(1).default(0.5).describe("the fraction of channels removed at the end"),
      interval: z.int().min(1).default(1).describe("epochs between prunings"),
    }),
    create: stamp,
  }),
];
