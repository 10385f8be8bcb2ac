/** Random changes of training images that keep their labels (He et al. 2016, section 4.2). */
import { type Mat, matrix, type Rng } from "@secateur/core";

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
 * @param shape - [channels, height, width], or [height, width]
 * @param rng - drawn from once an image and change, in order
 */
export function augment(images: Mat, shape: readonly number[], changes: Augmentation, rng: Rng): Mat {
  const { cropPadding = 0, flip = false, border = [0] } = changes;
  const [width = 1, height = 1] = [...shape].reverse();
  const planes = images.cols / (height * width);
  const data = images.data.slice();
  for (let n = 0; n < images.rows; n++) {
    const [down, right] = cropPadding > 0 ? [offset(rng, cropPadding), offset(rng, cropPadding)] : [0, 0];
    const isMirrored = flip && rng.integer(2) === 1;
    for (let plane = n * planes; plane < (n + 1) * planes; plane++) {
      data.fill(border[(plane % planes) % border.length]!, plane * height * width, (plane + 1) * height * width);
      for (let y = 0; y < height; y++) {
        const fromY = y + down;
        if (fromY < 0 || fromY >= height) continue;
        for (let x = 0; x < width; x++) {
          const column = (isMirrored ? width - 1 - x : x) + right;
          if (column < 0 || column >= width) continue;
          data[(plane * height + y) * width + x] = images.data[(plane * height + fromY) * width + column]!;
        }
      }
    }
  }
  return matrix(images.rows, images.cols, data);
}

function offset(rng: Rng, padding: number): number {
  return rng.integer(2 * padding + 1) - padding;
}
