/** ONNX models whose weights lie in other files and are too many to be read whole. */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type OnnxModel, type OnnxTensor, onnxTensors, outlineOnnx } from "@secateur/formats";
import { type DenseTensor, findParams } from "@secateur/graph";
import { isOnnxModel } from "./is-onnx-model.ts";

/** From so many bytes beside the model on its weights are never in memory together. */
const largeBytes = 2 ** 31;

/** Files beyond this hold their weights themselves. */
const mostOutlineBytes = 2 ** 26;

/** A weight where it lies. */
export interface DistantWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly size: number;
  readonly isConvolution: boolean;
  /** Absolute path. */
  readonly file: string;
  readonly offset: number;
}

/** A model of which only the outline was read. */
export interface LargeOnnx {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly model: OnnxModel;
  readonly sha256: string;
  readonly weights: readonly DistantWeight[];
  readonly dense: readonly DenseTensor[];
  /** Tensors beside the model that lie over bytes of others, by name. */
  readonly overlapping: ReadonlySet<string>;
  /** Files beside the model, as it names them. */
  readonly locations: readonly string[];
}

/**
 * The outline of a model with 2 GiB of external data or more; undefined for any other file.
 *
 * @param least - bytes from which on a model is large
 * @throws ERR_ONNX, ERR_ONNX_EXTERNAL, the file errors of formats
 */
export async function openLargeOnnx(path: string, least: number = largeBytes): Promise<LargeOnnx | undefined> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile() || stat.size > mostOutlineBytes || !(await isOnnxModel(path))) return undefined;
  const { model, bytes } = await outlineOnnx(path);
  const outside = onnxTensors(model.graph).flatMap((tensor) => placeOf(tensor) ?? []);
  if (outside.reduce((sum, { length }) => sum + length, 0) < least) return undefined;
  const { params, dense } = findParams(model.graph, "f32");
  const weights = params.map(({ name, tensor, live, uses }): DistantWeight | undefined => {
    const place = placeOf(tensor as unknown as OnnxTensor);
    const size = live.rows * live.cols;
    const { shape, dtype } = tensor;
    const isConvolution = uses.some(({ op }) => op.startsWith("Conv"));
    return (
      place && {
        name,
        shape,
        dtype,
        size,
        isConvolution,
        file: join(dirname(path), place.location),
        offset: place.offset,
      }
    );
  });
  const inside = params
    .filter((_, i) => !weights[i])
    .map(({ name }) => ({ name, reason: "it is in the model file itself" }));
  return {
    ...{ path, bytes, model, sha256: createHash("sha256").update(bytes).digest("hex") },
    weights: weights.filter((weight) => weight !== undefined),
    dense: [...dense, ...inside],
    overlapping: overlappingOf(model),
    locations: [...new Set(outside.map(({ location }) => location))],
  };
}

/** Names of tensors over the same bytes; tensors of no bytes lie over nothing. */
function overlappingOf({ graph }: OnnxModel): ReadonlySet<string> {
  const places = onnxTensors(graph).flatMap((tensor) => {
    const place = placeOf(tensor);
    return place && place.length > 0 ? [{ name: tensor.name, ...place }] : [];
  });
  const found = new Set<string>();
  for (const location of new Set(places.map((place) => place.location))) {
    const own = places.filter((place) => place.location === location).sort((a, b) => a.offset - b.offset);
    let last: (typeof own)[number] | undefined;
    for (const place of own) {
      if (last && place.offset < last.offset + last.length) {
        found.add(place.name);
        found.add(last.name);
      }
      if (!last || place.offset + place.length > last.offset + last.length) last = place;
    }
  }
  return found;
}

function placeOf(tensor: OnnxTensor) {
  return "opaque" in tensor ? tensor.distant : undefined;
}
