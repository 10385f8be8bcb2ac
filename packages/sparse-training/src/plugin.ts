/** The plugin manifest of this package: rules that act while a network trains, and selectors for pruning it before. */
import { defineEntry, definePlugin, defineSelector, defineUpdater, type Plugin } from "@secateur/core";
import { z } from "zod";
import { firstSteps } from "./initial/first-steps.ts";
import { flowMeasures, gradientFlow } from "./initial/gradient-flow.ts";
import { inStages } from "./initial/in-stages.ts";
import { synapticFlow } from "./initial/synaptic-flow.ts";
import { dropCriteria } from "./masks/drop-and-grow.ts";
import { snows } from "./refit/snows.ts";
import { acDc } from "./rules/ac-dc.ts";
import { admm } from "./rules/admm.ts";
import { autoPrune } from "./rules/auto-prune.ts";
import { rigl, set } from "./rules/dynamic-sparsity.ts";
import { filters } from "./rules/filters.ts";
import { gmp } from "./rules/gmp.ts";
import { granet, granetSt } from "./rules/granet.ts";
import { issP } from "./rules/iterative-shrinkage.ts";
import { perp } from "./rules/perp.ts";
import { polarization } from "./rules/polarization.ts";
import { powerpropagation } from "./rules/powerpropagation.ts";

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

const looks = (count: number) =>
  z.int().min(1).default(count).describe("stages; scores are taken anew in each, of what is left");
const sample = (count: number) =>
  z.int().min(1).default(count).describe("training examples that the derivatives are of");

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
      reference:
        "Mocanu et al.: Scalable training of artificial neural networks with adaptive sparse connectivity, 2018",
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
      name: "admm",
      summary: "pulls weights towards the nearest sparse ones, then prunes and trains on",
      reference:
        "Zhang et al.: A Systematic DNN Weight Pruning Framework using Alternating Direction Method of Multipliers, ECCV 2018",
      explanation:
        "A penalty rho / 2 |W - Z + U|^2 pulls to Z, the projection of W + U, renewed every interval epochs; after until of training W is pruned to its projection and what is kept trains on. keep=2 and of=4 project to 2 non-zeros of 4.",
      options: z.strictObject({
        sparsity: sparsity.removeDefault().optional().describe("the fraction of prunable weights removed; default 0.9"),
        keep: z.int().min(1).optional().describe("non-zeros in each group, in place of a sparsity"),
        of: z.int().min(1).optional().describe("consecutive weights of an output in a group"),
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
    defineSelector({
      name: "snip",
      summary: "the weights whose removal changes the loss most, to first order; for networks before training",
      reference: "Lee, Ajanthan, Torr: SNIP: Single-shot Network Pruning based on Connection Sensitivity, ICLR 2019",
      explanation:
        "Score |w g|, g the gradient of the loss of some training examples. Works before and after training, once or in several looks.",
      options: z.strictObject({ sample: sample(100), looks: looks(1) }),
      create: ({ looks = 1, ...options }) =>
        inStages(gradientFlow({ ...options, name: "snip", measure: "loss" }), looks),
    }),
    defineSelector({
      name: "grasp",
      summary: "the weights that the norm of the gradient needs; for networks before training",
      reference: "Wang, Zhang, Grosse: Picking Winning Tickets Before Training by Preserving Gradient Flow, ICLR 2020",
      explanation:
        "Score w (H g), from one exact product of the Hessian with the gradient at scores divided by a temperature: what would raise the norm of the gradient by going, goes.",
      options: z.strictObject({
        sample: sample(100),
        scoreTemperature: z.number().gt(0).default(200).describe("divides the scores before the loss"),
        looks: looks(1),
      }),
      create: ({ looks = 1, scoreTemperature = 200, ...options }) =>
        inStages(gradientFlow({ ...options, scoreTemperature, name: "grasp", measure: "gradient-norm" }), looks),
    }),
    defineSelector({
      name: "gradient-flow",
      summary: "the family of saliencies from weights, gradient and Hessian, by what each keeps of gradient descent",
      reference: "Lubana, Dick: A Gradient Flow Framework For Analyzing Network Pruning, ICLR 2021",
      explanation:
        "magnitude w^2, loss |w g| (SNIP), magnitude-loss |w| |w g|, gradient-norm w (H g) (GraSP), gradient-change |w (H g)|.",
      options: z.strictObject({
        measure: z.enum(flowMeasures).default("loss").describe("what is kept of gradient descent"),
        sample: sample(100),
        scoreTemperature: z.number().gt(0).default(1).describe("divides the scores before the loss"),
        looks: looks(1),
      }),
      create: ({ looks = 1, ...options }) => inStages(gradientFlow(options), looks),
    }),
    defineSelector({
      name: "synflow",
      summary:
        "the weights that most flows through, in a hundred looks; reads no data, empties no layer before its time",
      reference:
        "Tanaka, Kunin, Yamins, Ganguli: Pruning neural networks without any data by iteratively conserving synaptic flow, NeurIPS 2020",
      explanation:
        "Score |w| dR/d|w|, R the sum of the outputs of the network of magnitudes for inputs of 1, taken anew after every hundredth of the way.",
      options: z.strictObject({ looks: looks(100) }),
      create: ({ looks = 100 }) => inStages(synapticFlow, looks),
    }),
    defineSelector({
      name: "prospr",
      summary: "the weights that matter to the loss after the first steps of training, by differentiating through them",
      reference:
        "Alizadeh et al.: Prospect Pruning: Finding Trainable Weights at Initialization using Meta-Gradients, ICLR 2022",
      explanation:
        "Score |w dL/dw_0| with L the loss after a few steps of gradient descent from w_0, exactly (products with the Hessian of every step) or to first order.",
      options: z.strictObject({
        firstSteps: z.int().min(0).default(3).describe("of gradient descent"),
        stepRate: z.number().gt(0).default(0.5).describe("learning rate of those steps"),
        stepMomentum: z.number().min(0).lt(1).default(0.9).describe("of those steps"),
        stepExamples: z.int().min(1).default(128).describe("examples of a step"),
        exact: z.boolean().default(true).describe("whether the Hessians of the steps take part"),
      }),
      create: (options) => inStages(firstSteps(options), 1),
    }),
    defineUpdater({
      name: "snows",
      summary: "the weights on a mask by Newton's method on what the network computes several layers deeper",
      reference:
        "Lucas, Mazumder: Preserving Deep Representations in One-Shot Pruning: A Hessian-Free Second-Order Optimization Framework, ICLR 2025",
      explanation:
        "Layer by layer, the kept weights minimise the squared distance of what the next layers take to what they took before pruning, by Newton steps from conjugate gradients with exact products. Takes any mask (--selector chita --updater snows); needs no labels.",
      options: z.strictObject({
        lookahead: z.int().min(0).default(3).describe("weight layers beyond the next that are looked at"),
        sample: z.int().min(1).default(256).describe("training examples"),
        newtonSteps: z.int().min(1).default(3).describe("Newton steps a layer"),
        products: z.int().min(1).default(20).describe("products with the Hessian a Newton step, at most"),
      }),
      create: snows,
    }),
  ],
});
export default plugin;
