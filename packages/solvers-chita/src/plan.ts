/**
 * How chita is run when the user leaves it open. A quadratic model of the loss is good near the weights it was taken at,
 * so far targets are reached in stages with fresh gradients: first from dense to the target, the kept weights shrinking by
 * about 1.45 a stage from 30 % on, then as many at the target, in which pruned weights are tried again. Constants were
 * chosen on the last 10,000 training images of MNIST, never on test data; docs/chita.md has the measurements.
 */
import { keptCount, type RunPlan, type RunSituation } from "@secateur/core";
import { effortFor } from "./chita-defaults.ts";

/** The first stage keeps this fraction, where the target is below it. */
const firstKept = 0.3;
/** How many times fewer weights the next stage keeps. */
const stageRatio = 1.45;
/** Stages at the target are as many as rising ones, and at least this many, where they are not too dear. */
const leastTargetStages = 6;
const leastDearStages = 4;
/** Gauss-Newton: examples a rising stage, and a stage at the target or a single stage. */
const examples = 4000;
const targetExamples = 10_000;
/** Empirical Fisher: rows, few enough for the certified row-space method. */
const fisherRows = 1000;

/**
 * Convolutions use a weight at every position: a product with the Gauss-Newton matrix runs the network, and costs this many times
 * what one with stored rows costs. Beyond the limit every layer's block is a Kronecker product: some hundred gradient rows would leave
 * nearly all directions unseen. Chosen on training images of CIFAR-10 (ResNet20) held out from the moments.
 */
const mostReuse = 8;
const kroneckerName = "kronecker-gauss-newton";
/**
 * Where every weight is used at so many positions fewer examples do, in three quarters of the time: ResNet20 at .9 in one stage read, with 640 and with 2000
 * of them, 84.0 and 83.0 % (seed 0), 82.1 and 83.0 % (seed 1) of 1,017 training images held out from all of it: two seeds that differ by more than the choice.
 */
const kroneckerExamples = { usual: 2000, manyUses: 640, uses: 100 };
/**
 * Softened probabilities show what else an over-confident network considers; over thousands of classes most of what a temperature of 4 shows is none of
 * it. Where there are more than ten it falls with the root of the logarithm of their number, to 2 at 6,625: on held-out lines a recogniser of so many, half of
 * whose weights are removed, reads 98.8 % of the characters so and 95.4 with 4 (98.6 dense); a language model of 512 tokens has 1.951 nats so and 1.960 with 4.
 */
const kroneckerTemperature = { usual: 4, usualClasses: 10 };

function temperatureFor({ classes = 0 }: RunSituation): number {
  const { usual, usualClasses } = kroneckerTemperature;
  return usual * Math.sqrt(Math.log(usualClasses) / Math.log(Math.max(usualClasses, classes)));
}
/**
 * What a run may cost by default, in multiply-adds: so many passes of training over the same examples (forward, and backward twice
 * that), but always what takes a few seconds. Counted, never measured, so that a plan is the same on every machine.
 */
const mostEpochs = 8;
const passesOfTraining = 3;
const alwaysAffordable = 2e10;
/** Conjugate-gradient iterations of a rising stage and of one at the target. */
const risingIterations = 20;
const targetIterations = 10;
/** What a stage over dense layers is counted at in the kernels: twice the kept weights an iteration, of which one at the target takes twice as many, and seven passes. */
const countedPasses = { rising: 2 * risingIterations, atTarget: 4 * targetIterations, others: 7 };
/** Passes for each through dense layers, of which the first has most weights and takes no tangents, and through convolutions. */
const densePasses = 2;
const convolutionPasses = 4;
/** Where the model cannot give what Kronecker factors are made of, rows are stored: gradients of mini-batches. */
const storedRows: RunPlan = { examples: 500, targetExamples: 500, firstOrder: false };
const storedRidges = [1e-3, 1e-2, 0.1, 1] as const;
const largestBatch = 16;
/** Products with the rows that a ridge's solution takes beside their Gram matrix: two for an iteration on the relaxation, and some others. */
export function productsOfRows(rows: number): number {
  return 2 * effortFor(rows).iterations + 10;
}
/** Forward passes that the comparison of one ridge's step takes: three losses on some 500 held-out examples. */
const comparedPasses = 3 * 500;

/** The plan of {@link chita}. Never looks at data. */
export function chitaPlan(situation: RunSituation): RunPlan {
  const { sparsity, prunable, curvature, weightReuse = 1, examples: available } = situation;
  const rising =
    1 + Math.max(0, Math.ceil(Math.log(firstKept / Math.max(1 - sparsity, 1 / prunable)) / Math.log(stageRatio)));
  const reuses = weightReuse > mostReuse;
  const isDear = reuses || gaussNewtonCost(situation, rising) > affordable(situation);
  if (curvature === kroneckerName || (curvature === undefined && isDear && situation.hasLayerMoments)) {
    return kroneckerPlan(situation);
  }
  const stores = reuses && curvature !== "gauss-newton";
  const batch = stores ? Math.max(1, Math.min(largestBatch, Math.floor(available / 500))) : 1;
  const { stages, targetStages } = stores
    ? affordableSplit(situation, { rising, batch })
    : withoutDearStages(situation, split(situation, rising));
  const total = stages + targetStages;
  const sampled: RunPlan =
    stores || curvature === "empirical-fisher"
      ? { curvature: "empirical-fisher", examples: fisherRows, targetExamples: fisherRows }
      : { curvature: "gauss-newton", examples: total === 1 ? targetExamples : examples, targetExamples };
  // A single stage goes far on one model: its ridge is tried out, and softened probabilities keep it cautious.
  const single: RunPlan = stores
    ? { ridgeFactors: affordableRidges(situation, batch) }
    : { ridgeFactors: [0.6, 2, 6], temperature: 4 };
  return {
    ...sampled,
    stages,
    targetStages,
    schedule: "geometric",
    from: startSparsity(sparsity, stages, keptCount(prunable, sparsity)),
    batch,
    ridge: "auto",
    ...(total === 1 ? single : {}),
    firstOrder: true,
    lineSearch: true,
    tryMagnitude: true,
    regrow: true,
    growth: 0.1,
    ...(stores ? storedRows : {}),
    reason: reasonFor(total, stages, targetStages),
  };
}

/** What a run costs at most by default, in multiply-adds. */
function affordable({ prunable, weightReuse = 1, examples: available }: RunSituation): number {
  return Math.max(alwaysAffordable, mostEpochs * passesOfTraining * prunable * weightReuse * available);
}

/**
 * Multiply-adds of so many rising stages, and as many at the target as a plan that is free has, with the Gauss-Newton matrix. What a
 * dense layer costs falls with the weights still kept; the positions of a convolution cost the same however few are.
 */
function gaussNewtonCost(
  { sparsity, prunable, weightReuse = 1, examples: available }: RunSituation,
  stages: number,
): number {
  const passes = (count: number, kept: number): number =>
    Math.min(count, available) * (convolutionPasses * (weightReuse - 1) + densePasses * kept);
  let rising = 0;
  let before = 1;
  for (let i = 0; i < stages; i++) {
    const after = Math.max(1 - sparsity, firstKept / stageRatio ** i);
    rising += risingIterations * passes(examples, (before + after) / 2);
    before = after;
  }
  const atTarget = Math.max(leastTargetStages, stages) * targetIterations * passes(targetExamples, 1 - sparsity);
  return prunable * (rising + atTarget);
}

/** Where nobody asked for a number of stages, as many at the target as about eight epochs of training cost; light sparsities keep most weights, and their stages cost most. */
function withoutDearStages(
  situation: RunSituation,
  free: { stages: number; targetStages: number },
): { stages: number; targetStages: number } {
  const { sparsity, prunable, examples: available, stages: asked, targetStages } = situation;
  if (asked !== undefined || targetStages !== undefined) return free;
  const { rising, atTarget, others } = countedPasses;
  let spent = 0;
  let before = 1;
  for (let i = 0; i < free.stages; i++) {
    const after = Math.max(1 - sparsity, firstKept / stageRatio ** i);
    spent += Math.min(examples, available) * ((rising * (before + after)) / 2 + others) * prunable;
    before = after;
  }
  const stage = Math.min(targetExamples, available) * (atTarget * (1 - sparsity) + others) * prunable;
  const most = Math.max(leastDearStages, Math.floor((affordable(situation) - spent) / stage));
  return { ...free, targetStages: Math.min(free.targetStages, most) };
}

/**
 * With Kronecker factors a single stage goes all the way: they are of full rank, so its model is good farther out. Stages that are
 * asked for all rise, each with factors of its own; a gradient of a few thousand examples wins nothing beside them.
 */
function kroneckerPlan(situation: RunSituation): RunPlan {
  const { stages = 1, targetStages = 0, weightReuse = 1 } = situation;
  const { usual, manyUses, uses } = kroneckerExamples;
  const seen = weightReuse >= uses ? manyUses : usual;
  return {
    curvature: kroneckerName,
    examples: seen,
    targetExamples: seen,
    batch: 1,
    ridge: "auto",
    temperature: temperatureFor(situation),
    stages,
    targetStages,
    schedule: "geometric",
    from: 0,
    firstOrder: false,
    lineSearch: false,
    tryMagnitude: true,
    regrow: true,
    growth: 0,
    reason:
      stages + targetStages === 1
        ? "one stage: a Kronecker-factored curvature of every layer is of full rank, so one model of the loss goes all the way"
        : reasonFor(stages + targetStages, stages, targetStages),
  };
}

/** The split of stages with stored rows, where none were asked for no more than are affordable: half of those at the target. */
function affordableSplit(
  situation: RunSituation,
  { rising, batch }: { rising: number; batch: number },
): { stages: number; targetStages: number } {
  const { stages: asked, targetStages } = situation;
  const free = split(situation, rising);
  if (asked !== undefined || targetStages !== undefined) return free;
  const { gradients, ridge } = storedCost(situation, batch);
  // Ridges compete in a single stage only.
  const most = Math.max(1, Math.floor(affordable(situation) / (gradients + ridge)));
  if (free.stages + free.targetStages <= most) return free;
  const stages = Math.min(free.stages, Math.ceil(most / 2));
  return { stages, targetStages: Math.min(free.targetStages, most - stages) };
}

/** The ridges that compete in a single stage: the larger ones, as many as are affordable, or all where the stage was asked for. */
function affordableRidges(situation: RunSituation, batch: number): readonly number[] {
  if (situation.stages !== undefined) return storedRidges;
  const { gradients, ridge } = storedCost(situation, batch);
  return storedRidges.slice(-Math.max(1, Math.floor((affordable(situation) - gradients) / ridge)));
}

/** Multiply-adds of a stage with stored rows: of its gradients, and of solving and comparing with one ridge. */
function storedCost({ prunable, weightReuse = 1 }: RunSituation, batch: number): { gradients: number; ridge: number } {
  const rows = storedRows.examples!;
  const solving = rows * (rows / 2 + productsOfRows(rows));
  return {
    gradients: passesOfTraining * rows * batch * weightReuse * prunable,
    ridge: (comparedPasses * weightReuse + solving) * prunable,
  };
}

/** Rising stages, and stages at the target: as asked for where both are, else a number in all is halved. */
function split(
  { stages: asked, targetStages }: RunSituation,
  rising: number,
): { stages: number; targetStages: number } {
  if (targetStages !== undefined) return { stages: asked ?? rising, targetStages };
  if (asked === undefined) return { stages: rising, targetStages: Math.max(leastTargetStages, rising) };
  const half = asked === 1 ? 0 : Math.floor(asked / 2);
  return { stages: asked - half, targetStages: half };
}

/** The sparsity before stage 0 from which a geometric schedule keeps `firstKept` at stage 0 and the target at the last. */
function startSparsity(sparsity: number, stages: number, keep: number): number {
  if (stages === 1 || 1 - sparsity >= firstKept || keep === 0) return 0;
  const factor = ((1 - sparsity) / firstKept) ** (1 / (stages - 1));
  return Math.max(0, 1 - firstKept / factor);
}

function reasonFor(total: number, rising: number, atTarget: number): string {
  if (total === 1) {
    return "one stage: ridges compete on training examples set aside; give more stages for higher accuracy";
  }
  return `${rising} stage${rising === 1 ? "" : "s"} towards the target, ${atTarget} at it, each with fresh training examples, because a quadratic model is trusted only near the weights it was taken at`;
}
