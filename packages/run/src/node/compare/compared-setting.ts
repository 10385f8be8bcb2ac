/** What all runs of a comparison start from: the model as it is, the data, the task, and how the dense network does. */
import { createRng, type Dataset, type Evaluation, sampleIndices, subset } from "@secateur/core";
import { keepsAll } from "../../errors.ts";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import type { ReestimateTime } from "../../prune/augmentation.ts";
import { type PosedTask, poseTask } from "../../prune/pose-task.ts";
import type { Session } from "../../session.ts";
import {
  asksForMatching,
  batchNormOfModel,
  chosenDense,
  type ModelRemeasure,
  noteCorrected,
  remeasuringModel,
} from "../open/any-model-settings.ts";
import type { EngineChoice } from "../open/load-tensorflow.ts";
import { type AnyModel, openAnyModel } from "../open/open-any-model.ts";
import { type OpenedData, openData } from "../open/open-data.ts";
import { findTask } from "../plugins/find-task.ts";

/** What decides a setting, beside the session's seed and kernels. */
export interface SettingSpec {
  /** Absolute path of the model. */
  readonly path: string;
  readonly arch?: string | undefined;
  /** Of a TensorFlow.js model. */
  readonly engine?: EngineChoice | undefined;
  /** Whether weights of a TensorFlow.js model's frozen layers are pruned too. */
  readonly includeFrozen?: boolean | undefined;
  /** The DATA argument with absolute paths. */
  readonly data: string;
  readonly normalize?: string | undefined;
  /** The text of --preprocess. */
  readonly preprocess?: string | undefined;
  /** NAME or NAME:KEY=VALUE,...; default: told from the model and the data. */
  readonly task?: string | undefined;
  /** When statistics of batch normalisation are measured anew; default: where the network has any, before and after. */
  readonly reestimateBatchNorm?: ReestimateTime | undefined;
  /** Weights that are left alone: "first", "last", or names. */
  readonly keepDense: readonly string[];
  /** The folder from which plugins and TensorFlow.js are looked for. */
  readonly cwd: string;
}

/** An opened setting. */
export interface ComparedSetting {
  readonly spec: SettingSpec;
  readonly first: AnyModel;
  /** Names of the weights that are pruned, and of those that are not. */
  readonly params: readonly string[];
  readonly keptDense: readonly string[];
  readonly data: OpenedData;
  readonly measurements: ModelRemeasure;
  readonly posed: PosedTask;
  /** Measures a network on training examples that no run sees; present where some are held out to choose by. */
  readonly choice?: PosedTask;
  /** Of the network as it is. */
  readonly dense: Evaluation;
  /** "calibration": the data have one split only, so results are measured on what the runs worked with. */
  readonly measuredOn: PosedTask["measuredOn"];
  /** Whether statistics of batch normalisation were measured anew before `dense` was. */
  readonly isRemeasured: boolean;
  /** Where a named task comes from. */
  readonly sources: readonly FoundEntry[];
  /** Opens the model once more, as it is. */
  openCopy(): Promise<AnyModel>;
}

/**
 * Opens the data and settles the task for an opened model.
 *
 * @param spec.heldOut - training examples that no run sees, drawn by the seed, to choose among runs by; default none
 * @throws whatever is wrong with the data; ERR_IMPOSSIBLE where everything is kept dense
 */
export async function openSetting(
  spec: SettingSpec & { readonly first: AnyModel; readonly heldOut?: number | "auto" },
  session: Session,
): Promise<ComparedSetting> {
  const { first, path, cwd, includeFrozen } = spec;
  const { onEvent } = session;
  const { pruned: params, dense: keptDense } = chosenDense(first, spec.keepDense);
  if (params.length === 0) throw keepsAll(path);
  const named = spec.task === undefined ? undefined : await findTask(spec.task, cwd);
  const opened = await openData({
    data: spec.data,
    ...{ normalize: spec.normalize, preprocess: { text: spec.preprocess }, stated: first.stated },
    task: named?.task ?? first.own?.trainedFor,
    classes: first.classes,
    network: first.spec,
    inputs: first.network.inputs,
    onEvent,
    cwd,
  });
  const { train, held } = split(opened.train, spec.heldOut ?? 0, session.seed);
  const data = held ? { ...opened, train } : opened;
  const { reestimateBatchNorm: when } = spec;
  const settings = batchNormOfModel(first, when === undefined ? {} : { when });
  if (settings) noteCorrected(first, session);
  const measurements = remeasuringModel({ model: first, data, settings, session });
  const isRemeasured = await measurements.before();
  const { network } = first;
  const posed = await poseTask({ network, data, named: named?.task, session });
  await measurements.judgeBy(posed);
  const quiet = { ...session, onEvent: () => {} };
  const choice = held && (await poseTask({ network, data: { train, test: held }, named: named?.task, session: quiet }));
  return {
    ...{ spec, first, params, keptDense, data, measurements, posed, isRemeasured },
    ...(choice ? { choice } : {}),
    dense: await posed.evaluate(network),
    measuredOn: opened.train === opened.test ? "calibration" : "test",
    sources: named?.sources ?? [],
    openCopy: () =>
      openAnyModel({
        ...{ path, arch: first.arch, engine: first.tfjs?.engine.name, includeFrozen, cwd, onEvent: () => {} },
        corrects: asksForMatching(spec.reestimateBatchNorm),
      }),
  };
}

/** At most so many examples decide among runs, and at most a tenth of them all. */
const mostHeldOut = 5000;

function split(train: Dataset, wanted: number | "auto", seed: number): { train: Dataset; held?: Dataset } {
  const count = wanted === "auto" ? Math.min(mostHeldOut, Math.max(1, Math.floor(train.size / 10))) : wanted;
  if (count === 0) return { train };
  const order = sampleIndices(train.size, train.size, createRng(seed).fork("examples to choose by"));
  const side = (positions: Uint32Array): Dataset => subset(train, positions.slice().sort());
  return { train: side(order.subarray(count)), held: side(order.subarray(0, count)) };
}
