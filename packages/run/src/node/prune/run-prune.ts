/** One run of pruning from settings to files. */
import { join, resolve } from "node:path";
import type { Model, Task } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import type { FittedOffsets } from "@secateur/solvers-layerwise";
import { keepsAll, overflowed } from "../../errors.ts";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import { notePlugin } from "../../plugins/note-plugin.ts";
import { kebab } from "../../plugins/option-schema.ts";
import { unreadOptions } from "../../plugins/unread-options.ts";
import { type PosedTask, poseTask } from "../../prune/pose-task.ts";
import { type PruneTask, pruneNetwork } from "../../prune/prune-network.ts";
import type { Session } from "../../session.ts";
import { peakMemoryBytes } from "../memory.ts";
import { batchNormOfModel, chosenDense, noteCorrected, remeasuringModel } from "../open/any-model-settings.ts";
import type { BatchNormSettings } from "../open/batch-norm.ts";
import { type Following, followingBiases } from "../open/bias-matching.ts";
import { type AnyModel, hasFiniteWeights, openAnyModel, ownNetwork, refuseTfjs } from "../open/open-any-model.ts";
import { openData } from "../open/open-data.ts";
import { findCurvature } from "../plugins/find-entry.ts";
import { findTask } from "../plugins/find-task.ts";
import { portableRecipe } from "../recipe/encode-recipe.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { type CompleteSettings, completeSettings, recordOf } from "../retrain/complete-settings.ts";
import { retrainNetwork } from "../retrain/retrain-network.ts";
import { makeSchedule } from "../retrain/retrain-plan.ts";
import { settingsByTrial } from "../retrain/settings-by-trial.ts";
import { type FinishedRun, finishedRun, requestHash } from "../state/finished-run.ts";
import { openRunKeeper } from "../state/run-keeper.ts";
import { versions } from "../versions.ts";
import { checkPruneOutputs, isPruneFinished } from "./finished-prune.ts";
import { layerScope } from "./layer-scope.ts";
import { type PruneDocument, pruneDocument, type RunOutcome } from "./prune-document.ts";
import type { PruneOutputs } from "./prune-outputs.ts";
import type { PruneSettings } from "./prune-settings.ts";
import { type RunBudget, runBudget } from "./run-budget.ts";
import { saveResults } from "./save-results.ts";

/** What a run is told beside its settings. */
export interface PruneRun {
  readonly settings: PruneSettings;
  readonly outputs: PruneOutputs;
  readonly session: Session;
  /** The folder from which plugins and TensorFlow.js are looked for, and that relative paths start from. */
  readonly cwd: string;
  /** Whether to go on from the state that an interrupted run left; a state is removed otherwise. */
  readonly resume: boolean;
  /** The report; called only where the outputs name a file for it. */
  makeReport(document: PruneDocument, outcome: RunOutcome): Promise<string | Uint8Array>;
}

/**
 * Opens model and data, prunes, measures before and after, and writes the pruned network, its recipe and its report. The state
 * between stages stands beside the output while the run is under way; whoever called removes it at the end. Asked to go on with
 * a run that is finished, it writes nothing.
 *
 * @throws whatever is wrong with the input, ERR_OVERFLOW, ERR_ABORTED
 */
export async function runPrune(spec: PruneRun): Promise<PruneDocument | FinishedRun> {
  const { settings, outputs, session, cwd } = spec;
  const { arch, engine, includeFrozen } = settings;
  const { now } = session.context();
  const started = now();
  if (settings.retrain) await refuseTfjs(settings.model, "--retrain");
  const model = await openAnyModel({
    path: settings.model,
    arch,
    engine,
    includeFrozen,
    cwd,
    onEvent: session.onEvent,
    // Where weights are trained, or pruned layer by layer, every use of a tied weight is a parameter of its own.
    untie: settings.retrain !== undefined || settings.layers !== undefined,
  });
  noteArchitecture(model, session);
  const asked = portableRecipe(recipeOf({ settings, retrain: settings.retrain, model, session }), outputs.recipe);
  const requestSha256 = requestHash(requestOf(asked));
  if (spec.resume && (await isPruneFinished(outputs, requestSha256))) {
    model.close();
    return finishedRun(outputs.out, session);
  }
  await checkPruneOutputs(outputs);
  notePlugin(settings.found, session);
  const { pruned: params, dense: keptDense } = chosenDense(model, settings.keepDense);
  if (params.length === 0) throw keepsAll(settings.model);
  const budget = runBudget(settings, model, params);
  const opened = await openSource(spec, model);
  const retrain = await completeRetrain({ settings, model, cwd, session, params, opened, sparsity: budget.sparsity });
  const draft = portableRecipe(recipeOf({ settings, retrain, model, session }), outputs.recipe);
  const beside: AnyModel[] = [];
  const run = runIdentity(draft);
  const measuring = measure({ ...spec, opened, retrain, model, params, budget, run, beside });
  const measured = await measuring.finally(() => {
    for (const { close } of beside) close();
  });
  const outcome = withWholeTime(measured, now() - started);
  await assertFiniteOutcome(outcome, model, settings.found.entry.name);
  const { result, curvature } = outcome;
  const { spread, schedule } = settings;
  const plugins = [curvature, spread, schedule].filter((source) => source !== undefined);
  const sources = [settings.found, ...plugins, ...model.packages];
  // With retraining every phase had a plan of its own, which the same settings give again.
  const plan = retrain ? draft.plan : result.plan;
  const recipe: Recipe = {
    ...{ ...draft, plan, requestSha256 },
    versions: versions(sources, retrain ? ["@secateur/imp-scheduler"] : []),
  };
  const out = outputs.form === "tfjs" ? join(outputs.out, "model.json") : outputs.out;
  const unprunable =
    model.tfjs?.model.keptDense ?? model.onnx?.model.keptDense.map(({ name, reason }) => ({ weight: name, reason }));
  const document = pruneDocument({
    ...{ outcome, recipe, keptDense, out, peakMemoryBytes: peakMemoryBytes() },
    ...(unprunable ? { unprunable } : {}),
  });
  const saved = await saveResults({
    ...{ document, outcome, model, outputs, makeReport: spec.makeReport, cwd, onEvent: session.onEvent },
  });
  model.close();
  return saved;
}

/** What a run gave, and how long its stages took in this part of it. */
type TimedOutcome = Omit<RunOutcome, "measureMs"> & { readonly stagesMs: number };

/** The outcome with the time of the whole run: beside its stages it opens model and data, and measures. */
function withWholeTime({ stagesMs, ...outcome }: TimedOutcome, wholeMs: number): RunOutcome {
  const measureMs = Math.max(0, wholeMs - stagesMs);
  const { timing } = outcome.result;
  const result = { ...outcome.result, timing: { ...timing, totalMs: timing.totalMs + measureMs } };
  return { ...outcome, result, measureMs };
}

/** The data, and the task that the user named. */
interface OpenedSource {
  readonly data: DatasetSplits;
  readonly named: Task | undefined;
}

/** Opens the data, where there are some. */
async function openSource({ settings, session, cwd }: PruneRun, model: AnyModel): Promise<OpenedSource | undefined> {
  const { data: source, normalize } = settings;
  if (source === undefined) return undefined;
  const text = taskName(settings);
  const named = text === undefined ? undefined : await findTask(text, cwd);
  const data = await openData({
    data: source,
    normalize,
    task: named?.task ?? model.own?.trainedFor,
    classes: model.classes,
    network: model.spec,
    inputs: model.network.inputs,
    onEvent: session.onEvent,
    cwd,
  });
  return { data, named: named?.task };
}

/** Evaluates, prunes with the state kept between stages, evaluates again. Without data nothing is evaluated. */
async function measure(spec: MeasureSpec): Promise<TimedOutcome> {
  const { settings, session, model, opened } = spec;
  const { network } = model;
  const { now } = session.context();
  if (!opened) {
    noteUnmeasured(spec);
    const started = now();
    const done = await pruneInStages(spec, undefined);
    return { measured: undefined, ...done, stagesMs: now() - started };
  }
  const { data, named } = opened;
  const { before, recalibrate, after } = remeasuringModel({
    model,
    data,
    settings: batchNormOf(settings, model),
    session,
  });
  if (batchNormOf(settings, model)) noteCorrected(model, session);
  await before();
  const following = await followingOf(spec, { data, recalibrate });
  const posed = await poseTask({ network, data, named, session });
  const dense = await posed.evaluate(network);
  const started = now();
  const done = await pruneInStages(spec, { data, posed, ...following });
  const stagesMs = now() - started;
  await after();
  const pruned = await posed.evaluate(network);
  return { measured: { dense, pruned, measuredOn: posed.measuredOn }, ...done, stagesMs };
}

/** What follows from the weights. With retraining biases are trained, and nothing is measured under way. */
async function followingOf(
  { settings, session, model, params }: MeasureSpec,
  { data, recalibrate }: { data: DatasetSplits; recalibrate: Following["recalibrate"] },
): Promise<Following> {
  if (!settings.layers || settings.layers.biases === "kept" || settings.retrain)
    return { recalibrate, offsets: "none" };
  return await followingBiases({ network: model.network, params, data, session, recalibrate });
}

/** What a run without data leaves undone, beside all measuring. */
function noteUnmeasured({ settings, session, model }: MeasureSpec): void {
  if (!batchNormOf(settings, model)) return;
  const message =
    "statistics of batch normalisation stay as they were; with --data they are measured anew, which usually matters a lot";
  session.onEvent({ type: "note", level: "warn", code: "batch-norm", message });
}

interface MeasureSpec extends PruneRun {
  readonly opened: OpenedSource | undefined;
  readonly retrain: CompleteSettings | undefined;
  readonly model: AnyModel;
  readonly params: readonly string[];
  readonly budget: RunBudget;
  /** Identifies model, data and method in the saved state. */
  readonly run: string;
  /** Models that are opened under way, to be closed when the run ends. */
  readonly beside: AnyModel[];
}

/** What the user named; --distill is short for the task at the plan's temperature. */
function taskName({ task, plan }: PruneSettings): string | undefined {
  if (task !== undefined || !plan.distill) return task;
  return plan.temperature === undefined ? "distillation" : `distillation:temperature=${plan.temperature}`;
}

/** What a run's job is, whether it retrains or not. */
function jobOf(spec: MeasureSpec, offsets: FittedOffsets): Omit<PruneTask, "train"> {
  const { cwd, settings, session, model, params, budget } = spec;
  const { solver, plan, curvatureOptions } = settings;
  return {
    ...{
      network: model.network,
      params,
      solver,
      plan,
      session,
      findCurvature: (name: string) => findCurvature(name, cwd),
    },
    ...budget,
    ...(settings.layers ? layerScope(settings.layers, { offsets, openDense: () => openDense(spec) }) : {}),
    curvatureOptions,
    onCurvature: (curvature) => noteUnread(settings, curvature, session),
  };
}

/** The network before the run once more, with the statistics that the run began with. */
async function openDense({ settings, session, cwd, opened, retrain, beside }: MeasureSpec): Promise<Model> {
  const { model: path, arch, engine, includeFrozen } = settings;
  const model = await openAnyModel({ path, arch, engine, includeFrozen, cwd, untie: true, onEvent: () => {} });
  beside.push(model);
  if (opened) {
    const { data } = opened;
    await remeasuringModel({ model, data, settings: batchNormOf({ ...settings, retrain }, model), session }).before();
  }
  return model.network;
}

/** Prunes, and retrains where that was asked for, with the state kept between stages and epochs. */
async function pruneInStages(
  spec: MeasureSpec,
  given: ({ data: DatasetSplits; posed: PosedTask } & Following) | undefined,
): Promise<Omit<RunOutcome, "measured" | "measureMs">> {
  const { outputs, resume: isResumed, session, run, settings, model, retrain } = spec;
  const keeper = await openRunKeeper({ path: outputs.state, run, resume: isResumed, session });
  const { onState, resume } = keeper;
  const job = { ...jobOf(spec, given?.offsets ?? "none"), onState, ...(resume ? { resume } : {}) };
  const { data, posed, recalibrate } = given ?? {};
  const done =
    retrain && data && posed
      ? await retrainNetwork({
          ...{
            ...job,
            network: model.onnx?.model ?? ownNetwork(model, "--retrain").network,
            settings: retrain,
            data,
            posed,
            arch: model.arch,
          },
          schedule: await makeSchedule(settings.schedule!.entry, retrain),
        })
      : await pruneNetwork({
          ...job,
          ...(data && posed ? { train: data.train, task: posed.task } : {}),
          ...(recalibrate ? { recalibrate } : {}),
        });
  const { timing } = done.result;
  // A continued run counts what went before, as its stages do.
  return { ...done, result: { ...done.result, timing: { ...timing, totalMs: keeper.earlierMs + timing.totalMs } } };
}

/** What is done about batch normalisation: with retraining nothing unless asked for, because training measures statistics. */
function batchNormOf({ retrain, batchNorm }: PruneSettings, model: AnyModel): BatchNormSettings | undefined {
  return retrain && batchNorm.when === undefined ? undefined : batchNormOfModel(model, batchNorm);
}

/** The settings of retraining with everything decided, paths absolute. */
async function completeRetrain(spec: {
  settings: PruneSettings;
  model: AnyModel;
  cwd: string;
  session: Session;
  params: readonly string[];
  opened: OpenedSource | undefined;
  sparsity: number;
}): Promise<CompleteSettings | undefined> {
  const { settings, model, cwd, session, params, opened, sparsity } = spec;
  if (!settings.retrain) return undefined;
  const own = model.onnx ? undefined : ownNetwork(model, "--retrain");
  const record = recordOf(model);
  const { rewind, ...rest } = settings.retrain;
  const absolute = rewind === undefined ? rest : { ...rest, rewind: resolve(cwd, rewind) };
  // Without data there is nothing to try, and nothing to retrain with: that is said later.
  if (!own || record !== undefined || rest.dense !== undefined || !opened) {
    return completeSettings({ settings: absolute, record, sparsity });
  }
  const task = { ...opened, network: own.network, path: model.path, params, sparsity, settings: absolute };
  return await settingsByTrial(task, session);
}

/** Weights, loss, and the objective of a step that was taken, must be numbers before anything is written. */
async function assertFiniteOutcome({ result, measured }: RunOutcome, model: AnyModel, solver: string): Promise<void> {
  const areFinite = await hasFiniteWeights(model);
  const isSolved = result.taken !== "step" || Number.isFinite(result.objective);
  if (!areFinite || !isSolved || (measured && !Number.isFinite(measured.pruned.loss))) throw overflowed(solver);
}

function noteArchitecture({ path, own }: AnyModel, session: Session): void {
  const { architecture } = own ?? {};
  if (architecture?.source !== "shapes") return;
  const message = `${path}: its tensors are those of ${architecture.name}, so it is taken for one (--arch says otherwise)`;
  session.onEvent({ type: "note", level: "info", code: "architecture", message });
}

/** Settings that the user gave and that the curvature in force leaves without effect. */
function noteUnread({ found, given }: PruneSettings, curvature: FoundEntry, session: Session): void {
  const { name, unread = [] } = curvature.entry;
  for (const note of [
    ...unreadOptions({ entry: found.entry, given, curvature: name }),
    ...given
      .filter((key) => unread.includes(key))
      .map((key) => `--${kebab(key)} changes nothing with --curvature ${name}, which does not read it`),
  ]) {
    session.onEvent({ type: "note", level: "warn", code: "unread-setting", message: note });
  }
}

/** The recipe as far as it is known before the run: its plan is what was asked for. */
function recipeOf(spec: {
  settings: PruneSettings;
  retrain: Recipe["retrain"] | undefined;
  model: AnyModel;
  session: Session;
}): Recipe {
  const { settings, retrain, model, session } = spec;
  const { normalize, found, sparsity, keepDense, plan, seed, options, allocation: bounds, curvatureOptions } = settings;
  const batchNorm = batchNormOf(settings, model);
  return {
    recipe: 1,
    model: model.path,
    modelSha256: model.sha256,
    arch: model.arch,
    ...(model.tfjs ? { engine: model.tfjs.engine.name } : {}),
    ...(settings.includeFrozen ? { includeFrozen: true } : {}),
    ...(settings.data === undefined ? {} : { data: settings.data }),
    ...(normalize === undefined ? {} : { normalize }),
    ...(settings.task === undefined ? {} : { task: settings.task }),
    solver: found.entry.name,
    options,
    ...(sparsity === undefined ? {} : { sparsity }),
    ...settings.limits,
    ...(settings.costs && settings.limits.milliseconds !== undefined ? { costs: settings.costs } : {}),
    ...(keepDense.length === 0 ? {} : { keepDense }),
    plan,
    ...(retrain === undefined ? {} : { retrain }),
    ...(bounds === undefined ? {} : { allocation: bounds }),
    ...(settings.layers === undefined ? {} : { layers: settings.layers }),
    ...(Object.keys(curvatureOptions).length === 0 ? {} : { curvatureOptions }),
    ...(batchNorm === undefined ? {} : { batchNorm }),
    seed,
    kernels: session.kernelChoice,
    backend: session.kernels.name,
    versions: versions([found, ...model.packages]),
  };
}

/** What a saved state must agree in with the run that continues it, as JSON; core's fingerprint covers plan and seed. */
function runIdentity(recipe: Recipe): string {
  const { modelSha256, arch, engine, includeFrozen, data, normalize, task, solver, options, sparsity } = recipe;
  const { flops, bytes, milliseconds, costs, units, keepDense, batchNorm, retrain, allocation, curvatureOptions } =
    recipe;
  return JSON.stringify({
    ...{ modelSha256, arch, engine, includeFrozen, data, normalize, task, solver, options, sparsity },
    ...{ flops, bytes, milliseconds, costs, units, keepDense, batchNorm, retrain, allocation, curvatureOptions },
  });
}

/** All that decides a run's result, as JSON: its recipe, but for where it lies and which versions made it. */
function requestOf({ model: _place, versions: _versions, ...recipe }: Recipe): string {
  return JSON.stringify(recipe);
}
