/**
 * What is done to data before a network sees them, and what its classes are called. "Stated" is what the metadata of a model, or a model card beside
 * it, say of both.
 */
import { type DatasetSplits, type ImageSteps, type MeanAndStd, resamples } from "@secateur/datasets";
import { plainText } from "@secateur/report/text";
import type { ZodType } from "zod";
import { zod } from "../zod.ts";

/** Steps in the order in which they are taken; what is left out is as the data have it. */
export interface Preprocessing extends ImageSteps {
  /** Whether it is said of pixels from 0 to 255 or of arrays as they are stored: it is applied to such data only. */
  readonly of: "pixels" | "arrays";
  /** Who said so, such as "preprocessor_config.json". */
  readonly from?: string;
  /** What pixels are multiplied with before mean and std. */
  readonly scale?: number;
  /** One number, or one a channel in the order of the network's; in units of scaled values. */
  readonly mean?: readonly number[];
  /** As many, each above 0. */
  readonly std?: readonly number[];
}

/** What the files of a model state. */
export interface StatedOfModel {
  readonly preprocessing?: Preprocessing;
  /** Names of the classes in order. */
  readonly labels?: readonly string[];
  /** Why what lies beside the model cannot be followed; thrown where images are opened and nobody says otherwise. */
  readonly problem?: Error;
}

/** Entries of the metadata of models that are written, each JSON. */
const preprocessingKey = "secateur.preprocessing";
const labelsKey = "secateur.labels";

/** The keys of these entries. */
export const statedKeys: readonly string[] = [preprocessingKey, labelsKey];

/** Pixels along an edge: more than any network takes, and little enough to try. */
export const mostExtent = 4096;
const mostLabels = 1_000_000;

function schema(): ZodType {
  const { z } = zod();
  const extent = z.int().min(1).max(mostExtent);
  const size = z.strictObject({ height: extent, width: extent });
  const numbers = z.array(z.number()).min(1).max(mostLabels);
  return z
    .strictObject({
      of: z.enum(["pixels", "arrays"]),
      from: z.string().max(200).optional(),
      resize: z.union([size, z.strictObject({ shortestEdge: extent })]).optional(),
      resample: z.enum(resamples).optional(),
      crop: size.optional(),
      color: z.enum(["rgb", "bgr", "grey"]).optional(),
      layout: z.enum(["nchw", "nhwc"]).optional(),
      scale: z.number().gt(0).optional(),
      mean: numbers.optional(),
      std: numbers.optional(),
    })
    .refine(({ mean, std }) => mean?.length === std?.length && (std ?? []).every((one) => Math.fround(one) > 0));
}

/** A value as preprocessing; undefined where it is none. */
export function preprocessingFrom(value: unknown): Preprocessing | undefined {
  if (value === undefined) return undefined;
  const result = schema().safeParse(value);
  return result.success ? (result.data as Preprocessing) : undefined;
}

/** What a model's own metadata state; entries that are damaged count as absent. */
export function statedInMetadata(metadata: Readonly<Record<string, string>>): StatedOfModel {
  const own = preprocessingFrom(parsed(metadata[preprocessingKey]));
  const preprocessing = own ? { ...own, from: "metadata" } : ofOnnxImages(metadata);
  const labels = labelsFrom(parsed(metadata[labelsKey]));
  return { ...(preprocessing ? { preprocessing } : {}), ...(labels ? { labels } : {}) };
}

/** Texts in a list; undefined where it is none. */
function labelsFrom(value: unknown): readonly string[] | undefined {
  const areLabels = Array.isArray(value) && value.length > 0 && value.length <= mostLabels;
  return areLabels && value.every((one) => typeof one === "string") ? value : undefined;
}

/** ONNX's own entries for images (docs/MetadataProps.md of onnx): the order of colours and the range of pixels. */
function ofOnnxImages(metadata: Readonly<Record<string, string>>): Preprocessing | undefined {
  const colors = { Rgb8: "rgb", Bgr8: "bgr", Gray8: "grey" } as const;
  const color = colors[metadata["Image.BitmapPixelFormat"] as keyof typeof colors];
  const ranges: Readonly<Record<string, Pick<Preprocessing, "scale" | "mean" | "std">>> = {
    NominalRange_0_255: { scale: 1, mean: [0], std: [1] },
    Normalized_0_1: { scale: 1 / 255, mean: [0], std: [1] },
    Normalized_1_1: { scale: 1 / 255, mean: [0.5], std: [0.5] },
  };
  const name = metadata["Image.NominalPixelRange"] ?? "";
  const range = Object.hasOwn(ranges, name) ? ranges[name] : undefined;
  if (!color && !range) return undefined;
  return { of: "pixels", from: "Image.* metadata", ...(color ? { color } : {}), ...range };
}

function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The entries of metadata that keep what is stated; who said it first is not kept. */
export function statedMetadata({ preprocessing, labels }: StatedOfModel): Readonly<Record<string, string>> {
  const { from: _first, ...steps } = preprocessing ?? {};
  return {
    ...(preprocessing ? { [preprocessingKey]: JSON.stringify(steps) } : {}),
    ...(labels ? { [labelsKey]: JSON.stringify(labels) } : {}),
  };
}

/** What holds of a network that was trained on data: of folders of images it is how they were prepared, though nobody stated it. */
export function trainedWith(
  data: string,
  { stated, normalisation, train }: Pick<DatasetSplits, "normalisation" | "train"> & { readonly stated: StatedOfModel },
): StatedOfModel {
  if (stated.preprocessing || !data.startsWith("images:")) return stated;
  const { divisor, mean, std } = normalisation;
  const color = train.inputs[0]?.shape[0] === 3 ? "rgb" : "grey";
  return { ...stated, preprocessing: { of: "pixels", color, scale: 1 / divisor, mean, std } };
}

/** Mean, std and divisor as datasets take them; undefined where nothing is said of them. */
export function normalizeOf({ scale, mean, std }: Preprocessing): MeanAndStd | undefined {
  if (scale === undefined && mean === undefined) return undefined;
  // 1 / .00392156862745098 is 255 and a rounding.
  const exact = scale === undefined ? undefined : 1 / scale;
  const whole = exact === undefined ? undefined : Math.round(exact);
  const divisor = whole && Math.abs(whole - exact!) < 1e-9 * whole ? whole : exact;
  return { mean: mean ?? [0], std: std ?? [1], ...(divisor === undefined ? {} : { divisor }) };
}

/** In words, for notes and reports. */
export function preprocessingText(stated: Preprocessing): string {
  const { resize, resample = "bilinear", crop, color, layout, scale, mean, std } = stated;
  const size = (one: { height: number; width: number }): string => `${one.height} x ${one.width}`;
  const edge =
    resize && ("shortestEdge" in resize ? `the shorter edge to ${resize.shortestEdge}` : `to ${size(resize)}`);
  const divisor = scale === undefined ? undefined : normalizeOf(stated)?.divisor;
  const few = (numbers: readonly number[]): string => {
    return `${numbers.slice(0, 4).join(", ")}${numbers.length > 4 ? ` and ${numbers.length - 4} more` : ""}`;
  };
  return [
    ...(edge ? [`resize ${edge} (${resample})`] : []),
    ...(crop ? [`crop to ${size(crop)}`] : []),
    ...(color ? [`colours ${color}`] : []),
    ...(layout ? [`layout ${layout}`] : []),
    ...(divisor === undefined ? [] : [divisor === 1 ? "not scaled" : `divide by ${divisor}`]),
    ...(mean && std ? [`mean ${few(mean)}, std ${few(std)}`] : []),
  ].join(", ");
}

/** What is stated of a model in a few lines for people. */
export function statedText({ preprocessing, labels }: StatedOfModel): string {
  const few = labels?.slice(0, 8).map((label) => plainText(label.slice(0, 60)));
  const more = labels && labels.length > 8 ? ", ..." : "";
  return [
    ...(preprocessing
      ? [`preprocessing (${plainText(preprocessing.from ?? "metadata")}): ${preprocessingText(preprocessing)}\n`]
      : []),
    ...(few ? [`${labels!.length} labels: ${few.join(", ")}${more}\n`] : []),
  ].join("");
}
