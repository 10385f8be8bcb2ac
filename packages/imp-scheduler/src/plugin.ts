/** The plugin manifest of this package: schedules of retraining, allocations, and the random baseline. */
import {
  defineEntry,
  definePlugin,
  defineSelector,
  defineSolver,
  type EntryOf,
  noOptions,
  type Plugin,
  scheduleNames,
  selectorFrom,
} from "@secateur/core";
import { z } from "zod";
import { type AllocationName, allocations } from "./allocation/allocation.ts";
import { random, randomSaliency } from "./allocation/random-solver.ts";
import { bimpSchedule, gmpSchedule, gradualSchedule, impSchedule } from "./phases/schedules.ts";
import { amplitudes } from "./rates/budgeted-rates.ts";
import { type RetrainingName, retrainingNames } from "./rates/retraining-rates.ts";

const whole = (least: number) => z.int().min(least);
/** Every phase prunes, trains and is reported. */
const mostPhases = 1000;
const interval = whole(1).optional().describe("epochs between prunings");

const impOptions = z.strictObject({
  phases: z
    .union([whole(1).max(mostPhases), z.literal("auto")])
    .optional()
    .describe(
      "rounds of pruning and retraining, each pruning the same fraction of what is left; auto: 20 % a round (default: 1; gradual: 7)",
    ),
  sparsities: z
    .array(z.number().min(0).lt(1))
    .min(1)
    .max(mostPhases)
    .optional()
    .describe("the sparsity after each round, never decreasing, in place of phases"),
  phaseSchedule: z
    .enum(scheduleNames)
    .optional()
    .describe("how the sparsity grows over the phases (default: geometric)"),
});

/** One line, the formula, the paper. */
type Words = readonly [summary: string, explanation: string, reference: string];

const zimmer = "Zimmer, Spiegel, Pokutta: How I Learned to Stop Worrying and Love Retraining, ICLR 2023";
const leHua = "Le, Hua: Network Pruning That Matters: A Case Study on Retraining Variants, ICLR 2021";

const rates: Readonly<Record<RetrainingName, Words>> = {
  ft: [
    "fine-tuning: a constant, small learning rate",
    "Constant at the smallest rate of the dense training after its warm-up. Of a dense training whose rate ends near 0 it moves next to nothing.",
    "Han, Pool, Tran, Dally: Learning both Weights and Connections for Efficient Neural Networks, NeurIPS 2015",
  ],
  lrw: [
    "learning-rate rewinding: the last rates of the dense training once more",
    "The last steps of the dense training once more, as many as there are.",
    "Renda, Frankle, Carbin: Comparing Rewinding and Fine-tuning in Neural Network Pruning, ICLR 2020",
  ],
  slr: [
    "scaled rewinding: all rates of the dense training in fewer steps",
    "All rates of the dense training in fewer steps, after a warm-up.",
    leHua,
  ],
  clr: [
    "cyclic: half a cosine from the highest rate to the lowest",
    "Half a cosine from the dense training's highest rate to its lowest, after a warm-up.",
    leHua,
  ],
  llr: [
    "linear from the highest rate to 0; the safe choice",
    "Linear from the dense training's highest rate to 0, after a warm-up. The safe choice.",
    zimmer,
  ],
  allr: [
    "like llr, from a lower peak the less was pruned",
    "Like llr, from a peak that is lower the less the pruning took: the highest rate times |lost weights| / |weights| / sqrt(pruned fraction), at least its share of the epochs. Shown is the peak of a pruning that takes as much as it could.",
    zimmer,
  ],
};

const schedules: readonly EntryOf<"schedule">[] = [
  ...retrainingNames.map((name) => {
    const [summary, explanation, reference] = rates[name];
    return defineEntry({
      kind: "schedule",
      name,
      ...{ summary, explanation, reference },
      options: impOptions,
      create: (options) => impSchedule(name, options),
    });
  }),
  defineEntry({
    kind: "schedule",
    name: "gmp",
    summary: "gradual pruning during one training",
    explanation: "Sparsity grows with a cube during one training, pruned every few epochs.",
    reference: "Zhu, Gupta: To prune, or not to prune, 2017",
    options: z.strictObject({ interval }),
    create: gmpSchedule,
  }),
  defineEntry({
    kind: "schedule",
    name: "gradual",
    summary: "prunings with restarted cosines between them",
    explanation: "Prunings with restarted cosines between them.",
    reference: "Benbaki et al.: Fast as CHITA, ICML 2023",
    options: z.strictObject({ phases: whole(1).max(mostPhases).optional().describe("prunings (default 7)"), interval }),
    create: gradualSchedule,
  }),
  defineEntry({
    kind: "schedule",
    name: "bimp",
    summary: "dense training and cycles of pruning and retraining within one budget",
    explanation: "Dense training and cycles of pruning and retraining within one budget of epochs.",
    reference: zimmer,
    options: z.strictObject({
      budget: whole(0).optional().describe("epochs of dense training first (default: half)"),
      interval,
      amplitude: z.enum(amplitudes).optional().describe("highest rates of the cycles (default: constant)"),
    }),
    create: bimpSchedule,
  }),
];

const spreads: Readonly<Record<AllocationName, string>> = {
  global: "scores compete over the whole network",
  uniform: "every layer to the same sparsity",
  "uniform+": "uniform, but the first convolution dense and a fifth of the last layer kept",
  erk: "in proportion to the sum of a layer's dimensions",
  lamp: "by layer-adaptive magnitude scores",
  random: "at random",
};

const references: Partial<Record<AllocationName, string>> = {
  "uniform+": "Gale, Elsen, Hooker: The State of Sparsity in Deep Neural Networks, 2019",
  erk: "Evci, Gale, Menick, Castro, Elsen: Rigging the Lottery, ICML 2020",
  lamp: "Lee, Park, Mo, Ahn, Shin: Layer-adaptive Sparsity for the Magnitude-based Pruning, ICLR 2021",
};

/** The plugin manifest. */
const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/imp-scheduler",
  entries: [
    defineSolver({
      name: "random",
      summary: "a mask drawn at random from the seed: the baseline below all baselines",
      explanation:
        "Keeps k weights drawn uniformly over the network, as they are. With --allocation it is random within each layer. What a method gains over it is what its choice of weights is worth.",
      options: noOptions,
      create: () => random(),
    }),
    defineSelector({
      name: "random",
      summary: "a mask drawn at random from the seed",
      options: noOptions,
      create: () => selectorFrom(randomSaliency),
    }),
    ...schedules,
    ...(Object.keys(allocations) as AllocationName[]).map((name) => {
      const reference = references[name];
      return defineEntry({
        kind: "allocation",
        name,
        summary: spreads[name],
        ...(reference === undefined ? {} : { reference }),
        options: noOptions,
        create: () => allocations[name],
      });
    }),
  ],
});
export default plugin;
