/** Convolutions over few weights, by their definition: a kept weight joins a line of 32 numbers of the image with one of the output. */
import type { Vec } from "../../problem/matrix.ts";
import { windowsShape } from "../kernel-shapes.ts";
import {
  panelWidth,
  type SparseConvolution,
  type SparseConvolveBackSpec,
  type SparseConvolveSpec,
  type SparseGradientsSpec,
} from "./panel-specs.ts";
import { checkPattern } from "./reference-sparse.ts";

/** @throws RangeError for operands that do not fit */
export function checkSparseConvolution(
  who: string,
  { shape, pattern }: SparseConvolution,
  operands: { images: Vec; outputs: Vec; weights: Vec; bias?: Vec },
): void {
  checkPattern(who, pattern);
  const { batch, height, width, channels, outputs, groups, kernel, stride, padding, dilation } = shape;
  const { rows } = windowsShape(shape);
  const isConvolution = stride >= 1 && dilation >= 1 && padding >= 0 && groups >= 1;
  const isWhole = channels % groups === 0 && outputs % groups === 0;
  const fits =
    pattern.rows === outputs &&
    pattern.cols === (channels / groups) * kernel[0] * kernel[1] &&
    operands.images.length === batch * height * width * channels * panelWidth &&
    operands.outputs.length === rows * outputs * panelWidth &&
    operands.weights.length === pattern.columns.length &&
    (operands.bias === undefined || operands.bias.length === outputs);
  if (!isConvolution || !isWhole || !fits) throw new RangeError(`${who}: operands do not fit`);
}

/** out = f(images * weights + bias) */
export function sparseConvolve(spec: SparseConvolveSpec): void {
  const { values, images, bias, out, shape, relu = false } = spec;
  checkSparseConvolution("sparseConvolve", spec, {
    images,
    outputs: out,
    weights: values,
    ...(bias ? { bias } : {}),
  });
  for (let i = 0; i < out.length; i++) out[i] = bias?.[Math.floor(i / panelWidth) % shape.outputs] ?? 0;
  eachPair(spec, (image, output, entry) => {
    for (let i = 0; i < panelWidth; i++) out[output + i]! += values[entry]! * images[image + i]!;
  });
  if (relu) for (let i = 0; i < out.length; i++) out[i] = out[i]! < 0 ? 0 : out[i]!;
}

/** out = dL/dimages */
export function sparseConvolveBack(spec: SparseConvolveBackSpec): void {
  const { values, deltas, out } = spec;
  checkSparseConvolution("sparseConvolveBack", spec, { images: out, outputs: deltas, weights: values });
  out.fill(0);
  eachPair(spec, (image, output, entry) => {
    for (let i = 0; i < panelWidth; i++) out[image + i]! += values[entry]! * deltas[output + i]!;
  });
}

/** out = dL/dvalues */
export function sparseGradients(spec: SparseGradientsSpec): void {
  const { images, deltas, out } = spec;
  checkSparseConvolution("sparseGradients", spec, { images, outputs: deltas, weights: out });
  const sums = new Float64Array(out.length);
  eachPair(spec, (image, output, entry) => {
    for (let i = 0; i < panelWidth; i++) sums[entry]! += images[image + i]! * deltas[output + i]!;
  });
  out.set(sums);
}

/** Visits the lines that each kept weight joins, by where they begin. */
function eachPair(
  { shape, pattern }: SparseConvolution,
  visit: (image: number, output: number, entry: number) => void,
): void {
  const { batch, height, width, channels, outputs, groups, kernel, stride, padding, dilation } = shape;
  const { outHeight, outWidth } = windowsShape(shape);
  const taps = kernel[0] * kernel[1];
  for (let position = 0; position < batch * outHeight * outWidth; position++) {
    const [ox, row] = [position % outWidth, Math.floor(position / outWidth)];
    const [oy, panel] = [row % outHeight, Math.floor(row / outHeight)];
    for (let o = 0; o < outputs; o++) {
      const group = Math.floor((o * groups) / outputs);
      for (let e = pattern.starts[o]!; e < pattern.starts[o + 1]!; e++) {
        const [channel, tap] = [Math.floor(pattern.columns[e]! / taps), pattern.columns[e]! % taps];
        const y = oy * stride - padding + Math.floor(tap / kernel[1]) * dilation;
        const x = ox * stride - padding + (tap % kernel[1]) * dilation;
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        const image = ((panel * height + y) * width + x) * channels + (group * channels) / groups + channel;
        visit(image * panelWidth, (position * outputs + o) * panelWidth, e);
      }
    }
  }
}
