/**
 * @secateur/core: tensors, problems, constraints, the strategy interfaces, the runner, errors, seeded random numbers.
 * @packageDocumentation
 */

export { type BoundBudget, bindBudget } from "./budget/bound-budget.ts";
export type {
  Budget,
  CostFactor,
  CostModel,
  CostProduct,
  CostWay,
  Limit,
  LimitKind,
  LimitReached,
  UnitSpec,
} from "./budget/budget.ts";
export type { BudgetRequest, BudgetRule } from "./budget/budget-rule.ts";
export {
  type Constraint,
  countKept,
  keepCount,
  keptCount,
  keptFraction,
  type SwapCheck,
  sparsityConstraint,
} from "./budget/constraint.ts";
export { blockUnits, channelUnits, groupUnits } from "./budget/group-units.ts";
export { type KeepOfEverySpec, keepOfEvery } from "./budget/keep-of-every.ts";
export { type CostLimit, costConstraint } from "./budget/limits/cost-constraint.ts";
export { magnitudes } from "./budget/magnitudes.ts";
export { matchesPattern } from "./budget/name-pattern.ts";
export { shrinkingBudgets } from "./budget/shrinking-budgets.ts";
export { type ScheduleName, scheduleNames, sparsitySchedule } from "./budget/sparsity-schedule.ts";
export { keptPlaces, keptWeights, type Units, unitMask, weightMask, weightUnits } from "./budget/units.ts";
export { checkNumber, type NumberRange } from "./check-option.ts";
export {
  arrayDataset,
  assertFinite,
  type Batch,
  type BatchRoom,
  batchDataset,
  batches,
  type Dataset,
  inputName,
  inputRows,
  labelName,
  labelsOf,
  soleInput,
  subset,
  tensorDataset,
} from "./data/dataset.ts";
export {
  type DenseMoments,
  type InputChunk,
  type LayerCurvature,
  type LayerCurvatureEstimator,
  type LayerCurvatureRequest,
  type LayerInputs,
  type LayerInputsMode,
  type LayerInputsRequest,
  type LayerOffset,
  type LayerRows,
  type LayerTargets,
  passChunks,
} from "./data/layer-inputs.ts";
export type {
  GradientBlock,
  GradientRequest,
  GradientRows,
  HessianProducts,
  HessianRequest,
  LayerMoments,
  LayerReconstruction,
  Linearization,
  MeanGradient,
  Model,
  ModelBlock,
  Moments,
  MomentsRequest,
  ParamInfo,
  ReconstructionRequest,
} from "./data/model.ts";
export { momentExamples } from "./data/moment-examples.ts";
export {
  asFloats,
  asMatrix,
  asTensor,
  type FloatTensors,
  formatShape,
  mapTensors,
  sizeOfShape,
  type Tensor,
  type TensorDtype,
  type TensorSpec,
  type Tensors,
  type TypedArray,
  takeAllExamples,
  takeExamples,
  tensorDtypeOf,
  zerosLike,
} from "./data/tensor.ts";
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
  notFiniteOutput,
  resumeMismatch,
  shapeMismatch,
  sparsityOutOfRange,
  taskMismatch,
  unknownName,
} from "./errors.ts";
export type {
  ElementwiseFunction,
  ElementwiseInput,
  ElementwiseSpec,
  ElementwiseStep,
  SoftmaxSpec,
} from "./kernels/elementwise.ts";
export {
  checkElementwiseProgram,
  checkSoftmax,
  referenceElementwise,
  referenceSoftmax,
} from "./kernels/elementwise.ts";
export { erf } from "./kernels/erf.ts";
export { type KeptPool, keptPool } from "./kernels/kept-pool.ts";
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
  checkWindowGram,
  checkWindows,
  type GemmShape,
  type GramShape,
  type WindowsShape,
  windowsShape,
} from "./kernels/kernel-shapes.ts";
export type {
  AffineColumnsSpec,
  ConvolutionGradientsSpec,
  ConvolutionShape,
  ConvolveBackSpec,
  ConvolveSpec,
  CrossEntropySpec,
  GemmEachSpec,
  GemmSpec,
  GemvSpec,
  GramSpec,
  Kernels,
  MaxWindowsSpec,
  MomentumStepSpec,
  TriangularSolveSpec,
  WindowGramSpec,
  WindowShape,
  WindowsSpec,
} from "./kernels/kernels.ts";
export type {
  ChainGramSpec,
  ChainSquaresSpec,
  ChainTimesSpec,
  ChainTransposeTimesSpec,
  PanelChain,
  PanelLayer,
  PanelProductsSpec,
  SparseConvolution,
  SparseConvolveBackSpec,
  SparseConvolveSpec,
  SparseGradientsSpec,
  SparsePattern,
  SparseTimesSpec,
} from "./kernels/panels/panel-specs.ts";
export { panelWidth } from "./kernels/panels/panel-specs.ts";
export { checkChain, checkChainSquares } from "./kernels/panels/reference-chain.ts";
export { checkPanelProducts, checkSparseTimes } from "./kernels/panels/reference-sparse.ts";
export { checkSparseConvolution } from "./kernels/panels/reference-sparse-convolution.ts";
export { plainView } from "./kernels/plain-view.ts";
export { createPool, type Pool, withPool } from "./kernels/pool.ts";
export { referenceKernels } from "./kernels/reference-kernels.ts";
export { gramOfWindows, momentsOfWindows } from "./kernels/window-gram.ts";
export type { Allocation, AllocationRequest, BoundedLayer, LayerInfo } from "./plugin/allocation.ts";
export type { Architecture } from "./plugin/architecture.ts";
export { contentFault } from "./plugin/content-fault.ts";
export type { DatasetArray, DatasetRequest, DatasetSource, DatasetSplits } from "./plugin/dataset-source.ts";
export type { Format, StoredContent, StoredElements, StoredTensor } from "./plugin/format.ts";
export { noOptions } from "./plugin/no-options.ts";
export {
  defineCurvature,
  defineEntry,
  definePlugin,
  defineSaliency,
  defineSelector,
  defineSolver,
  defineUpdater,
  type EntryKind,
  type EntryOf,
  entryKinds,
  type OptionsSchema,
  optionProperties,
  type Plugin,
  type PluginEntry,
  parseOptions,
  pluginApi,
} from "./plugin/plugin.ts";
export { productFault, strayField, unknownKey } from "./plugin/product-fault.ts";
export type { Grid, QuantizedWeights, Quantizer } from "./plugin/quantizer.ts";
export type { ReportContent, Reporter, ReportRound, ReportRun } from "./plugin/reporter.ts";
export { reservedOptionOf, reservedOptions } from "./plugin/reserved-options.ts";
export type { DenseTraining, Phase, PruningLoss, Schedule, ScheduleRequest } from "./plugin/schedule.ts";
export { checkSolution } from "./problem/check-solution.ts";
export {
  type Curvature,
  type CurvatureBlock,
  type CurvatureView,
  type FactorView,
  factorCurvature,
  type InverseView,
  identityCurvature,
} from "./problem/curvature.ts";
export { countZeros, type FlatParam, layoutParams, readFlat, writeFlat } from "./problem/flat-weights.ts";
export { keepWeights, masked, selectorFrom, solverFrom } from "./problem/lift.ts";
export { type Dtype, dtypeOf, type Mask, type Mat, matrix, type Vec, zeros } from "./problem/matrix.ts";
export { assertNeeds, joinNeeds } from "./problem/needs.ts";
export type { Note } from "./problem/note.ts";
export { objective } from "./problem/objective.ts";
export type { Problem, ProblemSource, Solution, SolveStatus } from "./problem/problem.ts";
export type { Needs, Saliency, Selector, Solver, SolverWork, Updater } from "./problem/strategy.ts";
export { type Fault, isPruneError, PruneError } from "./prune-error.ts";
export type { EarlyStopping, StoppingState } from "./retraining/early-stopping.ts";
export type { Retrainer, RetrainingState, RetrainRequest, StateTensor } from "./retraining/retrainer.ts";
export type { Retraining } from "./retraining/retraining.ts";
export type { RoundReport } from "./retraining/round-report.ts";
export type { OpenRound, TrainingProgress } from "./retraining/training-progress.ts";
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
export type { Taken } from "./runner/accept-step.ts";
export type { CurvatureEstimator, Estimate, EstimateRequest, Estimators } from "./runner/curvature-estimator.ts";
export { expectedWork } from "./runner/expected-time.ts";
export type { RunLoss } from "./runner/finish-run.ts";
export { heldOutCount } from "./runner/held-out.ts";
export type { LayerLimit, LayerPlace, SharedLimit } from "./runner/layers/layer-budget.ts";
export type {
  LayerCapability,
  LayerLoop,
  LayerLoopRequest,
  LayerLoopResult,
  PrunedLayer,
  RefittedBlock,
} from "./runner/layers/layer-stage.ts";
export { type LayerReport, type PruneRequest, type PruneResult, prune } from "./runner/prune.ts";
export type { LayerNumbers, StageReport } from "./runner/run-stage.ts";
export type { RunState } from "./runner/run-state.ts";
export { withoutRegrowth } from "./runner/stage-constraint.ts";
export type { LayerSize, ResolvedPlan, RunPlan, RunSituation, UsedPlan } from "./stages/plan.ts";
export { defaultPlan, planSparsities, resolvePlan } from "./stages/resolve-plan.ts";
export { runSituation } from "./stages/run-situation.ts";
export {
  assertRising,
  makeStages,
  type Scope,
  type Stage,
  type StageCurvature,
  type StageTraining,
} from "./stages/stage.ts";
export { checkedLoss, firstNotFinite, type LossOrigin, lossFault, outputFactorFault } from "./task/check-loss.ts";
export { chooseTask } from "./task/choose-task.ts";
export {
  type Evaluation,
  evaluateBatches,
  gainOver,
  type MeasuredValue,
  mainMeasure,
  targetsOf,
} from "./task/evaluate.ts";
export { firstPartyTasks } from "./task/first-party-tasks.ts";
export { binary } from "./task/losses/binary.ts";
export { type ClassificationOptions, classification } from "./task/losses/classification.ts";
export { type DistillationOptions, distillation } from "./task/losses/distillation.ts";
export { withDrawnSlopes } from "./task/losses/drawn-slopes.ts";
export { type NextTokenOptions, nextToken } from "./task/losses/next-token.ts";
export { type PositionClassificationOptions, positionClassification } from "./task/losses/position-classification.ts";
export { type RegressionOptions, regression } from "./task/losses/regression.ts";
export { softmaxRows } from "./task/losses/softmax.ts";
export { type WeightedTask, weightedTasks } from "./task/losses/weighted-tasks.ts";
export { noteTask } from "./task/note-task.ts";
export { joinTaskParts, parseTask, type TaskPart, taskParts } from "./task/parse-task.ts";
export type { TaskNames } from "./task/read-task-tensors.ts";
export { scoresOfProbabilities } from "./task/scores-of-probabilities.ts";
export {
  type LossCall,
  type LossSum,
  type Measure,
  type OutputFactor,
  type OutputFactorCall,
  readsValues,
  type SoftmaxHessian,
  type Task,
} from "./task/task.ts";
export { type TeacherDataset, teacherDataset } from "./task/teacher-dataset.ts";
export {
  applyMask,
  beginRules,
  type RuleRun,
  type RuleSetup,
  type StepSpec,
} from "./training/begin-rules.ts";
export { assertRulesAgree } from "./training/check-rule.ts";
export {
  createMoments,
  type OptimizerMemory,
  type OptimizerSpec,
  type ParamStep,
  stepParam,
} from "./training/optimizer.ts";
export type {
  Reparameterization,
  RuleHooks,
  TrainingRule,
  TrainingSetup,
  TrainingStep,
} from "./training/training-rule.ts";
