/** Some examples of a dataset as bytes: what is read, decoded and prepared once goes to whoever takes sums over it, whatever it was read from. */
import type { Dataset, TensorSpec, Tensors, TypedArray } from "@secateur/core";
import { tensorDataset, tensorDtypeOf } from "@secateur/core";
import { decodeSafetensors, encodeSafetensors, type NamedTensor } from "@secateur/formats";
import { badJob } from "../../errors.ts";

interface Described {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly targets?: readonly TensorSpec[];
}

/** The examples at the given places. */
export async function encodeExamples(dataset: Dataset, places: Uint32Array): Promise<Uint8Array> {
  const { name, inputs, targets } = dataset;
  const batch = await dataset.batch(places);
  const described: Described = { name, inputs, ...(targets ? { targets } : {}) };
  return encodeSafetensors({
    tensors: [
      ...named(inputPrefix, batch.inputs),
      ...named(targetPrefix, batch.targets ?? {}),
      { name: placesName, shape: [places.length], dtype: "u32", data: places.slice() },
    ],
    metadata: { described: JSON.stringify(described) },
  });
}

/**
 * They as a dataset that has them at the same places, so that messages name the same ones.
 *
 * @throws ERR_SAFETENSORS, ERR_JOB for bytes that hold others, ERR_SHAPE
 */
export function decodeExamples(bytes: Uint8Array): { readonly data: Dataset; readonly places: Uint32Array } {
  const { tensors, metadata } = decodeSafetensors(bytes, "examples");
  const described = JSON.parse(metadata?.["described"] ?? "null") as Described | null;
  const places = tensors.find((one) => one.name === placesName)?.data;
  if (described === null || !(places instanceof Uint32Array)) {
    throw badJob("a job that takes sums over examples", "its examples are none");
  }
  const of = (prefix: string): Tensors =>
    Object.fromEntries(
      tensors.flatMap(({ name, shape, data }) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), { shape, data: data as TypedArray }]] : [],
      ),
    );
  const { name, inputs, targets } = described;
  const whole = tensorDataset({ inputs: of(inputPrefix), name, ...(targets ? { targets: of(targetPrefix) } : {}) });
  const at = new Map([...places].map((place, i) => [place, i]));
  const data: Dataset = {
    // What tensors are like is what the data said, such as how many classes there are.
    ...{ name, inputs, ...(targets ? { targets } : {}) },
    size: places.reduce((most, place) => Math.max(most, place + 1), 0),
    // The first example is asked for what examples are like: any is.
    batch: (indices) => whole.batch(indices.map((place) => at.get(place) ?? 0)),
  };
  return { data, places: places.slice() };
}

function named(prefix: string, tensors: Tensors): readonly NamedTensor[] {
  return Object.entries(tensors).map(
    ([name, { shape, data }]) => ({ name: `${prefix}${name}`, shape, dtype: tensorDtypeOf(data), data }) as NamedTensor,
  );
}

const placesName = "places";
const inputPrefix = "input/";
const targetPrefix = "target/";
