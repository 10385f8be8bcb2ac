/** The job that trains one member of a soup: model and data are opened as the run itself opened them, and kept for the next member. */
import { chooseTask, createRng, type Retrainer, type RetrainingState, teacherDataset } from "@secateur/core";
import { type Hash, type Job, type JobContent, type JobKind, type Json, makeJob, type Store } from "@secateur/jobs";
import type { TrainMember } from "@secateur/sparse-training";
import type { KernelChoice, Session } from "../../session.ts";
import { type PortableInputs, viewInputs } from "../jobs/input-files.ts";
import { type JobHost, outliving } from "../jobs/job-host.ts";
import { checkJob } from "../jobs/kinds/check-job.ts";
import { checkNames } from "../jobs/kinds/check-names.ts";
import { holdJobNotes, type JobNote } from "../layers-apart/job-notes.ts";
import { openAnyModel, ownNetwork } from "../open/open-any-model.ts";
import { openData } from "../open/open-data.ts";
import { findTask } from "../plugins/find-task.ts";
import type { PruneSettings } from "../prune/prune-settings.ts";
import { splitOff } from "../retrain/retrain-network.ts";
import { retrainerOf, type TrainerSettings } from "../retrain/retrainer-of.ts";
import { decodeRequest, decodeTensors, encodeTensors } from "./portable-member.ts";

/** The name of the kind. */
export const memberKindName = "soup member";

/** What all members of a run have in common. */
export type PortableTraining = Pick<PruneSettings, "arch" | "includeFrozen" | "inputs" | "normalize"> &
  PortableInputs & {
    readonly recipe: PruneSettings["preprocess"]["recipe"];
    /** The text of a task. */
    readonly task: string | undefined;
    /** Without soups: of one member. */
    readonly trainer: TrainerSettings;
    readonly holdOut: number | undefined;
    readonly corrects: boolean;
    readonly seed: number;
    readonly kernels: KernelChoice;
    /** Of the dense network's tensors, where it is the teacher. */
    readonly dense: Hash | undefined;
  };

interface MemberSettings {
  readonly training: Omit<PortableTraining, "files" | "dense">;
  readonly epochs: number;
  /** The path of its random numbers. */
  readonly rng: string;
}

/** What it gives: hashes of the tensors of the model and of the state at the end. */
export interface TrainedMember extends Omit<RetrainingState, "tensors" | "masks"> {
  readonly model: Hash;
  readonly state: Hash;
  readonly notes: readonly JobNote[];
}

/** The kind. */
export function memberKind(host: JobHost): JobKind {
  return async (content, { store, signal, onEvent }) => {
    checkJob(content, {
      what: "a job that trains a member of a soup",
      settings: {
        ...{ training: "object", "training.seed": "whole", "training.kernels": "kernels" },
        ...{ "training.trainer": "object", epochs: "whole", rng: "text" },
      },
      inputs: ["files", "start", "request"],
    });
    const { training: common, epochs, rng } = content.settings as unknown as MemberSettings;
    const { task, data } = common;
    await checkNames({ what: "a job that trains a member of a soup", task, data }, host.cwd);
    const { files, start, request, after, dense } = content.inputs;
    const training: PortableTraining = { ...common, files: files!, dense };
    const { notes, hear } = holdJobNotes(onEvent);
    const session = await host.session(training, { signal, onEvent: hear });
    const { retrainer } = await host.keep({ ...training, backend: session.kernels.name } as unknown as Json, () =>
      openTraining(training, { store, cwd: host.cwd, session: outliving(session) }),
    );
    await retrainer.restore(decodeTensors(await store.get(start!)));
    const before: RetrainingState | undefined =
      after === undefined ? undefined : { epoch: 0, epochs: [], tensors: decodeTensors(await store.get(after)) };
    const {
      tensors,
      masks: _,
      ...state
    } = await retrainer.retrain(
      { epochs, ...decodeRequest(await store.get(request!)), ...(before ? { after: before } : {}) },
      { ...session.context(), rng: createRng(rng) },
    );
    const trained: TrainedMember = {
      ...state,
      model: await store.put(encodeTensors(retrainer.capture())),
      state: await store.put(encodeTensors(tensors)),
      notes,
    };
    return { result: trained as unknown as Json };
  };
}

/** Model and data as the run opened them before it pruned anything. */
async function openTraining(
  training: PortableTraining,
  { store, cwd, session }: { store: Store; cwd: string; session: Session },
): Promise<{ retrainer: Retrainer; close(): void }> {
  const { arch, includeFrozen, inputs, corrects, normalize, recipe, trainer, holdOut, dense } = training;
  const { path, data: source, preprocess: text } = await viewInputs(store, training);
  const onEvent = (): void => {};
  const model = await openAnyModel({
    path,
    arch,
    engine: undefined,
    includeFrozen,
    inputs,
    cwd,
    corrects,
    onEvent,
    untie: true,
  });
  try {
    const named = training.task === undefined ? undefined : (await findTask(training.task, cwd)).task;
    const data = await openData({
      data: source,
      ...{ normalize, preprocess: { text, recipe }, stated: model.stated },
      task: named ?? model.own?.trainedFor,
      classes: model.classes,
      network: model.spec,
      inputs: model.network.inputs,
      ...{ onEvent, cwd },
    });
    const trained = model.onnx?.model ?? ownNetwork(model, "--retrain").network;
    const task = named ?? chooseTask({ model: model.network, data: data.train });
    const common = { task, settings: trainer, splits: data };
    // What teaches is the network that the run began with.
    if (dense !== undefined) {
      await retrainerOf(trained, { ...common, data: data.train }).restore(decodeTensors(await store.get(dense)));
    }
    const { train } = splitOff(
      task.targetsFrom === "teacher"
        ? (await teacherDataset({ model: model.network, data: data.train, task }, session.context())).data
        : data.train,
      holdOut,
      session,
    );
    return { retrainer: retrainerOf(trained, { ...common, data: train }), close: () => model.close() };
  } catch (error) {
    model.close();
    throw error;
  }
}

/** A job of this kind. */
export function memberJob(
  spec: Omit<MemberSettings, "training"> & {
    readonly training: PortableTraining;
    readonly start: Hash;
    readonly request: Hash;
    readonly after: Hash | undefined;
  },
  { packages, label }: { packages: JobContent["packages"]; label: string },
): Job {
  const { training, epochs, rng, start, request, after } = spec;
  const { files, dense, ...common } = training;
  const settings = { training: common, epochs, rng } as unknown as Json;
  const inputs = { files, start, request, ...(after ? { after } : {}), ...(dense ? { dense } : {}) };
  return makeJob({ kind: memberKindName, settings, inputs, after: [], packages }, label);
}

/** What a job gave, as a soup takes it. */
export async function memberOf({ model, state, epoch, epochs }: TrainedMember, store: Store): ReturnType<TrainMember> {
  const [tensors, end] = [decodeTensors(await store.get(model)), decodeTensors(await store.get(state))];
  return { model: tensors, state: { epoch, epochs, tensors: end } };
}
