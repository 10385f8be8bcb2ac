/**
 * @secateur/conformance: suites that a solver, saliency, selector, updater, curvature estimator, backend, format or model runs
 * to prove itself, under vitest, node:test or any runner with a `test(name, function)`.
 * @packageDocumentation
 */
export { denseHessian, minimiserOn, type Optimum, optimumOf } from "./brute-force.ts";
export { type Budget, type BudgetKind, budgetOf } from "./budgets.ts";
export { type Check, type CheckResult, type RegisterTest, registerChecks, runChecks } from "./check.ts";
export { countingContext } from "./counting-context.ts";
export { type CurvatureSpec, curvatureChecks, describeCurvature } from "./curvature-checks.ts";
export {
  describeFormat,
  type FormatContent,
  type FormatDtype,
  type FormatElements,
  type FormatSample,
  type FormatSpec,
  type FormatTensor,
  formatChecks,
} from "./format-checks.ts";
export { describeKernels, type KernelsSpec, kernelChecks } from "./kernel-checks.ts";
export {
  describeSaliency,
  describeSelector,
  describeUpdater,
  type RungSpec,
  saliencyChecks,
  selectorChecks,
  type UpdaterSpec,
  updaterChecks,
} from "./ladder-checks.ts";
export { describeModel, type ModelSpec, modelChecks } from "./model-checks.ts";
export { describePlugin, type EntryClaims, type PluginSpec, pluginChecks } from "./plugin-checks.ts";
export { describeSolver, solverChecks } from "./solver-checks.ts";
export type { OptimalityClaim, Refusal, SolverSpec, SolverSuite } from "./solver-suite.ts";
export { type TinyCurvatureSpec, tinyCurvature } from "./tiny-curvature.ts";
export { tinyData, tinyModel } from "./tiny-model.ts";
export { type Awkwardness, type TinyProblem, type TinySpec, tinyProblem } from "./tiny-problems.ts";
