/**
 * @secateur/core: tensors, problems, constraints, the strategy interfaces, the runner, errors, seeded random numbers.
 * @packageDocumentation
 */
export { checkNumber, type NumberRange } from "./check-option.ts";
export {
  type Constraint,
  countKept,
  keepCount,
  keptCount,
  type RemovalWalk,
  sparsityConstraint,
} from "./constraint.ts";
export {
  type Curvature,
  type CurvatureBlock,
  type CurvatureView,
  type FactorView,
  factorCurvature,
  type InverseView,
  identityCurvature,
} from "./curvature.ts";
export type { CurvatureEstimator, Estimate, EstimateRequest } from "./curvature-estimator.ts";
export { arrayDataset, assertFinite, type Batch, batches, type Dataset, subset, takeRows } from "./dataset.ts";
export { describeDifferences } from "./describe-differences.ts";
export {
  aborted,
  badOption,
  impossibleRun,
  incompatible,
  keepOutOfRange,
  labelOutOfRange,
  nearestName,
  notFinite,
  resumeMismatch,
  shapeMismatch,
  sparsityOutOfRange,
  unknownName,
} from "./errors.ts";
export { countZeros, type FlatParam, layoutParams, readFlat, writeFlat } from "./flat-weights.ts";
export { blockUnits, channelUnits, groupUnits } from "./group-units.ts";
export { type KeepOfEverySpec, keepOfEvery } from "./keep-of-every.ts";
export {
  checkAddRow,
  checkAffineColumns,
  checkCholesky,
  checkColumnDots,
  checkColumnSums,
  checkConvolutionGradients,
  checkConvolve,
  checkConvolveBack,
  checkCrossEntropy,
  checkElementwise,
  checkGatherColumns,
  checkGemm,
  checkGemv,
  checkGram,
  checkLargest,
  checkMaxWindows,
  checkRowDots,
  checkScaleRows,
  checkTransposeBlocks,
  checkTriangularSolve,
  checkWindows,
  type GemmShape,
  type GramShape,
  type WindowsShape,
  windowsShape,
} from "./kernel-shapes.ts";
export type {
  AffineColumnsSpec,
  ConvolutionGradientsSpec,
  ConvolutionShape,
  ConvolveBackSpec,
  ConvolveSpec,
  CrossEntropySpec,
  GemmSpec,
  GemvSpec,
  GramSpec,
  Kernels,
  MaxWindowsSpec,
  TriangularSolveSpec,
  WindowShape,
  WindowsSpec,
} from "./kernels.ts";
export { keepWeights, masked, selectorFrom, solverFrom } from "./lift.ts";
export { type Dtype, dtypeOf, type Mask, type Mat, matrix, type Vec, zeros } from "./matrix.ts";
export type {
  Evaluation,
  GradientBlock,
  GradientRequest,
  GradientRows,
  LayerMoments,
  Linearization,
  MeanGradient,
  ModelAdapter,
  Moments,
  MomentsRequest,
  ParamInfo,
} from "./model-adapter.ts";
export { assertNeeds, joinNeeds } from "./needs.ts";
export { objective } from "./objective.ts";
export type { ResolvedPlan, RunPlan, RunSituation } from "./plan.ts";
export {
  defineCurvature,
  definePlugin,
  defineSaliency,
  defineSelector,
  defineSolver,
  defineUpdater,
  type OptionsSchema,
  optionProperties,
  type Plugin,
  type PluginEntry,
  parseOptions,
} from "./plugin.ts";
export type { Problem, Solution, SolveStatus } from "./problem.ts";
export { type LayerReport, type PruneRequest, type PruneResult, prune, type RunState } from "./prune.ts";
export { type Fault, isPruneError, PruneError } from "./prune-error.ts";
export { referenceKernels } from "./reference-kernels.ts";
export { defaultPlan, planSparsities, resolvePlan } from "./resolve-plan.ts";
export type { Retrainer, RetrainingState, RetrainRequest, StateTensor } from "./retrainer.ts";
export { createRng, type Rng, sampleIndices } from "./rng.ts";
export {
  createRunContext,
  forkContext,
  quietContext,
  type RunContext,
  type RunContextOptions,
  type RunEvent,
  throwIfAborted,
} from "./run-context.ts";
export { runSituation } from "./run-situation.ts";
export { type ScheduleName, scheduleNames, sparsitySchedule } from "./sparsity-schedule.ts";
export type { BudgetRequest, BudgetRule, StageReport } from "./stage.ts";
export type { Needs, Saliency, Selector, Solver, Updater } from "./strategy.ts";
export { keptWeights, type Units, weightUnits } from "./units.ts";
