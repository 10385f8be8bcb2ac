/** From files to a model that can be pruned, and back to files of the same kind. */

import { isPruneError } from "@secateur/core";
import type { io } from "@tensorflow/tfjs";
import { modelRefused } from "../errors.ts";
import { lossesInFile } from "../tasks/loss-name.ts";
import type { GraphModel, LayersModel, Tf } from "../tf.ts";
import { type TfjsModel, type TfjsModelOptions, tfjsModel } from "../tfjs-model.ts";
import {
  type FileWeight,
  type ModelFiles,
  type ModelJson,
  type ReadFile,
  readModelFiles,
  type WeightSpec,
} from "./model-files.ts";
import { decodeWeight, encodeWeight } from "./weight-bytes.ts";

/** A model that came from files. */
export interface SavedModel extends TfjsModel {
  readonly files: ModelFiles;
  /** The names that the prunable parameters have in the manifest; those of recurrent layers may be longer than the parameter's. */
  readonly prunableInFile: readonly string[];
  /**
   * The files of the model as it is now, by name: "model.json" and the weights files. Only weights that were written differ;
   * names, topology and everything else stay, byte for byte where no quantised weight has a new grid.
   */
  encode(): Promise<ReadonlyMap<string, Uint8Array>>;
  /** The same as TensorFlow.js's own artifacts, for `tf.io` handlers, for example `tf.io.browserDownloads("net").save(artifacts)`. */
  artifacts(): Promise<ModelArtifacts>;
}

/** What TensorFlow.js loads from. */
export type ModelArtifacts = io.ModelArtifacts;

/**
 * Loads a model from its files.
 *
 * @param spec.source - path or URL of model.json
 * @param spec.read - reads model.json (given "") and the files beside it; default: `fetch`
 * @throws as `readModelFiles`; ERR_TFJS_MODEL when TensorFlow.js does not load it, or it is no classifier with one input
 * @example
 * const model = await loadModel({ tf, source: "https://example.com/net/model.json" });
 */
export async function loadModel(
  spec: Omit<TfjsModelOptions, "model" | "topology" | "asStored"> & { source: string; read?: ReadFile },
): Promise<SavedModel> {
  const { source, read = fetched(spec.source) } = spec;
  return await openModelFiles({ ...spec, files: await readModelFiles({ source, read }) });
}

/** The same from files that were read already. @throws ERR_TFJS_MODEL */
export async function openModelFiles(
  spec: Omit<TfjsModelOptions, "model" | "topology" | "asStored"> & { files: ModelFiles },
): Promise<SavedModel> {
  try {
    return await adaptedModel(spec);
  } catch (cause) {
    if (isPruneError(cause)) throw cause;
    const { source, json } = spec.files;
    throw modelRefused({ source, cause, kerasVersion: json.modelTopology["keras_version"] });
  }
}

async function adaptedModel(spec: Parameters<typeof openModelFiles>[0]): Promise<SavedModel> {
  const { tf, files } = spec;
  const { source, json } = files;
  const model = await load(tf, files);
  const byName = fileWeights(files);
  const asStored = (name: string, values: Float32Array): Float32Array => {
    const stored = byName(name)?.spec;
    if (!stored?.quantization) return values;
    const encoded = encodeWeight(stored, values);
    return decodeWeight(encoded.spec, encoded.bytes) as Float32Array;
  };
  const { modelTopology: topology } = json;
  const { outputNames } = model as { outputNames?: readonly string[] };
  // Sequential models name no outputs: they have one.
  const compiled = lossesInFile(json, outputNames?.length ? outputNames : ["output"]);
  const adapted = await tfjsModel({ compiled, ...spec, model, name: spec.name ?? source, topology, asStored });
  return {
    ...adapted,
    files,
    prunableInFile: adapted
      .params()
      .flatMap(({ name, prunable }) => (prunable ? [byName(name)?.spec.name ?? name] : [])),
    encode: async () => encodeFiles(await withWritten({ files, adapted, byName })),
    artifacts: async () => artifactsOf(await withWritten({ files, adapted, byName })),
  };
}

async function load(tf: Tf, files: ModelFiles): Promise<LayersModel | GraphModel> {
  const artifacts = artifactsOf(files);
  if (files.kind === "graph") return await tf.loadGraphModel({ load: async () => artifacts });
  // Files converted from Keras keep it inside the topology, where TensorFlow.js does not look.
  const { trainingConfig = files.json.modelTopology["training_config"], ...rest } = artifacts;
  if (trainingConfig) {
    try {
      return await tf.loadLayersModel({
        load: async () => ({ ...rest, trainingConfig: trainingConfig as TrainingConfig }),
      });
    } catch {
      // A loss or optimizer of its own keeps a model from training, not from being pruned.
    }
  }
  return await tf.loadLayersModel({ load: async () => rest });
}

type TrainingConfig = NonNullable<ModelArtifacts["trainingConfig"]>;

/** The file's weights by the names that TensorFlow.js gives them: it drops the cell's name inside recurrent layers. */
function fileWeights({ weights }: ModelFiles): (name: string) => FileWeight | undefined {
  const exact = new Map(weights.map((weight) => [weight.spec.name, weight]));
  const short = new Map(
    weights.map((weight) => {
      const parts = weight.spec.name.split("/");
      return [[...parts.slice(0, -2), ...parts.slice(-1)].join("/"), weight];
    }),
  );
  return (name) => exact.get(name) ?? short.get(name);
}

/** The files with the weights written since put in. */
async function withWritten(spec: {
  files: ModelFiles;
  adapted: TfjsModel;
  byName: (name: string) => FileWeight | undefined;
}): Promise<ModelFiles> {
  const { files, adapted, byName } = spec;
  const data = files.data.slice();
  const changed = new Map<FileWeight, WeightSpec>();
  for (const name of adapted.written) {
    const weight = byName(name);
    if (!weight) continue;
    const encoded = encodeWeight(weight.spec, await adapted.stored(name));
    data.set(encoded.bytes, weight.offset);
    if (weight.spec.quantization?.scale !== undefined) changed.set(weight, encoded.spec);
  }
  if (changed.size === 0) return { ...files, data };
  const weights = files.weights.map((weight) => ({ ...weight, spec: changed.get(weight) ?? weight.spec }));
  let next = 0;
  const weightsManifest = files.json.weightsManifest.map((group) => ({
    ...group,
    weights: group.weights.map(() => weights[next++]!.spec),
  }));
  const json: ModelJson = { ...files.json, weightsManifest };
  return { ...files, data, weights, json, jsonBytes: new TextEncoder().encode(JSON.stringify(json)) };
}

function encodeFiles({ jsonBytes, data, shards }: ModelFiles): ReadonlyMap<string, Uint8Array> {
  const encoded = new Map<string, Uint8Array>([["model.json", jsonBytes]]);
  let start = 0;
  for (const { path, bytes } of shards) {
    encoded.set(path, data.slice(start, start + bytes));
    start += bytes;
  }
  return encoded;
}

function artifactsOf({ json, weights, data, kind }: ModelFiles): ModelArtifacts {
  const { weightsManifest: _, ...rest } = json;
  return {
    ...rest,
    format: kind === "graph" ? "graph-model" : "layers-model",
    weightSpecs: weights.map(({ spec }) => spec) as unknown as NonNullable<ModelArtifacts["weightSpecs"]>,
    weightData: data.buffer,
  };
}

function fetched(source: string): ReadFile {
  // In a browser a source may be relative to the page.
  const page = (globalThis as { location?: { href: string } }).location?.href;
  const model = new URL(source, page);
  const folder = new URL(".", model).href;
  return async (name) => {
    const url = name === "" ? model.href : new URL(name, model).href;
    // URLs drop white space and read %2e as a dot, so only the whole address shows where a name leads.
    if (!url.startsWith(folder)) throw new Error(`${url} is not in ${folder}`);
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} answers ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  };
}
