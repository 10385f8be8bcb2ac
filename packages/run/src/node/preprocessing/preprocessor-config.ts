/**
 * The preprocessor_config.json of a model card as steps (Hugging Face Transformers, image processors). Keys as their documentation has them; what
 * single processors do besides is followed where it is a fixed size: ConvNeXT's and PoolFormer's crop_pct, LeViT's 256/224.
 */
import type { ImageSize, Resample } from "@secateur/datasets";
import { badPreprocessing } from "../../errors.ts";
import { mostExtent, type Preprocessing, preprocessingFrom } from "./preprocessing.ts";

type Json = Readonly<Record<string, unknown>>;

/** PIL's numbers of its filters. */
const filters: readonly Resample[] = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"];

/** Keys of steps that are not implemented: a file in which one is true is refused. */
const unknownSteps = [
  "do_pad",
  "do_thumbnail",
  "do_align_long_axis",
  "do_reduce_labels",
  "rescale_offset",
  "do_offset",
];

/** Processors in which a size of one number is that of the shorter edge, as their classes in Transformers 4 have it; in the others it is a square. */
const byShorterEdge = /^(CLIP|ConvNext|MobileNetV|MobileViT|PoolFormer|Levit|Bit|ViTHybrid)/;

/**
 * Undefined for a file that is of no image processor (of sound, say).
 *
 * @throws ERR_PREPROCESS for steps that are not known
 */
export function fromPreprocessorConfig(json: Json, path: string): Preprocessing | undefined {
  const isOfImages = ["image_mean", "do_resize", "crop_size", "do_rescale"].some((key) => key in json);
  if (!isOfImages) return undefined;
  const refuse = (found: string, expected: string): never => {
    throw badPreprocessing({ where: path, found, expected });
  };
  const strange = unknownSteps.find((key) => json[key] === true);
  if (strange !== undefined) refuse(`'${strange}'`, "resizing to one size, cropping, rescaling and normalising");
  const type = String(json["image_processor_type"] ?? json["feature_extractor_type"] ?? "");
  const isOn = (key: string, otherwise: boolean): boolean => (typeof json[key] === "boolean" ? json[key] : otherwise);
  const found = {
    of: "pixels",
    from: "preprocessor_config.json",
    ...(isOn("do_resize", json["size"] !== undefined) ? resizing(json, { type, refuse }) : {}),
    ...(isOn("do_center_crop", false)
      ? { crop: sizeOf(json["crop_size"]) ?? refuse("no usable 'crop_size'", "a size") }
      : {}),
    ...(json["do_flip_channel_order"] === true
      ? { color: "bgr" }
      : json["do_convert_rgb"] === true
        ? { color: "rgb" }
        : {}),
    scale: isOn("do_rescale", true) ? (json["rescale_factor"] ?? 1 / 255) : 1,
    ...(isOn("do_normalize", json["image_mean"] !== undefined)
      ? { mean: listOf(json["image_mean"]), std: listOf(json["image_std"]) }
      : { mean: [0], std: [1] }),
  };
  return (
    preprocessingFrom(found) ??
    refuse(
      `values that make no steps (${JSON.stringify(found).slice(0, 300)})`,
      `sizes from 1 to ${mostExtent}, numbers for mean and std`,
    )
  );
}

function resizing(
  json: Json,
  { type, refuse }: { type: string; refuse: (found: string, expected: string) => never },
): Pick<Preprocessing, "resize" | "resample" | "crop"> {
  const { size, resample, crop_pct: share } = json;
  const number = resample ?? 2;
  const filter = filters[Number(number)] ?? refuse(`the filter ${JSON.stringify(number)}`, "0 to 5, PIL's numbers");
  const edge = shorterEdge(size, type);
  if (edge === undefined) {
    const fixed =
      sizeOf(size) ?? refuse(`the size ${JSON.stringify(size)}`, "height and width, or shortest_edge alone");
    if (typeof share === "number") refuse("'crop_pct' with a height and width", "shortest_edge");
    return { resize: fixed, resample: filter };
  }
  const square: ImageSize = { height: edge, width: edge };
  if (/^Levit/.test(type)) return { resize: { shortestEdge: Math.trunc((256 / 224) * edge) }, resample: filter };
  const isConvNext = /^ConvNext/.test(type);
  if (!isConvNext && typeof share !== "number") return { resize: { shortestEdge: edge }, resample: filter };
  if (isConvNext && edge >= 384) return { resize: square, resample: filter };
  const larger = Math.trunc(edge / (typeof share === "number" ? share : 224 / 256));
  return { resize: { shortestEdge: larger }, resample: filter, ...(isConvNext ? { crop: square } : {}) };
}

function shorterEdge(size: unknown, type: string): number | undefined {
  if (typeof size === "number") return byShorterEdge.test(type) ? size : undefined;
  const keys = typeof size === "object" && size !== null ? Object.keys(size) : [];
  const edge = keys.join() === "shortest_edge" ? (size as Json)["shortest_edge"] : undefined;
  return typeof edge === "number" ? edge : undefined;
}

function sizeOf(value: unknown): ImageSize | undefined {
  if (typeof value === "number") return { height: value, width: value };
  if (typeof value !== "object" || value === null) return undefined;
  const { height, width, shortest_edge: edge } = value as Json;
  if (typeof height === "number" && typeof width === "number") return { height, width };
  return typeof edge === "number" && Object.keys(value).length === 1 ? { height: edge, width: edge } : undefined;
}

/** One number may stand alone. */
function listOf(value: unknown): unknown {
  return typeof value === "number" ? [value] : value;
}
