/** Trains a network on the training split, from the start or from a checkpoint. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Evaluation, Task } from "@secateur/core";
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { createNetwork, type Network, type TrainReport, train } from "@secateur/nn";
import { badState, badUsage, flagWithoutEffect, nothingToLearn } from "../../errors.ts";
import { type PosedTask, poseTask } from "../../prune/pose-task.ts";
import type { Session } from "../../session.ts";
import { checkCopies, settleCopies } from "../export/compressed-copies.ts";
import { freshMetadata } from "../fresh-metadata.ts";
import { peakMemoryBytes } from "../memory.ts";
import { augmentationOf } from "../norm/batch-norm.ts";
import { findArchitecture } from "../open/architecture/described-architecture.ts";
import { architectureKey } from "../open/architecture/resolve-architecture.ts";
import { encodeNetwork } from "../open/encode-network.ts";
import { noteTies } from "../open/open-any-model.ts";
import { openData } from "../open/open-data.ts";
import { openModel } from "../open/open-model.ts";
import type { StoredTensors } from "../open/stored-tensors.ts";
import { findTask } from "../plugins/find-task.ts";
import { type StatedOfModel, statedMetadata, trainedWith } from "../preprocessing/preprocessing.ts";
import { portableData } from "../recipe/encode-recipe.ts";
import { encodeRecord, readRecord, trainingKey } from "../retrain/training-record.ts";
import { learningRateOf, optimizerOf } from "../retrain/training-settings.ts";
import { type FinishedRun, finishedRun } from "../state/finished-run.ts";
import { readTraining, trainingPath, writeTraining } from "../state/training-file.ts";
import { versions } from "../versions.ts";
import { requestMetadata, trainingThere } from "./finished-training.ts";
import { countsOf, isPruned, keptBy, masksOf, noteZerosKept } from "./kept-zeros.ts";
import { noteNoBetter } from "./note-no-better.ts";
import { noteOneClass } from "./note-one-class.ts";
import { recordOf, runIdentity, type TrainSettings, withDefaults } from "./train-settings.ts";
import { openRules } from "./training-rules.ts";

/** What to train, and where it goes. */
export interface TrainSpec {
  /** Absolute path of the checkpoint to go on from; absent: a new network. */
  readonly model?: string | undefined;
  /** The DATA argument with absolute paths. */
  readonly data: string;
  readonly settings: TrainSettings;
  /** Absolute path of the trained network. */
  readonly out: string;
  readonly overwrite: boolean;
  /** Whether to go on from the state that an interrupted run left. */
  readonly resume: boolean;
  /** The folder from which plugins are looked for. */
  readonly cwd: string;
  readonly session: Session;
}

/** What `secateur train --json` prints. */
export interface TrainDocument {
  readonly arch: string;
  /** After training, on the examples that `measuredOn` names. */
  readonly test: Evaluation;
  /** "calibration" where the data have no split set apart for testing: those are the examples of training. */
  readonly measuredOn: PosedTask["measuredOn"];
  /** Over each epoch, while the weights moved. */
  readonly epochs: TrainReport["epochs"];
  readonly steps: number;
  /** Prunable weights, and those that training rules left. */
  readonly prunable?: number;
  readonly nonzeros?: number;
  /** Those that the rules' masks keep; some of them may be 0, such as one that came back to an input that is always 0. */
  readonly kept?: number;
  readonly trainMs: number;
  /** The largest resident memory of the process. */
  readonly peakMemoryBytes: number;
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly out: string;
}

interface Start {
  readonly network: Network;
  readonly arch: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly stated: StatedOfModel;
  /** How the file stores the tensors; undefined for a new network. */
  readonly stored: StoredTensors | undefined;
  /** The task that the file says it was trained for. */
  readonly trainedFor?: Task | undefined;
  /** Of the checkpoint's file. */
  readonly sha256: string | undefined;
}

/**
 * Trains and writes the network. The state between epochs stands in {@link trainingPath} while the run is under way. Asked to
 * go on with a training that is finished, it writes nothing.
 *
 * @throws whatever is wrong with the input, ERR_DIVERGED, ERR_ABORTED
 */
export async function runTrain(spec: TrainSpec): Promise<TrainDocument | FinishedRun> {
  const { data, settings, out, overwrite, resume, cwd, session } = spec;
  const { keepEpochs = [] } = settings;
  const optimizer = optimizerOf(settings); // refuses settings it does not have
  const { network, arch, stored, ...opened } = await start(spec);
  const path = trainingPath(out);
  const isContinued = resume && existsSync(path);
  const keepZeros = settings.keepZeros ?? isPruned(network);
  if (keepZeros && settings.keepZeros === undefined) {
    const message = `${spec.model}: its zeros stay zero, since it is pruned; --no-keep-zeros trains them too`;
    session.onEvent({ type: "note", level: "info", code: "keep-zeros", message });
  }
  // What is said of pruning holds as long as its zeros do.
  const kept = keepZeros ? ["secateur.solver", "secateur.sparsity", "secateur.seed"] : [];
  const { rules, sources } = await openRules(settings, cwd, session);
  const run = runIdentity({
    ...{ settings: { ...settings, keepZeros }, rules, arch, session, modelSha256: opened.sha256 },
    data: portableData(data, out), // a file is the same wherever its folder lies
  });
  const isThere = [out, ...keepEpochs.map((epoch) => epochPath(out, epoch))].every((place) => existsSync(place));
  if (resume && !isContinued && isThere) {
    const state = await trainingThere({ out, from: cwd, run });
    if (state.is === "this") return finishedRun(out, session);
    if (state.is === "other" && !overwrite)
      throw badState(out, `it is of a training with other settings: ${state.difference}`);
  }
  await checkOutput(out, { overwrite: overwrite || isContinued });
  await checkCopies([out], { overwrite: overwrite || isContinued });
  const named = settings.task === undefined ? undefined : await findTask(settings.task, cwd);
  const splits = await openData({
    data,
    ...{ normalize: settings.normalize, preprocess: { text: settings.preprocess }, stated: opened.stated },
    task: named?.task ?? opened.trainedFor,
    classes: network.spec.classes,
    network: network.spec,
    inputs: network.inputs,
    onEvent: session.onEvent,
    cwd,
  });
  const metadata = {
    ...freshMetadata(opened.metadata, [...kept, ...(settings.epochs === 0 ? [trainingKey] : [])]),
    ...statedMetadata(settings.epochs === 0 ? splits.stated : trainedWith(data, splits)),
  };
  const posed = await poseTask({ network, data: splits, named: named?.task, session });
  if (spec.model === undefined && posed.task.targetsFrom === "teacher") throw nothingToLearn(data, posed.task.name);
  await noteOneClass(splits.train, session.onEvent);
  const ctx = session.context();
  const started = ctx.now();
  const { batchSize, weightDecay, epochs } = withDefaults(settings);
  const keepEpoch = async (epoch: number): Promise<void> => {
    if (!keepEpochs.includes(epoch)) return;
    const place = epochPath(out, epoch);
    const labels = { ...metadata, [architectureKey]: arch };
    const bytes = await encodeNetwork({ network, path: place, metadata: labels, stored, from: cwd });
    await writeFileAtomic(place, bytes, { overwrite: true });
  };
  if (resume && !isContinued) {
    const message = `${path}: there is nothing to go on from yet, so the training starts from the beginning`;
    session.onEvent({ type: "note", level: "info", code: "nothing-to-resume", message });
  }
  if (!isContinued) await keepEpoch(0);
  let saved = Number.NEGATIVE_INFINITY;
  const report = await train(
    network,
    {
      data: await posed.withTeacher(splits.train),
      task: posed.task,
      epochs,
      batchSize,
      optimizer,
      learningRate: learningRateOf(settings),
      weightDecay,
      labelSmoothing: settings.labelSmoothing ?? 0,
      ...(settings.cropPadding || settings.flip ? { augmentation: augmentationOf(settings, splits) } : {}),
      ...(rules.length > 0 ? { rules } : {}),
      ...(keepZeros ? { masks: masksOf(network) } : {}),
      ...(isContinued ? { resume: await readTraining(path, run) } : {}),
      onEpoch: async (state) => {
        await keepEpoch(state.epoch);
        if (ctx.now() - saved < saveEveryMs) return;
        await writeTraining(path, state, run);
        saved = ctx.now();
      },
    },
    ctx,
  );
  if (epochs === 0) {
    const message = `--epochs 0 trains nothing: what is written has the weights ${spec.model === undefined ? "that it starts with" : `of ${spec.model}`}`;
    session.onEvent({ type: "note", level: "warn", code: "no-epochs", message });
  }
  const trainMs = ctx.now() - started;
  if (rules.length > 0) noteZerosKept({ network, masks: report.masks, onEvent: session.onEvent });
  const test = await posed.evaluate(network);
  if (epochs > 0) await noteNoBetter({ data: splits.test, test, onEvent: session.onEvent });
  // Led to its own outputs, a network is trained for nothing else than before.
  const lasting = named && named.task.targetsFrom !== "teacher" ? settings.task : readRecord(opened.metadata)?.task;
  const record = { ...recordOf(settings), ...(lasting === undefined ? {} : { task: lasting }) };
  const recorded = epochs > 0 ? { [trainingKey]: encodeRecord(record) } : {};
  const bytes = await encodeNetwork({
    from: cwd,
    network,
    path: out,
    metadata: { ...metadata, ...recorded, [architectureKey]: arch, ...requestMetadata(run) },
    stored,
  });
  await writeFileAtomic(out, bytes, { overwrite: overwrite || isContinued });
  await settleCopies([[out, bytes]], { compress: false, overwrite: true });
  await rm(path, { force: true });
  return {
    arch,
    test,
    measuredOn: posed.measuredOn,
    epochs: report.epochs,
    steps: report.steps,
    ...(rules.length > 0 ? { ...countsOf(network), kept: keptBy(network, report.masks) } : {}),
    trainMs,
    peakMemoryBytes: peakMemoryBytes(),
    seed: session.seed,
    versions: versions(sources),
    out,
  };
}

/** The file of an epoch's weights: "net.safetensors" -> "net.epoch-2.safetensors". */
export function epochPath(out: string, epoch: number): string {
  return `${out.replace(/\.safetensors$/i, "")}.epoch-${epoch}.safetensors`;
}

/** Epochs of small networks take less than a file does. */
const saveEveryMs = 2000;

async function start({ model, settings, session, cwd }: TrainSpec): Promise<Start> {
  if (model !== undefined) {
    const opened = await openModel({ path: model, arch: settings.arch, onEvent: session.onEvent, cwd });
    noteTies(opened, { untie: true, onEvent: session.onEvent });
    const { network, architecture, metadata, stored, sha256, trainedFor, stated } = opened;
    return { network, arch: architecture.name, metadata, stored, sha256, trainedFor, stated };
  }
  if (settings.arch === undefined) {
    throw badUsage("nothing to train: give MODEL, a checkpoint to go on from, or --arch for a new network");
  }
  if (settings.keepZeros) throw flagWithoutEffect({ flag: "--keep-zeros", reason: "a new network has no zeros" });
  return {
    network: createNetwork(await findArchitecture(settings.arch, { from: cwd }), { seed: session.seed }),
    arch: settings.arch,
    metadata: {},
    stated: {},
    ...{ stored: undefined, sha256: undefined },
  };
}
