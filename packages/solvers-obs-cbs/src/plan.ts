/**
 * How the Brain Surgeon methods are run when the user leaves it open. Constants chosen on held-out training images: of MNIST,
 * and of CIFAR-10 for convolutions.
 */
import type { RunPlan, RunSituation } from "@secateur/core";

/** Rows of methods that need an inverse of the whole network's curvature: n^2 p / 2 multiply-adds for its diagonal. */
const inverseRows = 2000;

/** Rows of a method that works by products alone, as published for MLPNet, and at least. */
const productRows = 10_000;
const leastRows = 1000;
/** Beyond this many entries of G the rows become fewer. */
const mostEntries = 3.5e8;

/**
 * Weights used at more positions than this make gradient rows and Gauss-Newton products dear; as many rows as are affordable
 * leave nearly all directions of a convolutional network unseen. cbs takes a Kronecker product a layer there.
 */
const mostReuse = 8;
const kroneckerName = "kronecker-gauss-newton";
const kroneckerPlan: RunPlan = {
  stages: 1,
  curvature: kroneckerName,
  examples: 2000,
  batch: 1,
  ridge: "auto",
  temperature: 4,
  reason:
    "one stage; weights of convolutions are used often, so the curvature is a Kronecker product a layer, of full rank from few examples",
};

/** Rows of convolutional networks, where rows it must be: means of mini-batches, whose ridge is judged by training loss. */
const storedRows = 500;
const largestBatch = 16;
const storedRidges = [1e-2, 0.1, 1, 10] as const;

/**
 * The plan of obs and woodfisher: one stage of gradient rows, as published. Never looks at data. Convolutions too: scores by the
 * inverse of a Kronecker product were worse (ResNet20 at 80 %, held out: 63.5 % against 74.9 %), because they count on weights
 * that are removed as well to make up for each other.
 */
export function obsPlan(situation: RunSituation): RunPlan {
  if (situation.curvature === kroneckerName) return kroneckerPlan;
  return {
    stages: 1,
    curvature: "empirical-fisher",
    examples: inverseRows,
    batch: 1,
    ridge: "auto",
    reason: "one stage, as published; the rows are few enough for an exact inverse of the whole network's curvature",
    ...(reuses(situation) ? miniBatches(situation) : {}),
  };
}

/**
 * The plan of cbs: one stage on as many examples as products with them stay quick; the Gauss-Newton matrix with softened class
 * probabilities, which is trusted farther than the empirical Fisher, and for convolutions a Kronecker product a layer.
 * Never looks at data.
 */
export function cbsPlan(situation: RunSituation): RunPlan {
  if (takesKronecker(situation)) return kroneckerPlan;
  const { curvature } = situation;
  if (curvature === "empirical-fisher" || (reuses(situation) && curvature !== "gauss-newton")) {
    return cbsSelectorPlan({ ...situation, curvature: "empirical-fisher" });
  }
  return {
    stages: 1,
    curvature: "gauss-newton",
    examples: rowsFor(situation),
    batch: 1,
    ridge: "auto",
    ridgeFactors: [2],
    temperature: 2,
    reason:
      "one stage; no inverse is needed, so it takes many examples, and class probabilities are softened for the far step",
  };
}

/** The plan of the selector cbs, whose updater may need an inverse, and of cbs on stored rows. Never looks at data. */
export function cbsSelectorPlan(situation: RunSituation): RunPlan {
  if (takesKronecker(situation)) return kroneckerPlan;
  return {
    stages: 1,
    curvature: "empirical-fisher",
    examples: rowsFor(situation),
    batch: 1,
    ridge: "auto",
    // Many rows leave an automatic ridge small for a single far step.
    ridgeFactors: [2],
    reason: "one stage, as published; no inverse is needed, so it takes many gradient rows",
    ...(reuses(situation) ? miniBatches(situation) : {}),
  };
}

function reuses({ weightReuse = 1 }: RunSituation): boolean {
  return weightReuse > mostReuse;
}

/** Whether the Kronecker product is asked for, or nothing is and it is what convolutions are worth. */
function takesKronecker(situation: RunSituation): boolean {
  const { curvature, hasLayerMoments } = situation;
  return curvature === kroneckerName || (curvature === undefined && reuses(situation) && hasLayerMoments === true);
}

function miniBatches({ examples }: RunSituation): RunPlan {
  return {
    examples: storedRows,
    batch: Math.max(1, Math.min(largestBatch, Math.floor(examples / storedRows))),
    ridgeFactors: storedRidges,
    reason:
      "one stage; gradient rows of convolutions are dear, so each is the mean of a mini-batch, and ridges compete",
  };
}

function rowsFor({ prunable }: RunSituation): number {
  return Math.max(leastRows, Math.min(productRows, Math.floor(mostEntries / Math.max(1, prunable))));
}
