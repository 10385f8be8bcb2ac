/** From examples of a dataset to the tensor a model takes: shapes that differ by ones, and channels first or last. */
import { type Dataset, formatShape, type Mat, soleInput } from "@secateur/core";
import { dataMismatch } from "./errors.ts";

/** What a model takes, without the batch. */
export interface InputSpec {
  /** -1 where any extent is taken. */
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
  /** The only batch size the model takes, if it takes but one. */
  readonly batch: number | undefined;
}

/** How examples become inputs. */
export interface InputLayout {
  /** Of one example. */
  readonly shape: readonly number[];
  /** Rewrites rows of features in the model's order; a copy only where the order changes. */
  arrange(rows: Mat): Float32Array;
}

/**
 * How the examples of a dataset fit a model: as they are, with ones added or left out, flattened, or turned from channels first
 * [c, h, w] to channels last [h, w, c].
 *
 * @throws ERR_DATA_MISMATCH with both shapes
 */
export function inputLayout(spec: {
  model: string;
  data: Pick<Dataset, "name" | "inputs">;
  input: InputSpec;
}): InputLayout {
  const { model, data, input } = spec;
  const only = soleInput(data);
  const given = (only?.shape ?? []).map((extent) => extent ?? 1);
  const features = product(given);
  const asIs = matched(input.shape, given);
  if (asIs) return { shape: asIs, arrange: asFloats };
  const [channels = 0, height = 0, width = 0] = given;
  const turned = given.length === 3 ? matched(input.shape, [height, width, channels]) : undefined;
  if (turned) return { shape: turned, arrange: (rows) => channelsLast(rows, channels) };
  // A model over flat features takes images in the order they come in.
  if (input.shape.length === 1 && input.shape[0] === features) return { shape: [features], arrange: asFloats };
  throw dataMismatch({
    model,
    data: data.name,
    found: `examples of shape ${formatShape(given)}`,
    expected: `[${input.shape.map((extent) => (extent < 0 ? "any" : extent)).join(", ")}]`,
  });
}

/** `wanted` with its free extents filled in from `given`, when both agree up to extents of one. */
function matched(wanted: readonly number[], given: readonly number[]): readonly number[] | undefined {
  if (wanted.length === given.length && wanted.every((extent, i) => extent < 0 || extent === given[i])) return given;
  const rest = given.filter((extent) => extent !== 1);
  const filled: number[] = [];
  for (const extent of wanted) {
    if (extent === 1) filled.push(1);
    else {
      const next = rest.shift();
      if (next === undefined ? extent >= 0 : extent >= 0 && extent !== next) return undefined;
      filled.push(next ?? 1);
    }
  }
  return rest.length === 0 ? filled : undefined;
}

function channelsLast(rows: Mat, channels: number): Float32Array {
  const pixels = rows.cols / channels;
  const out = new Float32Array(rows.data.length);
  for (let i = 0; i < rows.rows; i++) {
    const start = i * rows.cols;
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++) out[start + p * channels + c] = rows.data[start + c * pixels + p]!;
    }
  }
  return out;
}

function asFloats({ data }: Mat): Float32Array {
  return data instanceof Float32Array ? data : Float32Array.from(data);
}

function product(extents: readonly number[]): number {
  return extents.reduce((result, extent) => result * extent, 1);
}
