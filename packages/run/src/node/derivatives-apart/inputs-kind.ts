/** The job that takes the second moments of what all layers see in a share of the examples. */
import { type LayerRows, matrix, type Vec } from "@secateur/core";
import { type InputMoments, type SummedInputs, shareOfInputs } from "@secateur/fisher";
import { decodeSafetensors, encodeSafetensors } from "@secateur/formats";
import { type Hash, type Job, type JobContent, type JobKind, type Json, makeJob, type Store } from "@secateur/jobs";
import { badJob } from "../../errors.ts";
import type { KernelChoice } from "../../session.ts";
import type { JobHost } from "../jobs/job-host.ts";
import { checkJob } from "../jobs/kinds/check-job.ts";
import { holdJobNotes, type JobNote } from "../layers-apart/job-notes.ts";
import { checkModel, modelOfJob, type PortableModel } from "./model-elsewhere.ts";
import { decodeExamples } from "./portable-examples.ts";

/** The name of the kind. */
export const inputsKindName = "input moments";

const what = "a job that takes moments of inputs";

/** Which share of what; `files`, `state` and `examples` are inputs of the job. */
export interface InputsSettings {
  readonly model: Omit<PortableModel, "files">;
  readonly params: readonly string[];
  readonly rowsPerInput: number;
  /** The share's first example of so many. */
  readonly first: number;
  readonly of: number;
  readonly kernels: KernelChoice;
}

/** What it gives: of each entry the hash of its sums. */
export interface InputsResult {
  readonly entries: readonly {
    readonly targets: readonly LayerRows[];
    readonly cols: number;
    readonly rows?: number;
    readonly count: number;
    readonly sums: Hash;
  }[];
  readonly notes: readonly JobNote[];
}

/** The kind. */
export function inputsKind(host: JobHost): JobKind {
  return async (content, { store, signal, onEvent }) => {
    checkJob(content, {
      what,
      settings: {
        ...{ model: "object", "model.model": "text", params: "texts", rowsPerInput: "number" },
        ...{ first: "whole", of: "whole", kernels: "kernels" },
      },
      inputs: ["files", "state", "examples"],
    });
    const { model: portable, kernels, ...asked } = content.settings as unknown as InputsSettings;
    checkModel(what, portable);
    const { first, of, rowsPerInput } = asked;
    if (!(first < of) || !(rowsPerInput >= 4)) throw badJob(what, "its share is none");
    const { files, state, examples: stored } = content.inputs;
    const { notes, hear } = holdJobNotes(onEvent);
    const session = await host.session({ seed: 0, kernels }, { signal, onEvent: hear });
    const { network: model } = await modelOfJob(
      { host, store, session },
      { portable: { ...portable, files: files! }, state: state! },
    );
    const { data, places: examples } = decodeExamples(await store.get(stored!));
    const entries: InputsResult["entries"][number][] = [];
    for await (const { moments, ...entry } of shareOfInputs({ ...asked, model, data, examples }, session.context())) {
      entries.push({ ...entry, count: moments.count, sums: await store.put(encodeMoments(moments)) });
    }
    const result: InputsResult = { entries, notes };
    return { result: result as unknown as Json };
  };
}

/** A job of this kind. */
export function inputsJob(
  settings: InputsSettings,
  spec: { files: Hash; state: Hash; examples: Hash; packages: JobContent["packages"]; label: string },
): Job {
  const { packages, label, ...inputs } = spec;
  return makeJob({ kind: inputsKindName, settings: settings as unknown as Json, inputs, after: [], packages }, label);
}

/** An entry of a result with its sums. */
export async function entryOf(
  { sums, count, ...entry }: InputsResult["entries"][number],
  store: Store,
): Promise<SummedInputs> {
  const { tensors } = decodeSafetensors(await store.get(sums), "moments of inputs");
  const [H, means] = ["H", "means"].map((name) => (tensors.find((one) => one.name === name)!.data as Vec).slice());
  const { cols } = entry;
  return { ...entry, moments: { H: matrix(cols, cols, H as Float64Array), means: means as Float64Array, count } };
}

function encodeMoments({ H, means }: InputMoments): Uint8Array {
  return encodeSafetensors({
    tensors: [
      { name: "H", shape: [H.rows, H.cols], dtype: "f64", data: H.data as Float64Array },
      { name: "means", shape: [means.length], dtype: "f64", data: means },
    ],
    metadata: {},
  });
}
