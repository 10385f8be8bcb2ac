/** The files of a TensorFlow.js model with its large weights in one byte a number, as stock TensorFlow.js reads them. */
import { notFinite } from "@secateur/core";
import { type FileWeight, joined, type ModelFiles, type ModelJson, type WeightSpec } from "./model-files.ts";
import { encodeWeight } from "./weight-bytes.ts";

/** Fewer numbers than this gain too little: biases, scales and shifts stay what they are. */
const leastNumbers = 64;

/**
 * Weights in f32 of at least two dimensions and 64 numbers become uint8 with a scale and a least value a tensor, zero exactly on the grid;
 * all others stay byte for byte. Each group of the manifest becomes one file, named as its first was.
 *
 * @param files - of a layers or a graph model
 * @throws ERR_NOT_FINITE naming the weight, before anything is made
 * @returns the files by name: "model.json" and the weights files
 * @example
 * const files = quantizeFiles(await readModelFiles({ source, read }));
 */
export function quantizeFiles(files: ModelFiles): ReadonlyMap<string, Uint8Array> {
  const { json, weights } = files;
  const out = new Map<string, Uint8Array>();
  let next = 0;
  const weightsManifest = json.weightsManifest.map((group) => {
    const encoded = group.weights.map(() => quantized(weights[next++]!, files));
    const paths = group.paths.slice(0, 1);
    for (const path of paths) out.set(path, joined(encoded.map(({ bytes }) => bytes)));
    return { ...group, paths, weights: encoded.map(({ spec }) => spec) };
  });
  const written: ModelJson = { ...json, weightsManifest };
  return new Map([["model.json", new TextEncoder().encode(JSON.stringify(written))], ...out]);
}

function quantized(
  { spec, offset, bytes }: FileWeight,
  { source, data }: Pick<ModelFiles, "source" | "data">,
): { bytes: Uint8Array; spec: WeightSpec } {
  const own = data.slice(offset, offset + bytes);
  const isLarge = spec.shape.length >= 2 && bytes / 4 >= leastNumbers;
  if (spec.dtype !== "float32" || spec.quantization || !isLarge) return { bytes: own, spec };
  const values = new Float32Array(own.buffer);
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index >= 0) {
    const count = values.reduce((sum, value) => sum + Number(!Number.isFinite(value)), 0);
    const remedy = "a grid of 256 values has none for them: mend the model, or leave its values in f32";
    throw notFinite({ where: `${source}, weight '${spec.name}'`, index, value: values[index]!, count, remedy });
  }
  return encodeWeight({ ...spec, quantization: { dtype: "uint8" } }, values);
}
