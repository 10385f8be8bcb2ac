/**
 * Images in another size, with the numbers that PIL (Pillow) gives, because networks were trained on those: torchvision and Hugging Face's image
 * processors resize by it. Each output value is a weighted mean of input values along one axis, first along rows and then along columns,
 *   out[i] = sum over j of k((j + 1/2 - c_i) / s) in[j] / sum over j of k((j + 1/2 - c_i) / s),   c_i = (i + 1/2) r,  s = max(r, 1),  r = in / out,
 * so that a filter k grows with the step r where images become smaller (antialiasing). Weights are whole numbers of 22 bits behind the point and each
 * pass rounds to bytes, as there. Source: Pillow, src/libImaging/Resample.c. No library was found that computes these: pica and sharp (libvips)
 * have filters and roundings of their own.
 */

/** Filters by PIL's names. "nearest" takes the pixel at floor((i + 1/2) r) and blurs nothing. */
export type Resample = "nearest" | "box" | "bilinear" | "hamming" | "bicubic" | "lanczos";

/** Rows and columns. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/** Bytes of an image, [height, width, channels]. */
export interface Pixels extends ImageSize {
  readonly channels: number;
  readonly data: Uint8Array;
}

interface Filter {
  /** Where it becomes zero. */
  readonly support: number;
  at(x: number): number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const filters: Readonly<Record<Exclude<Resample, "nearest">, Filter>> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    at: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(Math.PI * x))),
  },
  /** Keys' cubic with a = -1/2. */
  bicubic: {
    support: 2,
    at(x) {
      const [a, t] = [-0.5, Math.abs(x)];
      if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
    },
  },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Names of the filters. */
export const resamples: readonly Resample[] = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"];

/** Resizes an image. O(pixels of both sizes times the filter's width); the image is left as it is, and returned where it has that size. */
export function resample(image: Pixels, size: ImageSize, how: Resample): Pixels {
  if (image.height === size.height && image.width === size.width) return image;
  if (how === "nearest") return nearest(image, size);
  const rows = size.width === image.width ? image : alongRows(image, size.width, filters[how]);
  return size.height === image.height ? rows : alongColumns(rows, size.height, filters[how]);
}

function nearest(image: Pixels, { height, width }: ImageSize): Pixels {
  const { channels, data } = image;
  const [rows, columns] = [nearestPlaces(image.height, height), nearestPlaces(image.width, width)];
  const out = new Uint8Array(height * width * channels);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * image.width + column) * channels;
      for (let channel = 0; channel < channels; channel++) out[to++] = data[from + channel]!;
    }
  }
  return { height, width, channels, data: out };
}

function nearestPlaces(from: number, to: number): readonly number[] {
  // Steps are added up, as in Pillow's Geometry.c: where a place falls on a border the rounding of the sum decides.
  let at = (from / to) * 0.5;
  return Array.from({ length: to }, () => {
    const place = Math.min(from - 1, Math.trunc(at));
    at += from / to;
    return place;
  });
}

/** Bits of a weight behind the point: sums of 8-bit values stay below 2^32. */
const precision = 22;

/** The input values that an output value is made of. */
interface Mix {
  readonly first: number;
  readonly weights: Int32Array;
}

function mixes(from: number, to: number, { support, at }: Filter): readonly Mix[] {
  const ratio = from / to;
  const step = Math.max(ratio, 1);
  const reach = support * step;
  return Array.from({ length: to }, (_, i): Mix => {
    const centre = (i + 0.5) * ratio;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const exact = Array.from({ length: end - first }, (__, j) => at((j + first - centre + 0.5) / step));
    const sum = exact.reduce((total, weight) => total + weight, 0);
    const weights = exact.map((weight) => {
      const share = (sum === 0 ? weight : weight / sum) * 2 ** precision;
      return Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    });
    return { first, weights: Int32Array.from(weights) };
  });
}

/** A sum of weighted bytes as a byte. Sums may leave 32 bits with negative weights around, so these are divided, not shifted. */
function toByte(sum: number): number {
  const value = Math.floor((sum + 2 ** (precision - 1)) / 2 ** precision);
  return value < 0 ? 0 : Math.min(value, 255);
}

function alongRows({ height, width, channels, data }: Pixels, columns: number, filter: Filter): Pixels {
  const all = mixes(width, columns, filter);
  const out = new Uint8Array(height * columns * channels);
  let to = 0;
  for (let row = 0; row < height; row++) {
    for (const { first, weights } of all) {
      const from = (row * width + first) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let j = 0; j < weights.length; j++) sum += weights[j]! * data[from + j * channels + channel]!;
        out[to++] = toByte(sum);
      }
    }
  }
  return { height, width: columns, channels, data: out };
}

function alongColumns({ width, channels, data }: Pixels, rows: number, filter: Filter): Pixels {
  const height = data.length / (width * channels);
  const line = width * channels;
  const out = new Uint8Array(rows * line);
  const sums = new Float64Array(line);
  mixes(height, rows, filter).forEach(({ first, weights }, row) => {
    sums.fill(0);
    weights.forEach((weight, j) => {
      const from = (first + j) * line;
      for (let i = 0; i < line; i++) sums[i] = sums[i]! + weight * data[from + i]!;
    });
    for (let i = 0; i < line; i++) out[row * line + i] = toByte(sums[i]!);
  });
  return { height: rows, width, channels, data: out };
}
