/** Pruning an opened network between two measurements, with the state kept between its stages. */
import type { Model, Note, Task } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import type { FittedOffsets } from "@secateur/solvers-layerwise";
import { noteUnread } from "../../plugins/unread-options.ts";
import { type PosedTask, poseTask } from "../../prune/pose-task.ts";
import { type PruneTask, pruneNetwork } from "../../prune/prune-network.ts";
import type { Session } from "../../session.ts";
import type { CoupledRun } from "../channels/couple-channels.ts";
import { cutPruned } from "../cut/cut-pruned.ts";
import type { SpreadModel } from "../derivatives-apart/derivatives-apart.ts";
import type { WorkFlags } from "../jobs/work-place.ts";
import type { SolvesApart } from "../layers-apart/solves-apart.ts";
import { type Following, followingBiases } from "../norm/bias-matching.ts";
import { asksForMatching, noteCorrected, remeasuringModel } from "../open/any-model-settings.ts";
import { type AnyModel, openAnyModel, ownNetwork } from "../open/open-any-model.ts";
import type { OpenedData } from "../open/open-data.ts";
import { findCurvature } from "../plugins/find-entry.ts";
import type { CompleteSettings } from "../retrain/complete-settings.ts";
import { retrainNetwork } from "../retrain/retrain-network.ts";
import { makeSchedule } from "../retrain/retrain-plan.ts";
import type { SoupsApart } from "../soups-apart/soups-apart.ts";
import { openRunKeeper } from "../state/run-keeper.ts";
import { layerScope } from "./layer-scope.ts";
import type { PruneDocument, RunOutcome } from "./prune-document.ts";
import type { PruneOutputs } from "./prune-outputs.ts";
import type { PruneSettings } from "./prune-settings.ts";
import type { RunBudget } from "./run-budget.ts";
import { batchNormOf } from "./run-recipe.ts";

/** What a run is told beside its settings. */
export interface PruneRun {
  readonly settings: PruneSettings;
  readonly outputs: PruneOutputs;
  readonly session: Session;
  /** The folder from which plugins and TensorFlow.js are looked for, and that relative paths start from. */
  readonly cwd: string;
  /** Where layers that do not wait for each other are solved and traced, and members of soups trained; default: here. */
  readonly work?: WorkFlags | undefined;
  /** Whether to go on from the state that an interrupted run left; a state is removed otherwise. */
  readonly resume: boolean;
  /** What was decided before it, to be said. */
  readonly notes?: readonly Note[];
  /** The report; called only where the outputs name a file for it. */
  makeReport(document: PruneDocument, outcome: RunOutcome): Promise<string | Uint8Array>;
}

/** The data, and the task that the user named. */
export interface OpenedSource {
  readonly data: OpenedData;
  readonly named: Task | undefined;
}

/** What a run gave, how long its stages took in this part of it, and the model that is written: the pruned one, or what is left of it once it is cut. */
export type TimedOutcome = Omit<RunOutcome, "measureMs"> & { readonly stagesMs: number; readonly left: AnyModel };

/** Evaluates, prunes with the state kept between stages, evaluates again. Without data nothing is evaluated. */
export async function measure(spec: MeasureSpec): Promise<TimedOutcome> {
  const { settings, session, model, opened } = spec;
  const { network } = model;
  const { now } = session.context();
  if (!opened) {
    noteUnmeasured(spec);
    const started = now();
    const done = await pruneInStages(spec, undefined);
    const stagesMs = now() - started;
    return { measured: undefined, ...done, stagesMs, ...leftOf(spec) };
  }
  const { data, named } = opened;
  const { before, judgeBy, recalibrate, after, trained } = remeasuringModel({
    model,
    data,
    settings: batchNormOf(settings, model),
    session,
    isTrained: settings.retrain !== undefined,
  });
  if (batchNormOf(settings, model)) noteCorrected(model, session);
  const isRemeasured = await before();
  const following = await followingOf(spec, { data, recalibrate });
  const posed = await poseTask({ network, data, named, session });
  await judgeBy(posed);
  spec.spread.judgeBy(posed.task);
  const dense = await posed.evaluate(network);
  const started = now();
  const done = await pruneInStages(spec, { data, posed, ...following, trained });
  const stagesMs = now() - started;
  await after();
  const { left, ...numbers } = leftOf(spec);
  const pruned = await posed.evaluate(left.network);
  const measured = {
    dense,
    pruned,
    measuredOn: posed.measuredOn,
    ...(isRemeasured ? { remeasured: true as const } : {}),
  };
  return { measured, ...done, ...numbers, stagesMs, left };
}

/** The pruned model, cut where that was asked for. */
function leftOf({ settings, session, model }: MeasureSpec): Pick<TimedOutcome, "left" | "cut"> {
  const found =
    settings.cut !== undefined
      ? cutPruned(model, { multiple: settings.cut, inputs: settings.inputs, session })
      : undefined;
  return found ? { left: found.model, cut: found.numbers } : { left: model };
}

/** What follows from the weights. With retraining biases are fitted as layers are solved, and trained from there: nothing fits them again. */
async function followingOf(
  { settings, session, model, params }: MeasureSpec,
  { data, recalibrate }: { data: DatasetSplits; recalibrate: Following["recalibrate"] },
): Promise<Following> {
  if (!settings.layers || settings.layers.biases === "kept") return { recalibrate, offsets: "none" };
  if (settings.retrain) return { recalibrate, offsets: recalibrate ? "all" : "biases" };
  const { examples } = settings.layers;
  return await followingBiases({ network: model.network, params, data, session, recalibrate, examples });
}

/** What a run without data leaves undone, beside all measuring. */
function noteUnmeasured({ settings, session, model }: MeasureSpec): void {
  if (!batchNormOf(settings, model)) return;
  const message =
    "statistics of batch normalisation stay as they were; with --data they are measured anew, which usually matters a lot";
  session.onEvent({ type: "note", level: "warn", code: "batch-norm", message });
}

export interface MeasureSpec extends PruneRun {
  readonly opened: OpenedSource | undefined;
  readonly retrain: CompleteSettings | undefined;
  readonly model: AnyModel;
  readonly params: readonly string[];
  readonly budget: RunBudget;
  /** Identifies model, data and method in the saved state. */
  readonly run: string;
  /** What takes derivatives of `model` elsewhere, where it was told to. */
  readonly spread: SpreadModel;
  /** What solves layers elsewhere. */
  readonly apart: SolvesApart | undefined;
  /** What trains the members of a soup elsewhere. */
  readonly soups: SoupsApart | undefined;
  /** Models that are opened under way, to be closed when the run ends. */
  readonly beside: AnyModel[];
  /** Of channels in groups: estimates and training of what they are made of. */
  readonly coupled?: CoupledRun["coupled"];
}

/** What a run's job is, whether it retrains or not. */
function jobOf(spec: MeasureSpec, offsets: FittedOffsets): Omit<PruneTask, "train"> {
  const { cwd, settings, session, model, params, budget, apart } = spec;
  const { plan, curvatureOptions } = settings;
  const { solver } = apart ?? settings;
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
    ...(spec.coupled ? { wrapEstimator: spec.coupled.wrapEstimator } : {}),
    ...(settings.layers
      ? layerScope(settings.layers, {
          offsets,
          openDense: () => openDense(spec),
          sums: spec.spread.sums,
          ...(apart ? { atOnce: apart.atOnce, traces: apart.traces } : {}),
        })
      : {}),
    curvatureOptions,
    onCurvature: ({ entry: curvature }) =>
      noteUnread({ entry: settings.found.entry, given: settings.given, curvature, onEvent: session.onEvent }),
  };
}

/** The network before the run once more, with the statistics that the run began with. */
async function openDense({ settings, session, cwd, opened, retrain, beside }: MeasureSpec): Promise<Model> {
  const { model: path, arch, engine, includeFrozen, inputs } = settings;
  const corrects = asksForMatching(settings.batchNorm.when);
  const spec = { path, arch, engine, includeFrozen, inputs, cwd, corrects };
  const model = await openAnyModel({ ...spec, untie: true, onEvent: () => {} });
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
  given: ({ data: DatasetSplits; posed: PosedTask; trained: () => void } & Following) | undefined,
): Promise<Omit<RunOutcome, "measured" | "measureMs">> {
  const { outputs, resume: isResumed, session, run, settings, model, retrain } = spec;
  const keeper = await openRunKeeper({ path: outputs.state, run, resume: isResumed, session });
  const { onState, resume } = keeper;
  const job = { ...jobOf(spec, given?.offsets ?? "none"), onState, ...(resume ? { resume } : {}) };
  const { data, posed, recalibrate, trained } = given ?? {};
  const done =
    retrain && data && posed
      ? await retrainNetwork({
          ...{
            ...job,
            trained: model.onnx?.model ?? ownNetwork(model, "--retrain").network,
            ...(spec.coupled ? { wrapRetrainer: spec.coupled.wrapRetrainer } : {}),
            settings: retrain,
            membersApart: spec.soups?.membersApart,
            data,
            posed,
            arch: model.arch,
            ...(recalibrate ? { recalibrate, onTrained: trained! } : {}),
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
