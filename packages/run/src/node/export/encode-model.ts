/** A model as the files of the format that is asked for: what it is already, or another that can say the same. */
import { basename, join } from "node:path";
import { type ModelFiles, readModelFiles } from "@secateur/backends-tfjs";
import type { RunEvent } from "@secateur/core";
import { encodeOnnx, type NewOnnxModel, withOnnxMetadata } from "@secateur/formats";
import { badUsage, opsetTooLow } from "../../errors.ts";
import { encodeNetwork } from "../open/encode-network.ts";
import { type AnyModel, ownNetwork } from "../open/open-any-model.ts";
import { type StatedOfModel, statedMetadata } from "../preprocessing/preprocessing.ts";
import { onnxOfKeras } from "./keras/onnx-of-keras.ts";
import { onnxOfNetwork } from "./onnx-of-network.ts";
import { inOpset, lowestOpset } from "./operator-sets.ts";
import { tfjsOfNetwork } from "./tfjs-of-network.ts";

/** What an output is: a file of tensors, a graph with its tensors in one file, or a folder with model.json in it. */
export type OutputForm = "checkpoint" | "onnx" | "tfjs";

/** The form that a path's name asks for: NAME.onnx, FOLDER/model.json, or a file of tensors. */
export function outputForm(path: string): OutputForm {
  if (path.toLowerCase().endsWith(".onnx")) return "onnx";
  return basename(path) === "model.json" ? "tfjs" : "checkpoint";
}

/** A file to write: its absolute path and its bytes. */
export type EncodedFile = readonly [path: string, bytes: Uint8Array];

/** The newest operator set whose operators mean what those that are written mean. */
const newestOpset = 23;

/**
 * Encodes a model.
 *
 * @param spec.path - the file, or the folder of a TensorFlow.js model
 * @param spec.metadata - kept in the files, where the model is not written as what it is already
 * @param spec.stated - what is known of preparing data; kept in the metadata of every format
 * @param spec.opset - ONNX operator set; default: the lowest that holds the graph
 * @param spec.from - the folder from which plugins are looked for
 * @param spec.onEvent - told where numbers are written in another type
 * @returns the files in the order in which they are to be written
 * @throws ERR_EXPORT for what the format cannot say, ERR_OUTPUT_FORMAT, ERR_USAGE
 */
export async function encodeModel(spec: {
  model: Pick<AnyModel, "own" | "onnx" | "tfjs" | "path">;
  form: OutputForm;
  path: string;
  metadata: Readonly<Record<string, string>>;
  stated: StatedOfModel;
  opset?: number | undefined;
  from: string;
  onEvent: (event: RunEvent) => void;
}): Promise<readonly EncodedFile[]> {
  const { model, form, path, opset, from, onEvent } = spec;
  const stated = statedMetadata(spec.stated);
  const metadata = { ...spec.metadata, ...stated };
  const { tfjs, onnx } = model;
  if (opset !== undefined && (onnx || form !== "onnx")) {
    throw badUsage(`--opset is for models that become ONNX, and ${path} does not; leave it out`, { path });
  }
  if (tfjs) {
    const files = await tfjs.model.encode();
    if (form === "onnx") noteQuantised(tfjs.model.files, onEvent);
    if (form === "onnx")
      return [[path, encodeOnnx(withOpset(onnxOfKeras(await asRead(files, model.path)), { metadata, opset }))]];
    return inFolder(path, withTfjsMetadata(files, stated));
  }
  // Graph, names and metadata stay what they are: only the bytes of pruned tensors differ, and what is stated of data is added.
  if (onnx) return [[path, withOnnxMetadata(onnx.encode(), stated, path)]];
  const { network, stored } = ownNetwork(model as AnyModel, "saving");
  if (form !== "checkpoint" && network.tensors().some(({ data }) => data instanceof Float64Array)) {
    onEvent(narrowed("its weights are f64; what is written holds f32"));
  }
  if (form === "tfjs") return inFolder(path, tfjsOfNetwork(network, { metadata }));
  if (form === "onnx") return [[path, encodeOnnx(withOpset(onnxOfNetwork(network), { metadata, opset }))]];
  return [[path, await encodeNetwork({ network, path, metadata, stored, from })]];
}

/** Says that quantised weights of a TensorFlow.js model are written as f32. */
export function noteQuantised({ weights }: ModelFiles, onEvent: (event: RunEvent) => void): void {
  if (weights.some(({ spec }) => spec.quantization !== undefined)) {
    onEvent(narrowed("its weights are quantised; what is written holds the f32 numbers that they mean"));
  }
}

function narrowed(message: string): RunEvent {
  return { type: "note", level: "info", code: "dtype", message };
}

/**
 * The same model with its metadata, in the lowest operator set that holds it, or in the one that is asked for.
 *
 * @throws ERR_USAGE for one that does not hold the graph, or is not known
 */
export function withOpset(
  model: NewOnnxModel,
  { metadata, opset }: { metadata: Readonly<Record<string, string>>; opset?: number | undefined },
): NewOnnxModel {
  const lowest = lowestOpset(model);
  if (opset !== undefined && (opset < lowest || opset > newestOpset)) {
    throw opsetTooLow({ found: opset, lowest, newest: newestOpset });
  }
  return inOpset({ ...model, metadata: { ...model.metadata, ...metadata } }, opset ?? lowest);
}

/** Files of a model in their folder, the weights first: where there is a model.json, its files are there. */
export function inFolder(folder: string, files: ReadonlyMap<string, Uint8Array>): readonly EncodedFile[] {
  return [...files].reverse().map(([name, bytes]) => [join(folder, name), bytes] as const);
}

/** Entries added to what a model.json says of its model; the files as they are where there are none. */
function withTfjsMetadata(
  files: ReadonlyMap<string, Uint8Array>,
  entries: Readonly<Record<string, string>>,
): ReadonlyMap<string, Uint8Array> {
  const json = files.get("model.json");
  if (!json || Object.keys(entries).length === 0) return files;
  const model = JSON.parse(new TextDecoder().decode(json));
  const text = JSON.stringify({ ...model, userDefinedMetadata: { ...model.userDefinedMetadata, ...entries } });
  return new Map([...files, ["model.json", new TextEncoder().encode(text)]]);
}

/** Files by name as if they were read. */
export async function asRead(files: ReadonlyMap<string, Uint8Array>, source: string): Promise<ModelFiles> {
  return await readModelFiles({ source, read: async (name) => files.get(name === "" ? "model.json" : name)! });
}
