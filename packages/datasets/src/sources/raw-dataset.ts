/**
 * A dataset that keeps its values as they are stored and normalises them when a batch is asked for: bytes through a
 * table of 256 f32 values a channel, so that whole MNIST stays at one byte a pixel and a batch costs one look-up each.
 */
import {
  type Batch,
  type BatchRoom,
  type Dataset,
  inputName,
  labelName,
  type TensorSpec,
  takeExamples,
  tensorDtypeOf,
} from "@secateur/core";
import { channelCount, type Normalisation } from "../normalisation.ts";

/** What the inputs are compared with. */
export interface SplitTargets {
  readonly name: string;
  /** of one example */
  readonly shape: readonly number[];
  /** [size, ...shape]; kept */
  readonly data: Uint32Array | Int32Array | Float32Array;
  /** of class numbers: each is below it */
  readonly classes?: number;
}

/** Class numbers, each below `classes`. */
export function classTargets(labels: Uint8Array | Uint32Array, classes: number): SplitTargets {
  return { name: labelName, shape: [], data: Uint32Array.from(labels), classes };
}

/** What a dataset is made of. */
export interface RawExamples {
  readonly name: string;
  /** [size, features] values as stored, kept and not copied */
  readonly values: Uint8Array | Float32Array;
  readonly size: number;
  /** Absent: unlabelled. */
  readonly targets: SplitTargets | undefined;
  /** Of an example as it is handed out. */
  readonly inputShape: readonly number[];
  /** Whether values are [channels, ...] and handed out as [..., channels]; default false: as they are. */
  readonly isChannelsLast?: boolean;
  readonly normalisation: Normalisation;
}

/** Writes the normalised examples at some indices to `out`, one after the other. */
type WriteExamples = (out: Float32Array, indices: Uint32Array) => void;

/**
 * Wraps checked examples as a dataset. O(channels) time and memory; a batch is O(batch * features).
 * A batch throws RangeError (a programming error) for an index that is not below the size.
 */
export function rawDataset(examples: RawExamples): Dataset {
  const { name, values, size, targets, inputShape } = examples;
  const features = values.length / size;
  const writeExamples = values instanceof Uint8Array ? bytesWriter(examples, values) : floatsWriter(examples, values);

  const whole = targets && { shape: [size, ...targets.shape], data: targets.data };

  function batch(indices: Uint32Array, room?: BatchRoom): Batch {
    const data = room?.(indices.length * features) ?? new Float32Array(indices.length * features);
    for (const index of indices) {
      if (index >= size) throw new RangeError(`${name} has ${size} examples and no example ${index}`);
    }
    writeExamples(data, indices);
    return {
      size: indices.length,
      inputs: { [inputName]: { shape: [indices.length, ...inputShape], data } },
      ...(targets ? { targets: { [targets.name]: takeExamples(whole!, indices) } } : {}),
    };
  }

  return {
    ...{ name, size, batch },
    inputs: [{ name: inputName, shape: inputShape, dtype: "f32" }],
    ...(targets ? { targets: [targetSpec(targets)] } : {}),
  };
}

/** As a dataset describes them. */
export function targetSpec({ name, shape, data, classes }: SplitTargets): TensorSpec {
  return { name, shape, dtype: tensorDtypeOf(data), ...(classes === undefined ? {} : { classes }) };
}

/** (x / divisor - mean) / std of one channel, rounded to f32 after each step as torchvision's ToTensor and Normalize do. */
function normaliser({ divisor, mean, std }: Normalisation, channel: number): (value: number) => number {
  const m = Math.fround(mean[mean.length === 1 ? 0 : channel]!);
  const s = Math.fround(std[std.length === 1 ? 0 : channel]!);
  return (value) => Math.fround(Math.fround(Math.fround(value / divisor) - m) / s);
}

/** Runs of values that are normalised alike: value i of run c, of `count` runs of `length`, goes to c * apart + i * step of the example handed out. */
function planes({ normalisation, inputShape, isChannelsLast, values, size }: RawExamples): {
  readonly count: number;
  readonly length: number;
  readonly apart: number;
  readonly step: number;
} {
  const features = values.length / size;
  const isOne = normalisation.mean.length === 1;
  const count = isChannelsLast ? (inputShape.at(-1) ?? 1) : isOne ? 1 : channelCount(inputShape);
  const length = features / count;
  return isChannelsLast ? { count, length, apart: 1, step: count } : { count, length, apart: length, step: 1 };
}

function bytesWriter(examples: RawExamples, values: Uint8Array): WriteExamples {
  const { count, length, apart, step } = planes(examples);
  const features = count * length;
  const tables = Array.from({ length: count }, (_, channel) => {
    const normalise = normaliser(examples.normalisation, channel);
    return Float32Array.from({ length: 256 }, (_, value) => normalise(value));
  });
  return (out, indices) => {
    for (let example = 0; example < indices.length; example++) {
      for (let channel = 0; channel < count; channel++) {
        const target = example * features + channel * apart;
        const start = indices[example]! * features + channel * length;
        writeRun(out, { target, step }, values.subarray(start, start + length), tables[channel]!);
      }
    }
  };
}

/** Writes what a table says of some values. A loop of its own for values side by side is nearly twice as fast. */
function writeRun(out: Float32Array, to: { target: number; step: number }, values: Uint8Array, table: Float32Array) {
  const { target, step } = to;
  if (step === 1) for (let i = 0; i < values.length; i++) out[target + i] = table[values[i]!]!;
  else for (let i = 0; i < values.length; i++) out[target + i * step] = table[values[i]!]!;
}

function floatsWriter(examples: RawExamples, values: Float32Array): WriteExamples {
  const { divisor, mean, std } = examples.normalisation;
  const { count, length, apart, step } = planes(examples);
  if (divisor === 1 && count === 1 && mean[0] === 0 && std[0] === 1) {
    return (out, indices) =>
      indices.forEach((index, example) => {
        out.set(values.subarray(index * length, (index + 1) * length), example * length);
      });
  }
  const normalisers = Array.from({ length: count }, (_, channel) => normaliser(examples.normalisation, channel));
  return (out, indices) => {
    for (const [example, index] of indices.entries()) {
      for (let channel = 0; channel < count; channel++) {
        const normalise = normalisers[channel]!;
        const start = (index * count + channel) * length;
        const target = example * count * length + channel * apart;
        for (let i = 0; i < length; i++) out[target + i * step] = normalise(values[start + i]!);
      }
    }
  };
}
