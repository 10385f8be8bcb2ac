import { badNormalize } from "./errors.ts";

/** How stored values become a network's inputs: x / divisor, then (x - mean) / std, each step rounded to f32. */
export interface Normalisation {
  /** 255 for pixels stored as bytes, 1 for values used as they are */
  readonly divisor: number;
  /** one number for all channels, or one a channel; in units of the divided values */
  readonly mean: readonly number[];
  /** as many as means, each > 0 */
  readonly std: readonly number[];
}

/** Mean and standard deviation to use in place of those a dataset declares; of images in the order of the network's channels. */
export interface MeanAndStd {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** What stored values are divided by before; default: what the dataset declares. */
  readonly divisor?: number;
}

/** The number of channels of an example: [c, h, w] has c, [h, w] one, and of [features] each is a channel of its own. */
export function channelCount(inputShape: readonly number[]): number {
  if (inputShape.length === 2) return 1;
  return inputShape[0] ?? 1;
}

/**
 * The normalisation a dataset is opened with: what it declares, with the caller's mean and std where given.
 *
 * @throws ERR_NORMALIZE when there is not one mean and std in all or a channel, a number is not finite or a std not > 0
 */
export function resolveNormalisation(spec: {
  declared: Normalisation;
  normalize: MeanAndStd | undefined;
  inputShape: readonly number[];
}): Normalisation {
  const { declared, normalize, inputShape } = spec;
  if (normalize === undefined) return declared;
  const { mean, std, divisor = declared.divisor } = normalize;
  const channels = channelCount(inputShape);
  if (mean.length !== std.length || (mean.length !== 1 && mean.length !== channels)) {
    throw badNormalize({
      found: `${mean.length} mean(s) and ${std.length} std(s)`,
      expected: `one of each${channels > 1 ? `, or ${channels} of each` : ""} for examples of shape [${inputShape.join(", ")}]`,
    });
  }
  if (![...mean, ...std, 1 / divisor].every(Number.isFinite) || !std.every((value) => Math.fround(value) > 0)) {
    throw badNormalize({
      found: `mean ${mean.join(", ")}, std ${std.join(", ")} and divisor ${divisor}`,
      expected: "finite numbers, every std above 0, the divisor above 0",
    });
  }
  return { divisor, mean, std };
}

/**
 * Reads mean and std from a flag's text: `mean,std`, or all means and then all stds for several channels.
 *
 * @throws ERR_NORMALIZE
 * @example
 * parseNormalize("0.1307,0.3081"); // { mean: [0.1307], std: [0.3081] }
 */
export function parseNormalize(text: string): MeanAndStd {
  const parts = text.split(",").map((part) => part.trim());
  const numbers = parts.map((part) => (part === "" ? Number.NaN : Number(part)));
  if (numbers.length % 2 !== 0 || !numbers.every(Number.isFinite)) {
    throw badNormalize({
      found: `'${text}'`,
      expected: "mean,std such as 0.1307,0.3081, or as many means and then stds as there are channels",
    });
  }
  return { mean: numbers.slice(0, numbers.length / 2), std: numbers.slice(numbers.length / 2) };
}
