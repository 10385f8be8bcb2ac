/** The same from files: plugins from node_modules, models, data, recipes and saved states. */

export { assertEnding, assertInputsThere, assertNotInput, dataPaths, type OutputPlace } from "./check-places.ts";
export type { ColumnSettings } from "./columns/column-places.ts";
export { solveByColumns } from "./columns/solve-by-columns.ts";
export { compareText } from "./compare/compare-text.ts";
export type { ComparedSolver } from "./compare/compared-method.ts";
export type { SettingSpec } from "./compare/compared-setting.ts";
export { runCompare } from "./compare/run-compare.ts";
export { cutText } from "./cut/cut-text.ts";
export { type CutDocument, runCut } from "./cut/run-cut.ts";
export { type EventLog, openEventLog } from "./event-log.ts";
export { explainEntry } from "./explain/explain-entry.ts";
export { explainSchedule, type ShownSchedule } from "./explain/explain-schedule.ts";
export { planSituation } from "./explain/plan-situation.ts";
export { checkModelPlace } from "./export/check-model-place.ts";
export { convertText, runConvert } from "./export/run-convert.ts";
export { compressedSizes } from "./inspect/compressed-sizes.ts";
export { inspectedGraphText } from "./inspect/inspect-onnx.ts";
export { type InspectDocument, runInspect } from "./inspect/run-inspect.ts";
export { layersElsewhere } from "./jobs/layers-elsewhere.ts";
export { mergeParts } from "./jobs/merge-parts.ts";
export type { JobReport } from "./jobs/run-jobs.ts";
export { runStatus, runWorker, statusText, workerText } from "./jobs/run-worker.ts";
export { runsElsewhere } from "./jobs/runs-elsewhere.ts";
export { asksForJobs, refuseContradictions, type WorkFlags } from "./jobs/work-place.ts";
export { workText } from "./jobs/work-text.ts";
export { isOnnxModel } from "./large/is-onnx-model.ts";
export { type BatchNormSettings, batchNormFor, reestimate, remeasuring } from "./norm/batch-norm.ts";
export { batchNormOfModel, chosenDense, remeasuringModel } from "./open/any-model-settings.ts";
export { describedArchitecture, namedArchitecture } from "./open/architecture/described-architecture.ts";
export { architectureKey } from "./open/architecture/resolve-architecture.ts";
export { encodeNetwork } from "./open/encode-network.ts";
export { type InputChoices, readInputChoices } from "./open/input-choices.ts";
export { type EngineChoice, engineChoices, startTensorflow } from "./open/load-tensorflow.ts";
export { type AnyModel, openAnyModel, ownNetwork } from "./open/open-any-model.ts";
export { openData } from "./open/open-data.ts";
export { openKernels } from "./open/open-kernels.ts";
export { type OpenedModel, openModel, readModelFile } from "./open/open-model.ts";
export { isTfjsModel, modelFile, readTfjsFiles } from "./open/open-tfjs.ts";
export { findChromium, howToGetChromium } from "./pack/browser/find-chromium.ts";
export { readCosts, runCalibrate } from "./pack/costs-file.ts";
export { onnxPackGraph, type PackedOnnx } from "./pack/onnx-graph.ts";
export { packText } from "./pack/pack-text.ts";
export { type BenchDocument, type BenchModel, benchModel, runBench } from "./pack/run-bench.ts";
export { type PackDocument, type PackSettings, runPack } from "./pack/run-pack.ts";
export { runUnpack, type UnpackDocument, unpackText } from "./pack/run-unpack.ts";
export { stockOfNetwork } from "./pack/stock-forms.ts";
export { findAnyEntry, findCurvature, findEntry } from "./plugins/find-entry.ts";
export { findEncoder } from "./plugins/find-format.ts";
export { findReporter } from "./plugins/find-reporter.ts";
export { findSolver, solverNameFrom } from "./plugins/find-solver.ts";
export { findTask } from "./plugins/find-task.ts";
export { firstPartyPlugins } from "./plugins/first-party.ts";
export { hiddenByOwn } from "./plugins/hidden-plugins.ts";
export { installedPlugins } from "./plugins/installed-plugins.ts";
export { withOptionOwners } from "./plugins/option-owners.ts";
export { ownVersion } from "./plugins/own-version.ts";
export { unmetPeers } from "./plugins/unmet-peers.ts";
export { statedKeys, statedText } from "./preprocessing/preprocessing.ts";
export { checkPruneOutputs } from "./prune/finished-prune.ts";
export {
  biasSettings,
  type LayersSettings,
  layerAllocationChoices,
  layerInputsModes,
  layerTargets,
} from "./prune/layers-settings.ts";
export type { PruneRun } from "./prune/measured-run.ts";
export { modelPlace } from "./prune/model-place.ts";
export type { PruneDocument } from "./prune/prune-document.ts";
export type { PruneOutputs } from "./prune/prune-outputs.ts";
export type { PruneSettings } from "./prune/prune-settings.ts";
export { pruneText } from "./prune/prune-text.ts";
export { runPrune } from "./prune/run-prune.ts";
export { recipePath, statePath } from "./recipe/encode-recipe.ts";
export { readRecipe } from "./recipe/read-recipe.ts";
export type { RecipeFile } from "./recipe/recipe.ts";
export { completeSettings, graphTraining } from "./retrain/complete-settings.ts";
export { retrainNetwork } from "./retrain/retrain-network.ts";
export { denseTraining, makeSchedule, planPhases } from "./retrain/retrain-plan.ts";
export { type DenseSettings, type RetrainFlag, type RetrainSettings, retrainFlags } from "./retrain/retrain-schema.ts";
export {
  type AllocationSettings,
  parseAllocation,
  parseRetrain,
  retrainNames,
} from "./retrain/retrain-settings.ts";
export { retrainerOf } from "./retrain/retrainer-of.ts";
export { readRecord } from "./retrain/training-record.ts";
export { optimizerNames, optimizerOf, rateNames, trainDefaults } from "./retrain/training-settings.ts";
export { runSensitivity, sensitivityDefaults } from "./sensitivity/run-sensitivity.ts";
export { readArrays } from "./solve/read-arrays.ts";
export { runSolve, type SolveDocument, type SolveSpec } from "./solve/run-solve.ts";
export { comparisonStatePath } from "./state/comparison-file.ts";
export { type FinishedRun, isFinishedRun } from "./state/finished-run.ts";
export { trainingPath } from "./state/training-file.ts";
export { runSweep } from "./sweep/run-sweep.ts";
export { sweepText } from "./sweep/sweep-text.ts";
export { epochPath, runTrain, type TrainDocument } from "./train/run-train.ts";
export type { TrainSettings } from "./train/train-settings.ts";
export { versions } from "./versions.ts";
