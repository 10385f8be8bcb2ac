/** The computation behind `prune --retrain`: rounds of pruning and retraining on the training split. */
import {
  type Dataset,
  type EarlyStopping,
  layoutParams,
  type PruneResult,
  type Retrainer,
  readFlat,
  type Schedule,
  sampleIndices,
  subset,
} from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import type { Network } from "@secateur/nn";
import type { TrainMember } from "@secateur/sparse-training";
import { rewindMismatch } from "../../errors.ts";
import type { PosedTask } from "../../prune/pose-task.ts";
import { type PruneJob, type PruneOutcome, pruneNetwork } from "../../prune/prune-network.ts";
import type { Session } from "../../session.ts";
import { openModel } from "../open/open-model.ts";
import type { CompleteSettings } from "./complete-settings.ts";
import { planPhases } from "./retrain-plan.ts";
import { isNetwork, retrainerOf, type TrainableModel } from "./retrainer-of.ts";

/** What to prune and retrain, and how. */
export interface RetrainJob extends Omit<PruneJob, "train" | "retrain"> {
  /** What trains: the network itself, or what the groups that are pruned are made of. */
  readonly trained: TrainableModel;
  /** Of channels in groups: training with their masks. */
  readonly wrapRetrainer?: (retrainer: Retrainer) => Retrainer;
  readonly settings: CompleteSettings;
  readonly schedule: Schedule;
  readonly data: DatasetSplits;
  readonly posed: PosedTask;
  /** What trains the members of a soup elsewhere; default: they are trained here. */
  readonly membersApart?: ((retrainer: Retrainer) => TrainMember) | undefined;
  /** Told when the model has come out of a training, or has been put back to where one began or ended. */
  readonly onTrained?: () => void;
  /** Of the network, for a checkpoint to rewind to. */
  readonly arch: string;
}

/** Prunes and retrains a network in place. @throws what `prune` and the retraining throw; ERR_REWIND */
export async function retrainNetwork(
  job: RetrainJob,
): Promise<Pick<PruneOutcome, "curvature"> & { readonly result: PruneResult }> {
  const { network, trained, settings, data, posed, session, sparsity } = job;
  const { task } = posed;
  // Every round is led back to the dense network, not to the one the round before left.
  const { train, heldOut } = splitOff(await posed.withTeacher(data.train), settings.holdOut, session);
  const made = retrainerOf(trained, { data: train, task, settings, splits: data, membersApart: job.membersApart });
  const retrainer = watched(job.wrapRetrainer?.(made) ?? made, job.onTrained);
  const earlyStopping: EarlyStopping | undefined =
    settings.patience === undefined || !heldOut
      ? undefined
      : { patience: settings.patience, evaluate: () => network.evaluate(heldOut, session.context(), { task }) };
  const rewind = settings.rewind === undefined ? undefined : await openRewind(settings.rewind, job);
  return await pruneNetwork({
    ...{ ...job, task, train },
    ...(heldOut ? { heldOut } : {}),
    retrain: {
      retrainer,
      phases: planPhases({
        schedule: job.schedule,
        settings,
        sparsity,
        // Opened afresh also where a run is continued, so its zeros are those of the start.
        from: await sparsityOf(job),
        stepsPerEpoch: retrainer.stepsPerEpoch,
      }),
      // A file that has changed since is another point to rewind to.
      schedule: JSON.stringify({ ...settings, rewindSha256: rewind?.sha256 }),
      // Test accuracy is reported after each round and decides nothing.
      measure: () => posed.evaluate(network),
      ...(rewind ? { rewindTo: rewind.tensors } : {}),
      ...(earlyStopping ? { earlyStopping } : {}),
    },
  });
}

/** A retrainer that tells when it has put a model somewhere. */
function watched(retrainer: Retrainer, onTrained: (() => void) | undefined): Retrainer {
  if (!onTrained) return retrainer;
  return {
    stepsPerEpoch: retrainer.stepsPerEpoch,
    examples: retrainer.examples,
    settings: retrainer.settings,
    capture: () => retrainer.capture(),
    async restore(tensors) {
      await retrainer.restore(tensors);
      onTrained();
    },
    async retrain(request, ctx) {
      const trained = await retrainer.retrain(request, ctx);
      onTrained();
      return trained;
    },
  };
}

async function sparsityOf({ network, params }: Pick<RetrainJob, "network" | "params">): Promise<number> {
  const weights = await readFlat(network, layoutParams(network, params));
  return weights.filter((value) => value === 0).length / weights.length;
}

/** Held-out training examples, drawn from the seed; gradients and training see the others only. */
export function splitOff(
  train: Dataset,
  share: number | undefined,
  session: Session,
): { train: Dataset; heldOut: Dataset | undefined } {
  if (share === undefined) return { train, heldOut: undefined };
  const order = sampleIndices(train.size, train.size, session.context().rng.fork("held out"));
  const count = Math.min(train.size - 1, Math.max(1, Math.round(share * train.size)));
  return {
    heldOut: subset(train, order.slice(0, count).sort(), `${train.name}, held out`),
    train: subset(train, order.slice(count).sort()),
  };
}

/** The tensors of a checkpoint to rewind to. */
async function openRewind(
  path: string,
  { trained: network, arch }: RetrainJob,
): Promise<{ tensors: ReturnType<Network["tensors"]>; sha256: string }> {
  try {
    if (!isNetwork(network)) throw new Error("an ONNX graph has no checkpoints of a training to go back to");
    const { network: earlier, sha256 } = await openModel({ path, arch, onEvent: () => {} });
    const isSame = earlier.tensors().every(({ name, data }) => network.weights.get(name)?.data.length === data.length);
    if (!isSame) throw new Error(`its layers are not those of ${network.name}`);
    return { tensors: earlier.tensors(), sha256 };
  } catch (cause) {
    throw rewindMismatch(path, cause);
  }
}
