/** The job that takes the gradient rows of a share of the examples. */
import { chooseTask } from "@secateur/core";
import { type Hash, type Job, type JobContent, type JobKind, type Json, makeJob } from "@secateur/jobs";
import { badJob } from "../../errors.ts";
import type { KernelChoice } from "../../session.ts";
import type { JobHost } from "../jobs/job-host.ts";
import { checkJob } from "../jobs/kinds/check-job.ts";
import { checkNames } from "../jobs/kinds/check-names.ts";
import { holdJobNotes, type JobNote } from "../layers-apart/job-notes.ts";
import { findTask } from "../plugins/find-task.ts";
import { checkModel, modelOfJob, type PortableModel } from "./model-elsewhere.ts";
import { decodeExamples } from "./portable-examples.ts";
import { encodeRows } from "./portable-rows.ts";

/** The name of the kind. */
export const rowsKindName = "gradient rows";

const what = "a job that takes gradient rows";

/** What all shares have in common; `model` and `state` are inputs of the job. */
export interface RowsSettings {
  readonly model: Omit<PortableModel, "files">;
  /** The text of a task; absent: what model and data go together in. */
  readonly task?: string;
  /** What it is called. */
  readonly taskName: string;
  readonly params: readonly string[];
  readonly batch: number;
  readonly kernels: KernelChoice;
}

/** What it gives: the hash of its blocks, and sum and count of the losses of its passes. */
export interface RowsResult {
  readonly blocks: Hash;
  readonly sums: readonly (readonly [sum: number, count: number])[];
  readonly notes: readonly JobNote[];
}

/** The kind. */
export function rowsKind(host: JobHost): JobKind {
  return async (content, { store, signal, onEvent }) => {
    checkJob(content, {
      what,
      settings: {
        ...{ model: "object", "model.model": "text", taskName: "text" },
        ...{ params: "texts", batch: "whole", kernels: "kernels" },
      },
      inputs: ["files", "state", "examples"],
    });
    const settings = content.settings as unknown as RowsSettings;
    const { model: portable, task: text, taskName, params, batch, kernels } = settings;
    checkModel(what, portable);
    if (batch === 0) throw badJob(what, "its rows are of no examples");
    await checkNames({ what, task: text }, host.cwd);
    const { files, state, examples: stored } = content.inputs;
    const { notes, hear } = holdJobNotes(onEvent);
    // Nothing is drawn.
    const session = await host.session({ seed: 0, kernels }, { signal, onEvent: hear });
    const opened = await modelOfJob(
      { host, store, session },
      { portable: { ...portable, files: files! }, state: state! },
    );
    const { network } = opened;
    if (!network.gradientRows) throw badJob(what, "its model gives none");
    const { data, places: examples } = decodeExamples(await store.get(stored!));
    const task = text === undefined ? chooseTask({ model: network, data }) : (await findTask(text, host.cwd)).task;
    if (task.name !== taskName)
      throw badJob(what, `it asks for '${taskName}', and model and data go together in '${task.name}'`);
    const { blocks, sums } = await network.gradientRows({ params, data, task, examples, batch }, session.context());
    try {
      if (!sums) throw badJob(what, "its model does not tell its passes apart");
      const result: RowsResult = {
        blocks: await store.put(encodeRows({ blocks })),
        sums: sums.map(({ sum, count }) => [sum, count]),
        notes,
      };
      return { result: result as unknown as Json };
    } finally {
      // A worker lives on where a store is full.
      const own = blocks.flatMap((block) => (block.kind === "dense" ? [block.rows] : [block.delta, block.input]));
      for (const vector of new Set(own.map((one) => one.data))) session.kernels.free(vector);
    }
  };
}

/** A job of this kind. */
export function rowsJob(
  settings: RowsSettings,
  spec: { files: Hash; state: Hash; examples: Hash; packages: JobContent["packages"]; label: string },
): Job {
  const { packages, label, ...inputs } = spec;
  return makeJob({ kind: rowsKindName, settings: settings as unknown as Json, inputs, after: [], packages }, label);
}
