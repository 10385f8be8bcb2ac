/** Settings of retraining for a network that nothing is known of: found by trial, and said. */
import { chooseTask, type Task } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import type { Network } from "@secateur/nn";
import { poseTask } from "../../prune/pose-task.ts";
import type { Session } from "../../session.ts";
import { type CompleteSettings, completeSettings } from "./complete-settings.ts";
import { findTraining, type RangeTest } from "./find-training.ts";
import { splitOff } from "./retrain-network.ts";
import type { RetrainSettings } from "./retrain-schema.ts";
import { usualHoldOut } from "./training-settings.ts";

/**
 * Holds a tenth of the training split out, on which rounds are accepted as well, and finds rate and changes of images by a range test.
 *
 * @param spec.path - of the network's file, for the note
 * @throws what {@link findTraining} throws
 */
export async function settingsByTrial(
  spec: {
    network: Network;
    path: string;
    params: readonly string[];
    sparsity: number;
    settings: RetrainSettings;
    data: DatasetSplits;
    named: Task | undefined;
    grouped?: RangeTest["grouped"];
  },
  session: Session,
): Promise<CompleteSettings> {
  const { network, path, params, sparsity, data, named, grouped } = spec;
  const settings = { ...spec.settings, holdOut: spec.settings.holdOut ?? usualHoldOut };
  // What the task is, the run itself says.
  const posed = await poseTask({
    network,
    data,
    named: named ?? chooseTask({ model: network, data: data.train }),
    session,
  });
  const { train, heldOut } = splitOff(await posed.withTeacher(data.train), settings.holdOut, session);
  const found = await findTraining(
    {
      ...{ network, params, sparsity, settings, train, task: posed.task },
      ...{ heldOut: heldOut!, normalisation: data.normalisation },
      ...(grouped ? { grouped } : {}),
    },
    session.context(),
  );
  const { losses, longer, learningRate, cropPadding, flip, schedule, epochs } = found;
  const inWords = (all: typeof losses): string =>
    all.map(({ rate, loss }) => `${rate}: ${Number.isFinite(loss) ? loss.toPrecision(3) : "diverged"}`).join(", ");
  const changes = cropPadding > 0 || flip ? "randomly cropped and mirrored images" : "unchanged images";
  const isLost = losses.every(({ loss }) => !Number.isFinite(loss));
  const message = `${path} does not say how it was trained; short trainings ended at these held-out losses, by their highest rate: ${inWords(losses)}${longer.length > 0 ? `; longer ones at ${inWords(longer)}` : ""}; so ${schedule} from ${learningRate}${isLost ? ", the lowest that was tried and too high already," : ""} over ${epochs} epochs on ${changes} is taken (--dense-training says otherwise)`;
  session.onEvent({ type: "note", level: "warn", code: "dense-training", message });
  const { dense = { schedule, learningRate, epochs } } = settings;
  return completeSettings({ settings: { ...settings, dense, cropPadding, flip }, record: found, sparsity });
}
