/** Calls of the convolutions over few weights, which a backend may leave out. */
import {
  type ConvolutionShape,
  panelWidth,
  referenceKernels,
  type SparseConvolution,
  type SparsePattern,
  windowsShape,
} from "@secateur/core";
import { exact, type KernelCase } from "./kernel-case.ts";

const square = {
  batch: 2,
  height: 5,
  width: 4,
  channels: 4,
  outputs: 6,
  groups: 1,
  kernel: [3, 3],
  stride: 1,
  padding: 1,
  dilation: 1,
} as const;
const shapes: readonly ConvolutionShape[] = [
  square,
  { ...square, height: 6, width: 6, stride: 2 },
  { ...square, kernel: [1, 1], padding: 0, stride: 2 },
  { ...square, kernel: [2, 3], dilation: 2, padding: 2 },
  { ...square, kernel: [5, 1], stride: 3, padding: 0 },
  { ...square, groups: 2, stride: 2, padding: 2 },
  { ...square, outputs: 4, groups: 4 },
  // A dense layer, with more outputs than a backend may take at a time.
  { ...square, height: 1, width: 1, channels: 7, outputs: 150, kernel: [1, 1], padding: 0 },
  { ...square, batch: 0 },
];

/** Every third weight is there; the output in the middle has none. */
function patternOf({ channels, outputs, groups, kernel }: ConvolutionShape): SparsePattern {
  const cols = (channels / groups) * kernel[0] * kernel[1];
  const starts = [0];
  const columns: number[] = [];
  for (let o = 0; o < outputs; o++) {
    for (let j = 0; j < cols; j++) if (o !== Math.floor(outputs / 2) && (o * cols + j) % 3 === 0) columns.push(j);
    starts.push(columns.length);
  }
  return { rows: outputs, cols, starts: Uint32Array.from(starts), columns: Uint32Array.from(columns) };
}

interface Call extends SparseConvolution {
  readonly images: number;
  readonly outputs: number;
  readonly entries: number;
}

const cases = (label: string, run: (call: Call) => KernelCase["run"]): readonly KernelCase[] =>
  shapes.map((shape) => {
    const pattern = patternOf(shape);
    const images = shape.batch * shape.height * shape.width * shape.channels * panelWidth;
    const outputs = windowsShape(shape).rows * shape.outputs * panelWidth;
    const call = { shape, pattern, images, outputs, entries: pattern.columns.length };
    return exact(`${JSON.stringify(shape)}${label}`, run(call));
  });

/** Cases of sparseConvolve; a backend without it agrees. */
export const sparseConvolveCases: readonly KernelCase[] = [false, true].flatMap((relu) =>
  cases(relu ? ", bias and positive part" : "", ({ shape, pattern, images, outputs, entries }) => (kernels, make) => {
    const out = make.output(outputs);
    const [values, from] = [make.whole(entries), make.whole(images)];
    const bias = relu ? { bias: make.whole(shape.outputs) } : {};
    (kernels.sparseConvolve ?? referenceKernels.sparseConvolve!)({
      shape,
      pattern,
      values,
      images: from,
      ...bias,
      out,
      relu,
    });
    return [out];
  }),
);

/** Cases of sparseConvolveBack; a backend without it agrees. */
export const sparseConvolveBackCases: readonly KernelCase[] = cases(
  "",
  ({ shape, pattern, images, outputs, entries }) =>
    (kernels, make) => {
      const out = make.output(images);
      const [values, deltas] = [make.whole(entries), make.whole(outputs)];
      (kernels.sparseConvolveBack ?? referenceKernels.sparseConvolveBack!)({ shape, pattern, values, deltas, out });
      return [out];
    },
);

/** Cases of sparseGradients; a backend without it agrees. */
export const sparseGradientsCases: readonly KernelCase[] = cases(
  "",
  ({ shape, pattern, images, outputs, entries }) =>
    (kernels, make) => {
      const out = make.output(entries);
      const [from, deltas] = [make.whole(images), make.whole(outputs)];
      (kernels.sparseGradients ?? referenceKernels.sparseGradients!)({ shape, pattern, images: from, deltas, out });
      return [out];
    },
);
