/**
 * @secateur/conformance: suites that a solver, saliency, selector, updater, curvature estimator, backend, format, task or model runs
 * to prove itself, under vitest, node:test or any runner with a `test(name, function)`.
 * @packageDocumentation
 */

export { type Check, type CheckResult, type RegisterTest, registerChecks, runChecks } from "./check.ts";
export { countingContext } from "./counting-context.ts";
export {
  describeFormat,
  type FormatSample,
  type FormatSpec,
  formatChecks,
} from "./format-checks.ts";
export type { FormatDtype } from "./format-contents.ts";
export { describeKernels, type KernelsSpec, kernelChecks } from "./kernels/kernel-checks.ts";
export { type AllocationSpec, allocationChecks, describeAllocation } from "./kinds/allocation-checks.ts";
export { describeQuantizer, type QuantizerSpec, quantizerChecks } from "./kinds/quantizer-checks.ts";
export { describeSchedule, type ScheduleSpec, scheduleChecks } from "./kinds/schedule-checks.ts";
export { type CurvatureSpec, curvatureChecks, describeCurvature } from "./models/curvature-checks.ts";
export { describeModel, type ModelSpec, modelChecks } from "./models/model-checks.ts";
export { type TinyCurvatureSpec, tinyCurvature } from "./models/tiny-curvature.ts";
export { tinyData, tinyModel } from "./models/tiny-model.ts";
export { describePlugin, type EntryClaims, type PluginSpec, pluginChecks } from "./plugin-checks.ts";
export { denseHessian, minimiserOn, type Optimum, optimumOf } from "./solvers/brute-force.ts";
export { type Budget, type BudgetKind, budgetOf } from "./solvers/budgets.ts";
export {
  describeSaliency,
  describeSelector,
  describeUpdater,
  type RungSpec,
  saliencyChecks,
  selectorChecks,
  type UpdaterSpec,
  updaterChecks,
} from "./solvers/ladder-checks.ts";
export { describeSolver, solverChecks } from "./solvers/solver-checks.ts";
export type { OptimalityClaim, Refusal, SolverSpec, SolverSuite } from "./solvers/solver-suite.ts";
export { type Awkwardness, type TinyProblem, type TinySpec, tinyProblem } from "./solvers/tiny-problems.ts";
export { describeTask, type TaskSpec, taskChecks } from "./tasks/task-checks.ts";
export { describeTrainingRule, type TrainingRuleSpec, trainingRuleChecks } from "./training/rule-checks.ts";
