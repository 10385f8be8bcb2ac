/** Whether a training that is asked to go on was finished before: its file says what was asked for. */
import { isPruneError } from "@secateur/core";
import { openModel } from "../open/open-model.ts";
import { requestHash } from "../state/finished-run.ts";
import { trainingsDiffer } from "../state/training-file.ts";

/** The metadata entries by which --resume knows a training that is finished: what decided it, as JSON, and the hash of that. */
const requestKey = "secateur.request";
const settingsKey = "secateur.settings";

/** What a file says of the training that gave it. @param run - all that decides it, as JSON */
export function requestMetadata(run: string): Readonly<Record<string, string>> {
  return { [settingsKey]: run, [requestKey]: requestHash(run) };
}

/** What stands at a training's output. */
export type TrainingThere =
  | { readonly is: "this" }
  /** Another one; in words, field by field, where the two differ. */
  | { readonly is: "other"; readonly difference: string }
  | { readonly is: "no training" };

/**
 * Compares the file at a training's output with what is asked for now. A file that is read is whole: it has a checksum.
 *
 * @param spec.out - absolute path of a file
 * @param spec.from - the folder from which plugins are looked for
 * @param spec.run - all that decides the training that is asked for, as JSON
 */
export async function trainingThere(spec: { out: string; from: string; run: string }): Promise<TrainingThere> {
  const { out, from, run } = spec;
  try {
    const { metadata } = await openModel({ path: out, arch: undefined, onEvent: () => {}, cwd: from });
    const { [requestKey]: request, [settingsKey]: settings } = metadata;
    if (request === requestHash(run)) return { is: "this" };
    return settings === undefined ? { is: "no training" } : { is: "other", difference: trainingsDiffer(settings, run) };
  } catch (error) {
    if (isPruneError(error)) return { is: "no training" };
    throw error;
  }
}
