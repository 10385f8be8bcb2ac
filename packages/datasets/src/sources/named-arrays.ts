import { sizeOfShape, type Tensor, tensorDataset } from "@secateur/core";
import { badDataSpec, emptyDataset, readerMissing, shapesDiffer } from "../errors.ts";
import type { DataSource, DatasetSplits, OpenRequest } from "../source.ts";
import { finiteFloats } from "./finite-floats.ts";
import { type FileArray, targetsOf } from "./npy-targets.ts";

/**
 * `npy:NAME=FILE,NAME=FILE...`: arrays [n, ...] by name. Those named as the model's inputs are its inputs, all others targets; where none is, or
 * nothing is known of the model, the first is the input. One split serves for both uses.
 *
 * @throws ERR_DATA_SPEC, ERR_SHAPE, ERR_NOT_FINITE, ERR_LABEL_RANGE
 */
export async function namedArrays(request: OpenRequest, parts: readonly string[]): Promise<DatasetSplits> {
  const { spec, options } = request;
  const expected = "NAME=FILE for every array, each name once, such as npy:x=X.npy,digit=Y.npy,angle=Z.npy";
  const named = parts.map((part) => part.split(/=(.*)/s) as [string, string | undefined]);
  if (named.some(([name, path]) => name === "" || !path) || new Set(named.map(([name]) => name)).size < named.length) {
    throw badDataSpec({ found: spec, expected });
  }
  if (options.readArray === undefined) throw readerMissing(spec);
  const arrays = new Map<string, FileArray>();
  for (const [name, path] of named) arrays.set(name, { ...(await options.readArray(path!)), path: path! });
  return fromArrays(request, arrays);
}

/** The arrays of a whole .npz archive by their names there, as those of `npy:NAME=FILE,...`. */
export const npzSource: DataSource = {
  name: "npz",
  usages: ["npz:FILE.npz"],
  summary: "arrays [n, ...] by name: those named as the model's inputs are inputs, all others targets",
  async open(request: OpenRequest): Promise<DatasetSplits> {
    const { spec, argument, options } = request;
    if (!argument) throw badDataSpec({ found: spec, expected: "npz:FILE.npz" });
    if (options.readArrays === undefined) throw readerMissing(spec);
    const arrays = [...(await options.readArrays(argument))];
    return fromArrays(
      request,
      new Map(arrays.map(([name, array]) => [name, { ...array, path: `${argument}: ${name}` }])),
    );
  },
};

function fromArrays({ spec, options }: OpenRequest, arrays: ReadonlyMap<string, FileArray>): DatasetSplits {
  if (options.normalize) {
    throw badDataSpec({
      found: `a normalisation of ${spec}`,
      expected: "arrays by name as they are; normalise them before",
    });
  }
  const [first] = arrays.keys();
  if (first === undefined) throw emptyDataset(spec);
  const known = (options.inputNames ?? []).filter((name) => arrays.has(name));
  const inputNames = known.length > 0 ? known : [first];
  const size = arrays.get(inputNames[0]!)!.shape[0] ?? 0;
  if (size === 0) throw emptyDataset(spec);
  for (const { shape, path } of arrays.values()) {
    if (shape[0] === size) continue;
    const found = `${size} examples of '${inputNames[0]}' and an array of shape [${shape.join(", ")}] in ${path}`;
    throw shapesDiffer({
      where: spec,
      found,
      expected: "as many examples in every array, counted by its first dimension",
    });
  }
  const inputs: Record<string, Tensor> = {};
  const targets: Record<string, Tensor> = {};
  const classes: Record<string, number> = {};
  for (const [name, array] of arrays) {
    const { shape, data, path } = array;
    if (inputNames.includes(name)) {
      const features = sizeOfShape(shape.slice(1));
      inputs[name] = {
        shape,
        data: data instanceof Uint8Array ? data : finiteFloats(data, { features, source: path }),
      };
      continue;
    }
    // How many classes a model has says nothing of one of several targets.
    const [own] = targetsOf([array], options.targets ? { targets: options.targets } : {})!;
    targets[name] = { shape: [size, ...own!.shape], data: own!.data };
    if (own!.classes !== undefined) classes[name] = own!.classes;
  }
  const hasTargets = Object.keys(targets).length > 0;
  const dataset = tensorDataset({ name: spec, inputs, classes, ...(hasTargets ? { targets } : {}) });
  return { name: spec, train: dataset, test: dataset, normalisation: { divisor: 1, mean: [0], std: [1] } };
}
