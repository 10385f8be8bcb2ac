/** A model as it is now, for jobs: the files that it was opened from, and the numbers that have changed since. */
import type { Mat } from "@secateur/core";
import { decodeSafetensors, encodeSafetensors, type NamedTensor } from "@secateur/formats";
import type { Hash, Json, Store } from "@secateur/jobs";
import { badJob } from "../../errors.ts";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import type { Session } from "../../session.ts";
import { type PortableInputs, viewModel } from "../jobs/input-files.ts";
import { type JobHost, outliving } from "../jobs/job-host.ts";
import type { InputTexts } from "../open/input-choices.ts";
import { type AnyModel, openAnyModel } from "../open/open-any-model.ts";

/** How a model is opened on another machine; `files` is an input of a job. */
export interface PortableModel extends Pick<PortableInputs, "files" | "model"> {
  readonly arch: string | undefined;
  readonly includeFrozen: boolean | undefined;
  readonly inputs: InputTexts | undefined;
  readonly corrects: boolean;
  readonly untie: boolean;
}

/** Whether a model's numbers can be sent: those of TensorFlow.js cannot. */
export function isPortable({ own, onnx }: AnyModel): boolean {
  return own !== undefined || onnx !== undefined;
}

/** What a message says of opening a model. @throws ERR_JOB */
export function checkModel(
  what: string,
  { arch, includeFrozen, inputs, corrects, untie }: Omit<PortableModel, "files">,
): void {
  const isText = (value: unknown): boolean => value === undefined || typeof value === "string";
  const areTexts = (value: unknown): boolean => value === undefined || (Array.isArray(value) && value.every(isText));
  const { inputShape, fix } = inputs ?? {};
  const isFlag = (value: unknown): boolean => value === undefined || typeof value === "boolean";
  const isRight =
    isText(arch) && [includeFrozen, corrects, untie].every(isFlag) && areTexts(inputShape) && areTexts(fix);
  if (!isRight) throw badJob(what, "its model is opened in no way of ours");
}

/** The tensors of a model as they are now: weights, biases, scales and statistics. */
export async function captureModel(model: AnyModel): Promise<Uint8Array> {
  const { whole, names } = numbersOf(model);
  const tensors = await Promise.all(
    names.map(async (name): Promise<NamedTensor> => {
      const { rows, cols, data } = await whole.read(name);
      return data instanceof Float64Array
        ? { name, shape: [rows, cols], dtype: "f64", data }
        : { name, shape: [rows, cols], dtype: "f32", data };
    }),
  );
  return encodeSafetensors({ tensors, metadata: {} });
}

/** Writes them to a model that was opened from the same files. @throws ERR_SAFETENSORS; ERR_UNKNOWN_NAME, ERR_SHAPE for those of another model */
export async function restoreModel(model: AnyModel, bytes: Uint8Array): Promise<void> {
  const { whole } = numbersOf(model);
  for (const { name, shape, data } of decodeSafetensors(bytes, "the tensors of a model").tensors) {
    await whole.write(name, { rows: shape[0]!, cols: shape[1]!, data: data as Mat["data"] });
  }
}

/** The model without ties, and the names of all that it reads and writes. */
function numbersOf({ own, onnx, network }: AnyModel): { whole: PrunableModel; names: readonly string[] } {
  if (own) return { whole: own.network, names: [...own.network.weights.keys()] };
  return { whole: network, names: [...onnx!.model.numbers.keys()] };
}

/** A model that jobs of one thread keep open. */
interface KeptModel {
  readonly model: AnyModel;
  /** Which numbers it has now. */
  state: Hash | undefined;
  close(): void;
}

/** The model of a job with the numbers that it names: that of the last job, where it is the same. */
export async function modelOfJob(
  spec: { readonly host: JobHost; readonly store: Store; readonly session: Session },
  { portable, state }: { readonly portable: PortableModel; readonly state: Hash },
): Promise<AnyModel> {
  const { host, store, session } = spec;
  const key = { ...portable, backend: session.kernels.name, what: "model" } as unknown as Json;
  const kept = await host.keep(key, async (): Promise<KeptModel> => {
    const path = await viewModel(store, portable);
    const { arch, includeFrozen, inputs, corrects, untie } = portable;
    const { onEvent } = outliving(session);
    const model = await openAnyModel({
      ...{ path, arch, engine: undefined, includeFrozen, inputs, cwd: host.cwd, corrects, untie, onEvent },
    });
    return { model, state: undefined, close: () => model.close() };
  });
  if (kept.state !== state) {
    // Should it fail half-way, the numbers are nobody's.
    kept.state = undefined;
    await restoreModel(kept.model, await store.get(state));
    kept.state = state;
  }
  return kept.model;
}
