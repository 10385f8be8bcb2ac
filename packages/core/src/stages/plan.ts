import type { ScheduleName } from "../budget/sparsity-schedule.ts";

/** What the weights of a layer are multiplied with. */
export interface LayerSize {
  /** Of its canonical matrix. */
  readonly rows: number;
  readonly cols: number;
  /** Of a grouped convolution; else 1. */
  readonly groups: number;
  /** At how many positions of an example each weight is used. */
  readonly positions: number;
}

/** What a solver knows when it is asked for its plan: the size of the task, never the test data. */
export interface RunSituation {
  /** The sparsity to reach. */
  readonly sparsity: number;
  /** Number of prunable weights. */
  readonly prunable: number;
  /** Number of training examples; a solver is told how many are left for gradients where some are held out. */
  readonly examples: number;
  /** How many of those the run sets aside to accept steps on; default: as many as {@link heldOutCount} says. */
  readonly heldOut?: number;
  /** Sparsity of the weights as they come in. */
  readonly initialSparsity: number;
  /** Multiply-adds of a forward pass of one example per prunable weight: 1 for dense layers, the positions for convolutions. Default 1. */
  readonly weightReuse?: number;
  /** The prunable weights, by layer. Default: not known. */
  readonly layers?: readonly LayerSize[];
  /** Classes that an output of the model tells apart, the most of any; absent: not known. */
  readonly classes?: number;
  /** Whether the model gives second moments of its layers, which Kronecker factors are made of. Default false. */
  readonly hasLayerMoments?: boolean;
  /** The number of stages the user asked for, those at the target included; absent: the plan is free. */
  readonly stages?: number;
  /** How many of them are to be at the target, where the user said so; `stages` are then the rising ones. */
  readonly targetStages?: number;
  /** The curvature the user asked for; absent: the plan is free. */
  readonly curvature?: string;
}

/**
 * How to run a solver over stages. Everything the user does not set comes from the solver's plan; what neither sets comes
 * from {@link defaultPlan}.
 */
export interface RunPlan {
  /** Stages with growing sparsity, >= 1. */
  readonly stages?: number | undefined;
  /** Further stages at the target sparsity, >= 0, with fresh gradients each. */
  readonly targetStages?: number | undefined;
  readonly schedule?: ScheduleName | undefined;
  /** Sparsity the schedule starts from, in [0, 1). */
  readonly from?: number | undefined;
  /** Which curvature, by the name of its estimator: for whoever assembles the run. */
  readonly curvature?: string | undefined;
  /** Gradient rows (examples, for a Gauss-Newton curvature) a stage, >= 1. */
  readonly examples?: number | undefined;
  /** The same for the stages at the target. */
  readonly targetExamples?: number | undefined;
  /** Training examples averaged into one gradient row, >= 1. */
  readonly batch?: number | undefined;
  /** Damping added to H, >= 0; "auto" lets the estimator choose. */
  readonly ridge?: number | "auto" | undefined;
  /** Multiples of an automatic ridge to try; the lowest loss on held-out training examples wins. */
  readonly ridgeFactors?: readonly number[] | undefined;
  /** Divides the logits where the curvature uses class probabilities; above 1 it softens over-confident ones. */
  readonly temperature?: number | undefined;
  /** Whether the first-order term g'd takes part. */
  readonly firstOrder?: boolean | undefined;
  /** Short for the task distillation at this plan's temperature: the loss leads back to the class probabilities of the dense network. */
  readonly distill?: boolean | undefined;
  /**
   * Whether a step is halved, up to twice, while that lowers the loss of held-out training examples (of all where they are too few to
   * spare any), and at the target left out where none lowers it. After a halved step the next automatic ridge is
   * doubled, after a full one halved again.
   */
  readonly lineSearch?: boolean | undefined;
  /** Whether the largest magnitudes, as they are, stand for choice in a stage where no step is accepted, and at the end where weights were re-fitted. */
  readonly tryMagnitude?: boolean | undefined;
  /** Whether a pruned weight may come back in a later stage. */
  readonly regrow?: boolean | undefined;
  /** Pruned weights put on trial in a stage at the target, as a fraction of the kept ones; falls to 0 over those stages. */
  readonly growth?: number | undefined;
  /** Why, in a sentence or two, for `explain` and the report. */
  readonly reason?: string | undefined;
}

/** A plan with every field decided. */
export type ResolvedPlan = { readonly [Key in keyof RunPlan]-?: Exclude<RunPlan[Key], undefined> };

/** The part of a plan that a run without gradients follows too. */
type PlainPlanKey = "stages" | "targetStages" | "schedule" | "from" | "regrow" | "reason";

/** What of a plan was used: without gradients the fields that only they read are absent. */
export type UsedPlan = Pick<ResolvedPlan, PlainPlanKey> & Partial<Omit<ResolvedPlan, PlainPlanKey>>;
