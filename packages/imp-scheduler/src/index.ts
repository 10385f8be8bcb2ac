/**
 * @secateur/imp-scheduler: pruning and retraining in rounds: learning-rate schedules, phases, allocation of sparsity over layers.
 * @packageDocumentation
 */
export {
  type AllocationName,
  type AllocationOptions,
  allocation,
  allocationNames,
  allocations,
} from "./allocation/allocation.ts";
export { lampScores } from "./allocation/lamp.ts";
export { apportion } from "./allocation/layer-budget.ts";
export { layeredConstraint } from "./allocation/layered-constraint.ts";
export { random, randomSaliency } from "./allocation/random-solver.ts";
export { erkShares, uniformPlusFloors, uniformShares } from "./allocation/shares.ts";
export { bimpPhases } from "./phases/bimp-phases.ts";
export { cubicSparsity, gmpPhases } from "./phases/gmp-phases.ts";
export { gradualPhases } from "./phases/gradual-phases.ts";
export { impPhases } from "./phases/imp-phases.ts";
export { phaseFraction, phaseSparsities, splitEpochs, usualPhases } from "./phases/phase-sparsities.ts";
export {
  type AnyScheduleOptions,
  type BimpOptions,
  bimpSchedule,
  completeScheduleOptions,
  type GmpOptions,
  type GradualOptions,
  gmpSchedule,
  gradualSchedule,
  type ImpOptions,
  impSchedule,
} from "./phases/schedules.ts";
export { adaptivePeak, pruningScale } from "./rates/adaptive-peak.ts";
export { type Amplitude, amplitudes, cyclePeak, linearRate, triangularRate } from "./rates/budgeted-rates.ts";
export { leastRate, peakRate } from "./rates/dense-training.ts";
export { plotRates } from "./rates/plot-rates.ts";
export { cosineRate } from "./rates/restarted-cosine.ts";
export {
  type RetrainingName,
  type RetrainingSpec,
  retrainingNames,
  retrainingRate,
  retrainingRates,
  warmUpSteps,
} from "./rates/retraining-rates.ts";
