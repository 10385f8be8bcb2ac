/** The members of `secateur prune --retrain --soup` as jobs. */
import type { Retrainer } from "@secateur/core";
import type { TrainMember } from "@secateur/sparse-training";
import type { Session } from "../../session.ts";
import { storeInputs } from "../jobs/input-files.ts";
import { jobPackages } from "../jobs/job-packages.ts";
import { resultOfJob } from "../jobs/result-of-job.ts";
import type { WorkPlace } from "../jobs/work-place.ts";
import { asksForMatching } from "../open/any-model-settings.ts";
import type { AnyModel } from "../open/open-any-model.ts";
import { findTask } from "../plugins/find-task.ts";
import { type PruneSettings, taskText } from "../prune/prune-settings.ts";
import type { CompleteSettings } from "../retrain/complete-settings.ts";
import { memberJob, memberOf, type PortableTraining, type TrainedMember } from "./member-kind.ts";
import { encodeRequest, encodeTensors } from "./portable-member.ts";

/** What trains members somewhere. */
export interface SoupsApart {
  membersApart(retrainer: Retrainer): TrainMember;
}

/**
 * Has members trained in a work place.
 *
 * @param spec.settings - of a run with data
 * @throws ERR_STORE; ERR_USAGE for data that are a program
 */
export async function soupsApart(spec: {
  settings: PruneSettings;
  retrain: CompleteSettings;
  model: AnyModel;
  place: WorkPlace;
  cwd: string;
  session: Session;
}): Promise<SoupsApart> {
  const { settings, retrain, model, place, session, cwd } = spec;
  const { store } = place;
  const { arch, includeFrozen, inputs, normalize, data = "", preprocess } = settings;
  const task = taskText(settings);
  const found = task === undefined ? [] : (await findTask(task, cwd)).sources;
  const packages = await jobPackages({ session, found: [...found, ...model.packages], data, cwd });
  const { soup: members, holdOut, ...others } = retrain;
  const training: Omit<PortableTraining, "dense"> = {
    ...(await storeInputs(store, { path: settings.model, data, preprocess: preprocess.text }, session)),
    ...{
      arch,
      includeFrozen,
      inputs,
      normalize,
      recipe: preprocess.recipe,
      task,
      trainer: trainerOf(others),
      holdOut,
    },
    corrects: asksForMatching(settings.batchNorm.when),
    ...{ seed: session.seed, kernels: session.kernelChoice },
  };
  return {
    membersApart(retrainer) {
      const { stepsPerEpoch } = retrainer;
      // The network is the dense one still, which may be the teacher.
      const dense = store.put(encodeTensors(retrainer.capture()));
      dense.catch(() => {}); // awaited where it is wanted
      let finished = 0;
      return async ({ member, start, request, ctx }) => {
        const { epochs, learningRate, masks, after } = request;
        const job = memberJob(
          {
            training: { ...training, dense: await dense },
            ...{ epochs, rng: ctx.rng.path },
            start: await store.put(encodeTensors(start)),
            request: await store.put(encodeRequest({ learningRate, masks, steps: epochs * stepsPerEpoch })),
            after: after && (await store.put(encodeTensors(after.tensors))),
          },
          { packages, label: `soup member ${member + 1} of ${members}` },
        );
        const result = await resultOfJob<TrainedMember>(job, place, ctx, (event) => {
          if (event.type === "finished" || event.type === "reused") finished += 1;
          if (event.type !== "progress") return;
          const task = `${job.label} (${event.where}: ${event.text})`;
          session.onEvent({ type: "progress", task, done: finished % members!, total: members!, values: {} });
        });
        return await memberOf(result, store);
      };
    },
  };
}

/** What a trainer reads, and no more: everything else would make other jobs of the same trainings. */
function trainerOf(settings: Omit<CompleteSettings, "soup" | "holdOut">): PortableTraining["trainer"] {
  const { optimizer, momentum, nesterov, batchSize, weightDecay, labelSmoothing } = settings;
  const { cropPadding, flip, averageLast } = settings;
  return {
    ...{ optimizer, batchSize, weightDecay, labelSmoothing, cropPadding, flip },
    ...(momentum === undefined ? {} : { momentum }),
    ...(nesterov === undefined ? {} : { nesterov }),
    ...(averageLast === undefined ? {} : { averageLast }),
  };
}
