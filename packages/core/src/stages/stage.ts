/**
 * A run as data: a list of stages, each of which prunes to a sparsity and, where it says so, trains what is kept. One shot, CHITA++, IMP,
 * GMP, BIMP and gradual pruning differ in the list only. A solver's plan says how a target is reached in stages, a schedule of
 * retraining to which targets it is pruned one after the other.
 */
import type { Limit } from "../budget/budget.ts";
import { keptCount } from "../budget/constraint.ts";
import type { LayerInputsMode } from "../data/layer-inputs.ts";
import { badOption, sparsityFalls, sparsityOutOfRange } from "../errors.ts";
import type { Phase } from "../plugin/schedule.ts";
import type { Solver } from "../problem/strategy.ts";
import type { ResolvedPlan, RunPlan, RunSituation } from "./plan.ts";
import { planSparsities, resolvePlan } from "./resolve-plan.ts";

/**
 * What is one problem: all weights flattened to one row, or one layer at a time, whose rows share the H of its inputs: those of the
 * network pruned so far ("sequential") or of the network before the stage ("parallel"), on `examples` calibration examples
 * at most (default: all).
 */
export type Scope =
  | { readonly kind: "network" }
  | { readonly kind: "layers"; readonly inputs: LayerInputsMode; readonly examples?: number };

/** How the curvature of a stage is estimated; the fields are those of {@link RunPlan}. */
export type StageCurvature = Pick<ResolvedPlan, "batch" | "ridge" | "ridgeFactors" | "temperature" | "firstOrder"> & {
  /** Of the estimator. */
  readonly name: string;
  /** Gradient rows. */
  readonly rows: number;
};

/** Training after a stage. */
export interface StageTraining {
  readonly epochs: number;
  /** Whether the optimizer remembers the training before. */
  readonly keepsMomentum: boolean;
}

/** One stage of a run. */
export interface Stage {
  /** Fraction of the prunable weights that is removed when it is done, in [0, 1). */
  readonly sparsity: number;
  /** Where other things than single weights are limited: what holds then. */
  readonly limits?: readonly Limit[];
  readonly scope: Scope;
  /** Whether there is anything to prune; not in the dense training that BIMP begins with. */
  readonly prunes: boolean;
  /** Absent for a solver that takes no gradients. */
  readonly curvature?: StageCurvature;
  /** What competes when its step is accepted, see {@link RunPlan}. */
  readonly accept: Pick<ResolvedPlan, "lineSearch" | "tryMagnitude">;
  /** Whether pruned weights may come back. */
  readonly regrow: boolean;
  /** Pruned weights put on trial, as a fraction of the kept ones. */
  readonly regrowFraction: number;
  /** Ends a round: what is kept is trained. Absent: the next stage goes on from the solver's weights. */
  readonly train?: StageTraining;
}

/**
 * The stages of a run.
 *
 * @param spec.situation - of the dense network
 * @param spec.reached - sparsity of the mask that the run starts from, below which no stage goes; default: the situation's zeros
 * @param spec.takesGradients - whether the solver is given the curvature of the network
 * @param spec.scope - default: the network
 * @param spec.limitsAt - the limits of a stage at a sparsity, where other things than single weights are limited
 * @param spec.phases - targets one after the other, each trained at; default: the situation's sparsity, without training
 * @returns the list, and the plan of the last target that prunes
 * @throws ERR_OPTION for sparsities that fall, and as {@link resolvePlan}
 */
export function makeStages(spec: {
  solver: Solver;
  situation: RunSituation;
  reached?: number;
  takesGradients: boolean;
  scope?: Scope | undefined;
  overrides?: RunPlan | undefined;
  limitsAt?: (sparsity: number) => readonly Limit[];
  phases?: readonly Phase[] | undefined;
}): { readonly plan: ResolvedPlan; readonly stages: readonly Stage[] } {
  const { situation, takesGradients, scope = { kind: "network" }, overrides, phases } = spec;
  // What a solver advises for the weights of the whole network does not hold for single layers.
  const isForLayers = scope.kind === "layers" && spec.solver.scope !== "layers";
  const solver = isForLayers ? withoutPlan(spec.solver) : spec.solver;
  const { prunable } = situation;
  if (phases) assertRising(phases.map(({ sparsity }) => sparsity));
  const stages: Stage[] = [];
  let plan: ResolvedPlan | undefined;
  let reached = spec.reached ?? situation.initialSparsity;
  for (const [index, phase] of (phases ?? [undefined]).entries()) {
    const sparsity = phase?.sparsity ?? situation.sparsity;
    // A phase at the sparsity reached already has nothing to prune; where nothing is kept, nothing can be pruned.
    const prunes = phase ? keptCount(prunable, sparsity) < Math.round((1 - reached) * prunable) : reached < 1;
    const initialSparsity = index === 0 ? situation.initialSparsity : reached;
    if (prunes || !plan) plan = resolvePlan(solver, { ...situation, sparsity, initialSparsity }, overrides);
    const own = prunes
      ? pruningStages({ plan, sparsity, scope, takesGradients, reached })
      : phase
        ? [idleStage(reached, scope)]
        : [];
    if (phase)
      own.push({ ...own.pop()!, train: { epochs: phase.epochs, keepsMomentum: phase.keepsMomentum === true } });
    stages.push(...own.map((stage) => (spec.limitsAt ? { ...stage, limits: spec.limitsAt(stage.sparsity) } : stage)));
    if (prunes) reached = Math.max(reached, 1 - keptCount(prunable, sparsity) / prunable);
  }
  return { plan: plan!, stages };
}

/** Refuses no sparsities, and those out of range or falling. @throws ERR_SPARSITY_RANGE, ERR_OPTION */
export function assertRising(sparsities: readonly number[]): void {
  if (sparsities.length === 0) throw badOption("stages", "there is not one phase to prune for; give at least one");
  sparsities.forEach((sparsity, index) => {
    if (!(sparsity >= 0 && sparsity < 1)) throw sparsityOutOfRange(`stage ${index + 1}`, sparsity);
    const before = sparsities[index - 1] ?? 0;
    if (sparsity < before) throw sparsityFalls(before, sparsity);
  });
}

function withoutPlan({ plan: _plan, ...solver }: Solver): Solver {
  return solver;
}

function idleStage(sparsity: number, scope: Scope): Stage {
  const accept = { lineSearch: false, tryMagnitude: false };
  return { sparsity, scope, prunes: false, accept, regrow: false, regrowFraction: 0 };
}

/** The stages on the way to one target. */
function pruningStages(spec: {
  plan: ResolvedPlan;
  sparsity: number;
  scope: Scope;
  takesGradients: boolean;
  reached: number;
}): Stage[] {
  const { plan, scope, takesGradients, reached } = spec;
  const { stages, targetStages, examples, targetExamples, regrow, growth, lineSearch, tryMagnitude } = plan;
  const { curvature: name, batch, ridge, ridgeFactors, temperature, firstOrder } = plan;
  return planSparsities(plan, spec.sparsity).map((sparsity, index): Stage => {
    const sinceTarget = index - stages;
    const rows = sinceTarget >= 0 ? targetExamples : examples;
    return {
      // Nothing is brought back unasked.
      ...{ sparsity: Math.max(sparsity, reached), scope, prunes: true },
      ...(takesGradients ? { curvature: { name, rows, batch, ridge, ridgeFactors, temperature, firstOrder } } : {}),
      accept: { lineSearch, tryMagnitude },
      regrow,
      regrowFraction: sinceTarget >= 0 && regrow ? growth * (1 - sinceTarget / targetStages) : 0,
    };
  });
}
