/** Selectors for networks before training, and an updater after it. */
import { defineSelector, defineUpdater, type PluginEntry } from "@secateur/core";
import { z } from "zod";
import { firstSteps } from "../initial/first-steps.ts";
import { flowMeasures, gradientFlow } from "../initial/gradient-flow.ts";
import { inStages } from "../initial/in-stages.ts";
import { synapticFlow } from "../initial/synaptic-flow.ts";
import { snows } from "../refit/snows.ts";

const looks = (count: number) =>
  z.int().min(1).default(count).describe("stages; scores are taken anew in each, of what is left");
const sample = (count: number) =>
  z.int().min(1).default(count).describe("training examples that the derivatives are of");

/** The entries. */
export const pruningEntries: readonly PluginEntry[] = [
  defineSelector({
    name: "snip",
    summary: "the weights whose removal changes the loss most, to first order; for networks before training",
    reference: "Lee, Ajanthan, Torr: SNIP: Single-shot Network Pruning based on Connection Sensitivity, ICLR 2019",
    explanation:
      "Score |w g|, g the gradient of the loss of some training examples. Works before and after training, once or in several looks.",
    options: z.strictObject({ sample: sample(100), looks: looks(1) }),
    create: ({ looks = 1, ...options }) => inStages(gradientFlow({ ...options, name: "snip", measure: "loss" }), looks),
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
    summary: "the weights that most flows through, in a hundred looks; reads no data, empties no layer before its time",
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
];
