/** One run of pruning from settings to files. */
import { join, resolve } from "node:path";
import { chooseTask } from "@secateur/core";
import { assertKnownOperators } from "@secateur/graph";
import type { JobEvent } from "@secateur/jobs";
import { assertBlocks } from "@secateur/solvers-layerwise";
import { flagWithoutEffect, keepsAll, overflowed, tooLargeFor } from "../../errors.ts";
import { notePlugin } from "../../plugins/note-plugin.ts";
import { needsGradients, plannedRun } from "../../prune/prune-network.ts";
import type { Session } from "../../session.ts";
import { type CoupledRun, coupleChannels, prunesChannels } from "../channels/couple-channels.ts";
import { type SpreadModel, spreadModel } from "../derivatives-apart/derivatives-apart.ts";
import { asksForJobs, clearWorkStore, openWorkPlace, type WorkPlace } from "../jobs/work-place.ts";
import { openLargeOnnx } from "../large/large-onnx.ts";
import { pruneLarge } from "../large/prune-large.ts";
import {
  assertParallelLayers,
  hasLayersApart,
  nothingApart,
  type SolvesApart,
  solvesApart,
  withoutRows,
} from "../layers-apart/solves-apart.ts";
import { peakMemoryBytes } from "../memory.ts";
import { asksForMatching, chosenDense } from "../open/any-model-settings.ts";
import { type AnyModel, hasFiniteWeights, openAnyModel, ownNetwork, refuseTfjs } from "../open/open-any-model.ts";
import { openData } from "../open/open-data.ts";
import { findTask } from "../plugins/find-task.ts";
import { settlePreprocessing } from "../preprocessing/settle-preprocessing.ts";
import { portableRecipe } from "../recipe/encode-recipe.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { type CompleteSettings, completeSettings, recordOf } from "../retrain/complete-settings.ts";
import { settingsByTrial } from "../retrain/settings-by-trial.ts";
import { type SoupsApart, soupsApart } from "../soups-apart/soups-apart.ts";
import { type FinishedRun, finishedRun, requestHash } from "../state/finished-run.ts";
import { versions } from "../versions.ts";
import { checkPruneOutputs, isPruneFinished } from "./finished-prune.ts";
import { measure, type OpenedSource, type PruneRun, type TimedOutcome } from "./measured-run.ts";
import { type PruneDocument, pruneDocument, type RunOutcome } from "./prune-document.ts";
import { type PruneSettings, taskText } from "./prune-settings.ts";
import { type RunBudget, runBudget } from "./run-budget.ts";
import { recipeOf, requestOf, runIdentity } from "./run-recipe.ts";
import { saveResults } from "./save-results.ts";

/**
 * Opens model and data, prunes, measures before and after, and writes the pruned network, its recipe and its report. The state
 * between stages stands beside the output while the run is under way; whoever called removes it at the end. Asked to go on with
 * a run that is finished, it writes nothing.
 *
 * @throws whatever is wrong with the input, ERR_OVERFLOW, ERR_ABORTED
 */
export async function runPrune(spec: PruneRun): Promise<PruneDocument | FinishedRun> {
  const { settings, outputs, session, cwd } = spec;
  const { arch, engine, includeFrozen, inputs } = settings;
  const { now } = session.context();
  const started = now();
  if (spreads(spec) && settings.retrain?.soup === undefined) assertParallelLayers(settings);
  const large = await openLargeOnnx(settings.model);
  if (large && spreads(spec)) throw tooLargeFor({ path: large.path, what: "--workers or --queue" });
  if (large) return await pruneLarge(spec, large);
  if (settings.retrain) await refuseTfjs(settings.model, "--retrain");
  const spread = spreadModel({
    settings,
    cwd,
    session,
    model: await openAnyModel({
      path: settings.model,
      arch,
      engine,
      includeFrozen,
      inputs,
      cwd,
      corrects: asksForMatching(settings.batchNorm.when),
      onEvent: session.onEvent,
      // Where weights are trained, or pruned layer by layer, every use of a tied weight is a parameter of its own.
      untie: settings.retrain !== undefined || settings.layers !== undefined,
    }),
  });
  const whole = spread.model;
  noteArchitecture(whole, session);
  if (whole.onnx && !settings.layers && settings.solver.needs.curvature !== undefined) {
    assertKnownOperators(whole.onnx.model, `pruning it by ${settings.found.entry.name}`);
  }
  if (settings.cut !== undefined && whole.tfjs) {
    throw flagWithoutEffect({
      flag: "--cut",
      reason: `${whole.path} is a TensorFlow.js model: prune it without, then cut the result with secateur cut`,
    });
  }
  // Before data are read and the dense network is measured.
  if (settings.layers?.refitBlocks) assertBlocks(whole.network);
  const { kept: preprocess } = await settlePreprocessing({
    ...{ asked: { ...settings.preprocess, normalize: settings.normalize }, stated: whole.stated },
    ...{ data: settings.data, cwd },
  });
  const asked = portableRecipe(
    recipeOf({ settings, retrain: settings.retrain, preprocess, model: whole, session }),
    outputs.recipe,
  );
  const requestSha256 = requestHash(requestOf(asked));
  if (spec.resume && (await isPruneFinished(outputs, requestSha256))) {
    whole.close();
    if (spec.work) await clearWorkStore(spec.work, workStore(outputs));
    return finishedRun(outputs.out, session);
  }
  await checkPruneOutputs(outputs);
  for (const note of spec.notes ?? []) session.onEvent({ type: "note", ...note });
  notePlugin(settings.found, session);
  const { pruned, dense } = chosenDense(whole, settings.keepDense);
  if (pruned.length === 0) throw keepsAll(settings.model);
  const channels = prunesChannels(settings)
    ? await coupleChannels(whole, { pruned, cut: settings.cut, inputs: settings.inputs, session })
    : undefined;
  const coupling: CoupledRun = channels ?? { model: whole, params: pruned, kept: [] };
  const { model, params, kept, coupled } = coupling;
  const keptDense = [...dense, ...kept];
  const budget = runBudget(settings, coupling);
  const opened = await openSource(spec, model);
  const retrain = await completeRetrain({ settings, model, cwd, session, params, opened, budget, coupled });
  const draft = portableRecipe(recipeOf({ settings, retrain, preprocess, model, session }), outputs.recipe);
  const beside: AnyModel[] = [];
  const run = runIdentity(draft);
  if (spreads(spec)) await assertRows(spec, { spread, model, params, budget, opened });
  const place = await openPlace(spec);
  const measured = await (async () => {
    if (place) await spread.begin(place);
    const [apart, soups] = [await solvedApart(spec, place), await trainedApart(spec, { retrain, model, place })];
    const given = { opened, retrain, model, params, budget, run, beside, spread, apart, soups };
    return await measure({ ...spec, ...given, ...(coupled ? { coupled } : {}) });
  })().finally(async () => {
    for (const { close } of beside) close();
    await place?.close();
  });
  const outcome = withWholeTime(measured, now() - started);
  await assertFiniteOutcome(outcome, model, settings.found.entry.name);
  const { result, curvature } = outcome;
  const { spread: allocation, schedule } = settings;
  const plugins = [curvature, allocation, schedule].filter((source) => source !== undefined);
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
    ...(spec.notes ? { notes: spec.notes } : {}),
  });
  const saved = await saveResults({
    stated: opened?.data.stated ?? model.stated,
    ...{ document, outcome, model: measured.left, outputs, makeReport: spec.makeReport, cwd, onEvent: session.onEvent },
  });
  model.close();
  if (spec.work) await clearWorkStore(spec.work, workStore(outputs));
  return saved;
}

/** Whether parts of the run are jobs. */
function spreads({ work }: PruneRun): boolean {
  return work !== undefined && asksForJobs(work);
}

/** Where jobs of the run are done. */
async function openPlace({ work, outputs, session, cwd }: PruneRun): Promise<WorkPlace | undefined> {
  if (!work || !asksForJobs(work)) return undefined;
  const onEvent = (event: JobEvent): void => {
    if (event.type === "note") session.onEvent(event);
  };
  return await openWorkPlace({ flags: work, fallback: workStore(outputs), isPassing: true, cwd, session, onEvent });
}

/** What solves layers, if not this process. */
async function solvedApart(
  { work, settings, session, cwd }: PruneRun,
  place: WorkPlace | undefined,
): Promise<SolvesApart | undefined> {
  return work && place && settings.layers && hasLayersApart(settings)
    ? await solvesApart({ settings, flags: work, place, cwd, session })
    : undefined;
}

/** What trains members of soups, if not this process. */
async function trainedApart(
  { settings, session, cwd }: PruneRun,
  { retrain, model, place }: { retrain: CompleteSettings | undefined; model: AnyModel; place: WorkPlace | undefined },
): Promise<SoupsApart | undefined> {
  if (!place || retrain?.soup === undefined) return undefined;
  return await soupsApart({ settings, retrain, model, place, cwd, session });
}

/** A run over the whole network has nothing for jobs but gradient rows and members of soups. @throws ERR_USAGE where it takes none */
async function assertRows(
  { settings }: PruneRun,
  spec: {
    spread: SpreadModel;
    model: AnyModel;
    params: readonly string[];
    budget: RunBudget;
    opened: OpenedSource | undefined;
  },
): Promise<void> {
  if (settings.layers || settings.retrain?.soup !== undefined) return;
  const { spread, model, params, budget, opened } = spec;
  const { solver, plan } = settings;
  const train = opened?.data.train;
  if (!train || !(await spread.canBegin(train))) throw nothingApart();
  const planned = await plannedRun({ network: model.network, params, solver, plan, train, sparsity: budget.sparsity });
  if (!needsGradients(solver)) throw nothingApart(`--solver ${settings.found.entry.name}`);
  if (withoutRows.has(planned.curvature)) throw nothingApart(`--curvature ${planned.curvature}`);
  const task = opened.named ?? chooseTask({ model: model.network, data: train });
  if (task.targetsFrom === "teacher") throw nothingApart(`--task ${task.name}, whose slopes are drawn,`);
}

/** Where the layers of a run go that are solved elsewhere and for which no store was named: beside its output, as its state. */
function workStore({ state }: PruneRun["outputs"]): string {
  return `${state}.work`;
}

/** The outcome with the time of the whole run: beside its stages it opens model and data, and measures. */
function withWholeTime({ stagesMs, left: _left, ...outcome }: TimedOutcome, wholeMs: number): RunOutcome {
  const measureMs = Math.max(0, wholeMs - stagesMs);
  const { timing } = outcome.result;
  const result = { ...outcome.result, timing: { ...timing, totalMs: timing.totalMs + measureMs } };
  return { ...outcome, result, measureMs };
}

/** Opens the data, where there are some. */
async function openSource({ settings, session, cwd }: PruneRun, model: AnyModel): Promise<OpenedSource | undefined> {
  const { data: source, normalize, preprocess } = settings;
  if (source === undefined) return undefined;
  const text = taskText(settings);
  const named = text === undefined ? undefined : await findTask(text, cwd);
  const data = await openData({
    data: source,
    ...{ normalize, preprocess, stated: model.stated },
    task: named?.task ?? model.own?.trainedFor,
    classes: model.classes,
    network: model.spec,
    inputs: model.network.inputs,
    onEvent: session.onEvent,
    cwd,
  });
  return { data, named: named?.task };
}

/** The settings of retraining with everything decided, paths absolute. */
async function completeRetrain(spec: {
  settings: PruneSettings;
  model: AnyModel;
  cwd: string;
  session: Session;
  params: readonly string[];
  opened: OpenedSource | undefined;
  budget: RunBudget;
  coupled: CoupledRun["coupled"];
}): Promise<CompleteSettings | undefined> {
  const { settings, model, cwd, session, params, opened, coupled } = spec;
  const { sparsity, budget } = spec.budget;
  if (!settings.retrain) return undefined;
  const own = model.onnx ? undefined : ownNetwork(model, "--retrain");
  const record = recordOf(model);
  const { rewind, ...rest } = settings.retrain;
  const absolute = rewind === undefined ? rest : { ...rest, rewind: resolve(cwd, rewind) };
  // Without data there is nothing to try, and nothing to retrain with: that is said later.
  if (!own || record !== undefined || rest.dense !== undefined || !opened) {
    return completeSettings({ settings: absolute, record, sparsity });
  }
  const grouped = coupled ? { grouped: { model: model.network, budget, memberMasks: coupled.memberMasks } } : {};
  const task = { ...opened, network: own.network, path: model.path, params, sparsity, settings: absolute, ...grouped };
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
