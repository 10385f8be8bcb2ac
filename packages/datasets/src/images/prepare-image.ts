/** What happens to an image between its file and a network: it is resized, cut, and its channels are ordered. */
import { type ImageSize, type Pixels, type Resample, resample } from "./resample.ts";

/** In this order, each where it is there. Normalisation comes after. */
export interface ImageSteps {
  /** Exactly this size, or the shorter edge as long as this and the other in proportion, rounded down as torchvision and Hugging Face do. */
  readonly resize?: ImageSize | { readonly shortestEdge: number };
  /** Default "bilinear". */
  readonly resample?: Resample;
  /** The middle of the image in this size; what it has too little is black around it. Of an odd rest the larger half goes at the end. */
  readonly crop?: ImageSize;
  /** Default: as the files are. "grey" is (19595 R + 38470 G + 7471 B) / 65536, PIL's luma. */
  readonly color?: ImageColor;
  /** Whether examples are [channels, height, width] or [height, width, channels]. Default: as the network's input says, else "nchw". */
  readonly layout?: "nchw" | "nhwc";
}

/** Which channels there are, in their order. */
export type ImageColor = "rgb" | "bgr" | "grey";

/** The size that an image of another size is given before it is cut. */
export function resizedSize({ height, width }: ImageSize, { resize }: Pick<ImageSteps, "resize">): ImageSize {
  if (resize === undefined) return { height, width };
  if (!("shortestEdge" in resize)) return resize;
  const { shortestEdge: edge } = resize;
  return height < width
    ? { height: edge, width: Math.trunc((edge * width) / height) }
    : { height: Math.trunc((edge * height) / width), width: edge };
}

/** The size that comes out of all steps. */
export function preparedSize(image: ImageSize, steps: Pick<ImageSteps, "resize" | "crop">): ImageSize {
  return steps.crop ?? resizedSize(image, steps);
}

/** The image after all steps but the order of its colours, with one channel where it is to be grey. O(pixels). */
export function preparedPixels(image: Pixels, steps: ImageSteps): Pixels {
  const grey = steps.color === "grey" && image.channels === 3 ? toGrey(image) : image;
  const { height, width } = resizedSize(grey, steps);
  const resized = resample(grey, { height, width }, steps.resample ?? "bilinear");
  return steps.crop ? cropped(resized, steps.crop) : resized;
}

function toGrey({ height, width, data }: Pixels): Pixels {
  const grey = new Uint8Array(height * width);
  for (let i = 0; i < grey.length; i++) {
    const [r, g, b] = [data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!];
    grey[i] = (19595 * r + 38470 * g + 7471 * b + 2 ** 15) >> 16;
  }
  return { height, width, channels: 1, data: grey };
}

function cropped(image: Pixels, { height, width }: ImageSize): Pixels {
  const { channels, data } = image;
  // Negative where the image is smaller.
  const [top, left] = [Math.floor((image.height - height) / 2), Math.floor((image.width - width) / 2)];
  const [from, to] = [Math.max(0, left), Math.min(image.width, left + width)];
  const out = new Uint8Array(height * width * channels);
  for (let row = 0; row < height; row++) {
    const source = row + top;
    if (source < 0 || source >= image.height) continue;
    const line = data.subarray((source * image.width + from) * channels, (source * image.width + to) * channels);
    out.set(line, (row * width + from - left) * channels);
  }
  return { height, width, channels, data: out };
}
