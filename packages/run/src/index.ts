/** Putting a pruning run together from values: models, data and plugins come in, nothing is read from files. */
export type { CompareDocument, ComparedRun } from "./compare/compare-document.ts";
export { badEnding, badState, badUsage, flagWithoutEffect, unknownOption } from "./errors.ts";
export { type HeldNotes, holdNotes } from "./held-notes.ts";
export type { FoundEntry, SolverEntry } from "./plugins/found-entry.ts";
export { asSolver, isLiftable } from "./plugins/lift-entry.ts";
export { notePlugin } from "./plugins/note-plugin.ts";
export { optionsFromPairs, pairsBySolver, splitPair } from "./plugins/option-pairs.ts";
export {
  admits,
  admittedTypes,
  allowedValues,
  describeOption,
  describeRange,
  isDecimal,
  kebab,
  optionValue,
  valueLabel,
} from "./plugins/option-schema.ts";
export { resolveOptions } from "./plugins/resolve-options.ts";
export { type ProfiledPart, profileRun, type RunProfile } from "./profile/profile-run.ts";
export { type AugmentationFlags, type ReestimateTime, reestimateTimes } from "./prune/augmentation.ts";
export { type PosedTask, poseTask } from "./prune/pose-task.ts";
export { needsGradients, type PruneOutcome, pruneNetwork } from "./prune/prune-network.ts";
export { mapDataPaths } from "./recipe/data-spec.ts";
export {
  arePattern,
  isLimited,
  type LimitSettings,
  limitKeys,
  parseUnits,
  soleOfEvery,
  unitsAllowed,
} from "./recipe/limits.ts";
export { gradientPlanKeys, type PlanKey, planKeys } from "./recipe/plan-keys.ts";
export { recipeKinds, recipeTemplate } from "./recipe/recipe-template.ts";
export { sensitiveLayers } from "./sensitivity/propose-dense.ts";
export type { SensitivityDocument } from "./sensitivity/sensitivity-document.ts";
export { type KernelChoice, kernelChoices, type Session } from "./session.ts";
export { type SweepDocument, sweepBytes } from "./sweep/sweep-document.ts";
