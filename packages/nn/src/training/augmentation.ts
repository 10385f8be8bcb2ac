/** Random changes of training images that keep their labels (He et al. 2016, section 4.2). */
import { type Mat, matrix, type Rng } from "@secateur/core";
import type { ImageLayout } from "../graph/network-spec.ts";

/** Which changes; none by default. */
export interface Augmentation {
  /** Pixels put around an image before a window of its own size is cut out of it at random; default 0. */
  readonly cropPadding?: number;
  /** What those pixels are, one number or one a channel (black, after normalisation); default 0. */
  readonly border?: readonly number[];
  /** Whether every other image, at random, is mirrored left to right; default false. */
  readonly flip?: boolean;
}

/**
 * Changed copies of images.
 *
 * @param images - [batch, channels * height * width], kept as they are
 * @param format.shape - [channels, height, width], or [height, width]; [height, width, channels] in layout "nhwc"
 * @param rng - drawn from once an image and change, in order
 */
export function augment(
  images: Mat,
  { shape, layout = "nchw" }: { shape: readonly number[]; layout?: ImageLayout | undefined },
  changes: Augmentation,
  rng: Rng,
): Mat {
  const { cropPadding = 0, flip = false, border = [0] } = changes;
  const isChannelsLast = layout === "nhwc";
  const [width = 1, height = 1] = isChannelsLast ? [shape[1], shape[0]] : [...shape].reverse();
  const channels = images.cols / (height * width);
  // The entry of channel c at (y, x) of an image is at c * plane + (y * width + x) * pixel.
  const [plane, pixel] = isChannelsLast ? [1, channels] : [height * width, 1];
  const data = images.data.slice();
  for (let n = 0; n < images.rows; n++) {
    const [down, right] = cropPadding > 0 ? [offset(rng, cropPadding), offset(rng, cropPadding)] : [0, 0];
    const isMirrored = flip && rng.integer(2) === 1;
    for (let c = 0; c < channels; c++) {
      const start = n * images.cols + c * plane;
      const outside = border[c % border.length]!;
      for (let y = 0; y < height; y++) {
        const fromY = y + down;
        for (let x = 0; x < width; x++) {
          const fromX = (isMirrored ? width - 1 - x : x) + right;
          const isInside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width;
          data[start + (y * width + x) * pixel] = isInside
            ? images.data[start + (fromY * width + fromX) * pixel]!
            : outside;
        }
      }
    }
  }
  return matrix(images.rows, images.cols, data);
}

function offset(rng: Rng, padding: number): number {
  return rng.integer(2 * padding + 1) - padding;
}
