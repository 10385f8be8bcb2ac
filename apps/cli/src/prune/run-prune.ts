/** One run of `secateur prune` from settings to files. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isPruneError, keptCount } from "@secateur/core";
import { printResult } from "../commands/print-result.ts";
import { badState, interrupted, keepsNothing, overflowed } from "../errors.ts";
import { kebab } from "../flags/option-schema.ts";
import { unreadOptions } from "../flags/solver-flags.ts";
import type { FoundEntry, SolverEntry } from "../plugins/find-entry.ts";
import { portableRecipe } from "../recipe/encode-recipe.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { reestimate } from "../run/batch-norm.ts";
import { dataPaths } from "../run/check-places.ts";
import { peakMemoryBytes } from "../run/memory.ts";
import { type AnyModel, hasFiniteWeights, openAnyModel, ownNetwork } from "../run/open-any-model.ts";
import { openData } from "../run/open-data.ts";
import { type Session, withSession } from "../run/session.ts";
import { versions } from "../run/versions.ts";
import type { Terminal } from "../terminal.ts";
import { type PruneDocument, pruneDocument } from "./prune-document.ts";
import { type PruneOutcome, pruneNetwork } from "./prune-network.ts";
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
  readonly recipe: Recipe | undefined;
  /** As typed, for the report. */
  readonly argv: readonly string[];
}

/** Prunes, writes the results, prints them. @throws whatever is wrong with the input, ERR_ABORTED */
export async function runPrune(call: PruneCall): Promise<void> {
  const { flags, terminal } = call;
  const settings = await pruneSettings(call);
  const { model, sparsity, seed, kernels, found } = settings;
  const recipeFile = flags.recipe === undefined ? undefined : absolutePath(terminal, flags.recipe);
  const inputs = [recipeFile, ...dataPaths(settings.data)];
  const outputs = await planOutputs({ flags, model, inputs, solver: found.entry.name, sparsity, terminal });
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
  assertKeepsSome(model, settings.sparsity);
  const draft = portableRecipe(recipeOf({ settings, model, session }), outputs.recipe);
  const outcome = await measure({ call, settings, outputs, session, model, run: runIdentity(draft) });
  await assertFiniteOutcome(outcome, model, settings.found.entry.name);
  const { result, curvature } = outcome;
  const sources = [settings.found, ...(curvature ? [curvature] : []), ...model.packages];
  const recipe: Recipe = { ...draft, plan: result.plan, versions: versions(sources) };
  const out = model.tfjs ? join(outputs.out, "model.json") : outputs.out;
  const { keptDense } = model.tfjs?.model ?? {};
  const document = pruneDocument({ outcome, recipe, out, peakMemoryBytes: peakMemoryBytes(), keptDense });
  await saveResults({ document, outcome, model, outputs, argv: call.argv });
  model.close();
  return document;
}

/** Evaluates, prunes with the state kept between stages, evaluates again. */
async function measure(spec: {
  call: PruneCall;
  settings: PruneSettings;
  outputs: PruneOutputs;
  session: Session;
  model: AnyModel;
  run: string;
}): Promise<PruneOutcome> {
  const { call, settings, outputs, session, model, run } = spec;
  const { network } = model;
  const { solver, sparsity, plan } = settings;
  const { data: source, normalize } = settings;
  const data = await openData({
    data: source,
    normalize,
    classes: model.classes,
    network: model.spec,
    onEvent: session.onEvent,
  });
  const resume = call.flags.resume === true;
  const keeper = await openStageKeeper({ path: outputs.state, run, resume, session });
  const { batchNorm } = settings;
  const remeasure = async (): Promise<void> => {
    if (!batchNorm) return;
    const own = ownNetwork(model, "--reestimate-batch-norm");
    await reestimate({ network: own.network, data, flags: batchNorm, session });
  };
  if (batchNorm?.when !== "after") await remeasure();
  const dense = await network.evaluate(data.test, session.context());
  const done = await pruneNetwork({
    network,
    solver,
    sparsity,
    plan,
    train: data.train,
    cwd: call.terminal.cwd,
    session,
    onCurvature: (curvature) => noteUnread(settings, curvature, session),
    onStage: keeper.onStage,
    ...(keeper.resume ? { resume: keeper.resume } : {}),
  });
  if (batchNorm?.when !== "before") await remeasure();
  const pruned = await network.evaluate(data.test, session.context());
  const { timing } = done.result;
  // A continued run counts what went before, as its stages do.
  const result = { ...done.result, timing: { ...timing, totalMs: keeper.earlierMs + timing.totalMs } };
  return { dense, pruned, ...done, result };
}

/** Nothing would be left of the network. */
function assertKeepsSome({ path, network }: AnyModel, sparsity: number): void {
  const prunable = network.params().filter((param) => param.prunable);
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
function recipeOf(spec: { settings: PruneSettings; model: AnyModel; session: Session }): Recipe {
  const { settings, model, session } = spec;
  const { normalize, found, sparsity, plan, seed, options, batchNorm } = settings;
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
    plan,
    ...(batchNorm === undefined ? {} : { batchNorm }),
    seed,
    kernels: session.kernelChoice,
    backend: session.kernels.name,
    versions: versions([found, ...model.packages]),
  };
}

/** What a saved state must agree in with the run that continues it, as JSON; core's fingerprint covers plan and seed. */
function runIdentity({
  modelSha256,
  arch,
  engine,
  data,
  normalize,
  solver,
  options,
  sparsity,
  batchNorm,
}: Recipe): string {
  return JSON.stringify({ modelSha256, arch, engine, data, normalize, solver, options, sparsity, batchNorm });
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
      ? `the finished stages are saved in ${state}: repeat the command with --resume to go on from there`
      : events === undefined
        ? "nothing was written"
        : `only the events so far were written, to ${events}`,
  );
}
