/** One run of `secateur prune` from settings to files. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Dataset, isPruneError, keptCount } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { allocation } from "@secateur/imp-scheduler";
import { printResult } from "../commands/print-result.ts";
import { badState, interrupted, keepsAll, keepsNothing, overflowed } from "../errors.ts";
import { kebab } from "../flags/option-schema.ts";
import { unreadOptions } from "../flags/solver-flags.ts";
import type { FoundEntry, SolverEntry } from "../plugins/find-entry.ts";
import { notePlugin } from "../plugins/note-plugin.ts";
import { portableRecipe } from "../recipe/encode-recipe.ts";
import type { Recipe, RecipeFile } from "../recipe/recipe.ts";
import { assumedTraining, type CompleteSettings, completeSettings } from "../retrain/complete-settings.ts";
import { openPhaseKeeper } from "../retrain/phase-keeper.ts";
import { retrainNetwork } from "../retrain/retrain-network.ts";
import { readRecord } from "../retrain/training-record.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { batchNormOfModel, chosenDense, remeasuringModel } from "../run/any-model-settings.ts";
import type { BatchNormSettings, Remeasure } from "../run/batch-norm.ts";
import { dataPaths } from "../run/check-places.ts";
import { peakMemoryBytes } from "../run/memory.ts";
import { type AnyModel, hasFiniteWeights, openAnyModel, ownNetwork } from "../run/open-any-model.ts";
import { openData } from "../run/open-data.ts";
import { type Session, withSession } from "../run/session.ts";
import { versions } from "../run/versions.ts";
import type { Terminal } from "../terminal.ts";
import { type PruneDocument, pruneDocument } from "./prune-document.ts";
import { type PruneOutcome, type PruneTask, pruneNetwork } from "./prune-network.ts";
import { type PruneOutputs, planOutputs } from "./prune-outputs.ts";
import { type PruneFlags, type PruneSettings, pruneSettings } from "./prune-settings.ts";
import { pruneText } from "./prune-text.ts";
import { saveResults } from "./save-results.ts";
import { openStageKeeper } from "./stage-keeper.ts";

/** One call of the command. */
export interface PruneCall {
  /** MODEL as typed. */
  readonly model: string | undefined;
  readonly flags: PruneFlags;
  /** Long names of the command's own flags, without those of the solver. */
  readonly ownFlags: ReadonlySet<string>;
  readonly terminal: Terminal;
  readonly found: FoundEntry<SolverEntry>;
  readonly recipe: RecipeFile | undefined;
  /** As typed, for the report. */
  readonly argv: readonly string[];
}

/** Prunes, writes the results, prints them. @throws whatever is wrong with the input, ERR_ABORTED */
export async function runPrune(call: PruneCall): Promise<void> {
  const { flags, terminal } = call;
  const settings = await pruneSettings(call);
  const { model, sparsity, seed, kernels, found } = settings;
  const recipeFile = flags.recipe === undefined ? undefined : absolutePath(terminal, flags.recipe);
  const { retrain } = settings;
  const rewind = retrain?.rewind === undefined ? undefined : absolutePath(terminal, retrain.rewind);
  const method = retrain ? `${found.entry.name}-${retrain.schedule}` : found.entry.name;
  const inputs = [recipeFile, rewind, ...dataPaths(settings.data)];
  const outputs = await planOutputs({ flags, model, inputs, solver: method, sparsity, terminal });
  const { overwrite } = outputs;
  const appendEvents = flags.resume === true;
  let document: PruneDocument;
  try {
    document = await withSession({ flags: { ...flags, seed, kernels }, terminal, overwrite, appendEvents }, (session) =>
      pruneInSession({ call, settings, outputs, session }),
    );
  } catch (error) {
    throw explainInterrupt(error, { outputs, events: flags.events });
  }
  await rm(outputs.state, { force: true });
  printResult({ terminal, flags, document, text: () => `${pruneText(document)}\n${written(outputs)}` });
}

async function pruneInSession(spec: {
  call: PruneCall;
  settings: PruneSettings;
  outputs: PruneOutputs;
  session: Session;
}): Promise<PruneDocument> {
  const { call, settings, outputs, session } = spec;
  const { arch, engine } = settings;
  const { cwd } = call.terminal;
  const model = await openAnyModel({ path: settings.model, arch, engine, cwd, onEvent: session.onEvent });
  noteArchitecture(model, session);
  notePlugin(settings.found, session);
  const { pruned: params, dense: keptDense } = chosenDense(model, settings.keepDense);
  assertKeepsSome(model, params, settings.sparsity);
  const retrain = completeRetrain({ settings, model, terminal: call.terminal, session });
  const draft = portableRecipe(recipeOf({ settings, retrain, model, session }), outputs.recipe);
  const outcome = await measure({ call, settings, retrain, outputs, session, model, params, run: runIdentity(draft) });
  await assertFiniteOutcome(outcome, model, settings.found.entry.name);
  const { result, curvature } = outcome;
  const sources = [settings.found, ...(curvature ? [curvature] : []), ...model.packages];
  // With retraining every phase had a plan of its own, which the same settings give again.
  const plan = retrain ? draft.plan : (result.plan ?? draft.plan);
  const recipe: Recipe = { ...draft, plan, versions: versions(sources, retrain ? ["@secateur/imp-scheduler"] : []) };
  const out = model.tfjs ? join(outputs.out, "model.json") : outputs.out;
  const unprunable = model.tfjs?.model.keptDense;
  const document = pruneDocument({
    ...{ outcome, recipe, keptDense, out, peakMemoryBytes: peakMemoryBytes() },
    ...(unprunable ? { unprunable } : {}),
  });
  await saveResults({ document, outcome, model, outputs, argv: call.argv });
  model.close();
  return document;
}

/** Evaluates, prunes with the state kept between stages, evaluates again. */
async function measure(spec: {
  call: PruneCall;
  settings: PruneSettings;
  retrain: CompleteSettings | undefined;
  outputs: PruneOutputs;
  session: Session;
  model: AnyModel;
  params: readonly string[];
  run: string;
}): Promise<PruneOutcome> {
  const { settings, session, model } = spec;
  const { network } = model;
  const { data: source, normalize } = settings;
  const data = await openData({
    data: source,
    normalize,
    classes: model.classes,
    network: model.spec,
    onEvent: session.onEvent,
  });
  const { before, settle, after } = remeasuringModel({
    model,
    data,
    settings: batchNormOf(settings, model),
    session,
  });
  await before();
  const dense = await network.evaluate(data.test, session.context());
  const done = spec.retrain
    ? await retrainKept({ ...spec, retrain: spec.retrain }, data)
    : await pruneKept(spec, { train: data.train, settle });
  await after();
  const pruned = await network.evaluate(data.test, session.context());
  return { dense, pruned, ...done };
}

type MeasureSpec = Parameters<typeof measure>[0];

/** What a run's job is, whether it retrains or not. */
function jobOf({ call, settings, session, model, params }: MeasureSpec): Omit<PruneTask, "train"> {
  const { solver, sparsity, plan, allocation: spread } = settings;
  return {
    ...{ network: model.network, params, solver, sparsity, plan, session, cwd: call.terminal.cwd },
    ...(spread ? { budget: allocation(spread) } : {}),
    onCurvature: (curvature) => noteUnread(settings, curvature, session),
  };
}

/** Prunes with the state kept between stages. */
async function pruneKept(
  spec: MeasureSpec,
  { train, settle }: { train: Dataset; settle: Remeasure["settle"] },
): Promise<Omit<PruneOutcome, "dense" | "pruned">> {
  const { call, outputs, session, run } = spec;
  const keeper = await openStageKeeper({ path: outputs.state, run, resume: call.flags.resume === true, session });
  const { onStage, resume } = keeper;
  const done = await pruneNetwork({
    ...jobOf(spec),
    train,
    onStage,
    ...(resume ? { resume } : {}),
    ...(settle ? { settle } : {}),
  });
  const { timing } = done.result;
  // A continued run counts what went before, as its stages do.
  const result = { ...done.result, timing: { ...timing, totalMs: keeper.earlierMs + timing.totalMs } };
  return { ...done, result };
}

/** What is done about batch normalisation: with retraining nothing unless asked for, because training measures statistics. */
function batchNormOf({ retrain, batchNorm }: PruneSettings, model: AnyModel): BatchNormSettings | undefined {
  return retrain && batchNorm.when === undefined ? undefined : batchNormOfModel(model, batchNorm);
}

/** Prunes and retrains with the state kept between stages and epochs. */
async function retrainKept(
  spec: MeasureSpec & { retrain: CompleteSettings },
  data: DatasetSplits,
): Promise<Omit<PruneOutcome, "dense" | "pruned">> {
  const { call, outputs, session, run, retrain, model } = spec;
  const keeper = await openPhaseKeeper({ path: outputs.state, run, resume: call.flags.resume === true, session });
  const { onState, resume } = keeper;
  const { network } = ownNetwork(model, "--retrain");
  const job = { ...jobOf(spec), network, settings: retrain, data, arch: model.arch, onState };
  const done = await retrainNetwork({ ...job, ...(resume ? { resume } : {}) });
  const { timing, rounds } = done.result;
  const result = { ...done.result, timing: { ...timing, totalMs: keeper.earlierMs + timing.totalMs } };
  return { ...done, result, rounds };
}

/** The settings of retraining with everything decided, paths absolute. */
function completeRetrain(spec: {
  settings: PruneSettings;
  model: AnyModel;
  terminal: Terminal;
  session: Session;
}): CompleteSettings | undefined {
  const { settings, model, terminal, session } = spec;
  if (!settings.retrain) return undefined;
  const record = readRecord(ownNetwork(model, "--retrain").metadata);
  const isKnown = record !== undefined || settings.retrain.dense !== undefined;
  if (!isKnown) {
    const { schedule, learningRate, epochs } = assumedTraining;
    const message = `${model.path} does not say how it was trained; taken is ${schedule} from ${learningRate} over ${epochs} epochs (--dense-training says otherwise)`;
    session.onEvent({ type: "note", level: "warn", code: "dense-training", message });
  }
  const { rewind, ...rest } = settings.retrain;
  const absolute = rewind === undefined ? rest : { ...rest, rewind: absolutePath(terminal, rewind) };
  return completeSettings({ settings: absolute, record, sparsity: settings.sparsity });
}

/** Nothing would be left of the network. */
function assertKeepsSome({ path, network }: AnyModel, params: readonly string[], sparsity: number): void {
  if (params.length === 0) throw keepsAll(path);
  const prunable = network.params().filter(({ name }) => params.includes(name));
  const size = prunable.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
  if (size > 0 && keptCount(size, sparsity) === 0) throw keepsNothing({ where: path, sparsity, size });
}

/** Weights, objective and loss must be numbers before anything is written. */
async function assertFiniteOutcome({ result, pruned }: PruneOutcome, model: AnyModel, solver: string): Promise<void> {
  const areFinite = await hasFiniteWeights(model);
  if (!areFinite || !Number.isFinite(result.objective) || !Number.isFinite(pruned.loss)) throw overflowed(solver);
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
  retrain: CompleteSettings | undefined;
  model: AnyModel;
  session: Session;
}): Recipe {
  const { settings, retrain, model, session } = spec;
  const { normalize, found, sparsity, keepDense, plan, seed, options, allocation: spread } = settings;
  const batchNorm = batchNormOf(settings, model);
  return {
    recipe: 1,
    model: model.path,
    modelSha256: model.sha256,
    arch: model.arch,
    ...(model.tfjs ? { engine: model.tfjs.engine.name } : {}),
    data: settings.data,
    ...(normalize === undefined ? {} : { normalize }),
    solver: found.entry.name,
    options,
    sparsity,
    ...(keepDense.length === 0 ? {} : { keepDense }),
    plan,
    ...(retrain === undefined ? {} : { retrain }),
    ...(spread === undefined ? {} : { allocation: spread }),
    ...(batchNorm === undefined ? {} : { batchNorm }),
    seed,
    kernels: session.kernelChoice,
    backend: session.kernels.name,
    versions: versions([found, ...model.packages]),
  };
}

/** What a saved state must agree in with the run that continues it, as JSON; core's fingerprint covers plan and seed. */
function runIdentity(recipe: Recipe): string {
  const { modelSha256, arch, engine, data, normalize, solver, options, sparsity, keepDense } = recipe;
  const { batchNorm, retrain, allocation } = recipe;
  return JSON.stringify({
    ...{
      modelSha256,
      arch,
      engine,
      data,
      normalize,
      solver,
      options,
      sparsity,
      keepDense,
      batchNorm,
      retrain,
      allocation,
    },
  });
}

function written({ out, recipe, report }: PruneOutputs): string {
  return [`wrote ${out}`, `      ${recipe}`, ...(report === undefined ? [] : [`      ${report}`])]
    .map((line) => `${line}\n`)
    .join("");
}

function explainInterrupt(error: unknown, spec: { outputs: PruneOutputs; events: string | undefined }): unknown {
  const { outputs, events } = spec;
  const { state } = outputs;
  if (!isPruneError(error)) return error;
  // Core knows the state only as data; which file it came from is ours to say.
  const mismatch = /^resume: (the saved state is of another run: .*); repeat the original command/.exec(error.message);
  if (error.code === "ERR_RESUME" && mismatch) return badState(state, mismatch[1]!);
  if (error.code !== "ERR_ABORTED") return error;
  return interrupted(
    existsSync(state)
      ? `what is finished is saved in ${state}: repeat the command with --resume to go on from there`
      : events === undefined
        ? "nothing was written"
        : `only the events so far were written, to ${events}`,
  );
}
