/** Whether a training that is asked to go on was finished before: its file says what was asked for. */
import { describeDifferences, isPruneError } from "@secateur/core";
import { openModel } from "../open/open-model.ts";
import { readRecord, type TrainingRecord } from "../retrain/training-record.ts";

/** The metadata entry by which --resume knows a training that is finished: the hash of what was asked for. */
export const requestKey = "secateur.request";

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
 */
export async function trainingThere(spec: {
  out: string;
  from: string;
  asked: { readonly request: string; readonly arch: string; readonly record: TrainingRecord };
}): Promise<TrainingThere> {
  const { out, from, asked } = spec;
  try {
    const { metadata, architecture } = await openModel({ path: out, arch: undefined, onEvent: () => {}, cwd: from });
    const request = metadata[requestKey];
    if (request === undefined) return { is: "no training" };
    if (request === asked.request) return { is: "this" };
    const before = JSON.stringify({ arch: architecture.name, ...readRecord(metadata) });
    const now = JSON.stringify({ arch: asked.arch, ...asked.record });
    const difference =
      before === now ? "its data, seed, kernels, rules or first weights were others" : describeDifferences(before, now);
    return { is: "other", difference };
  } catch (error) {
    if (isPruneError(error)) return { is: "no training" };
    throw error;
  }
}
