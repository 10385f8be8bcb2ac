/**
 * Calls of the three convolution kernels. Fast algorithms of convolution round even whole numbers, so results are compared to a
 * tolerance; a lost tap or a misplaced channel is of the size of the result.
 */
import { type ConvolutionShape, windowsShape } from "@secateur/core";
import { type KernelCase, rounded } from "./kernel-case.ts";

const square = {
  batch: 3,
  height: 8,
  width: 7,
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
  { ...square, channels: 3, outputs: 5, padding: 0 },
  { ...square, channels: 16, outputs: 16, height: 12, width: 12 },
  { ...square, stride: 2, padding: 2 },
  { ...square, kernel: [1, 1], padding: 0, stride: 2 },
  { ...square, kernel: [2, 3], dilation: 2, padding: 2 },
  { ...square, kernel: [5, 1], stride: 3, padding: 0 },
  { ...square, groups: 2 },
  { ...square, outputs: 4, groups: 4 },
  { ...square, outputs: 8, groups: 4, stride: 2 },
  { ...square, batch: 0 },
];

const sizesOf = (shape: ConvolutionShape) => ({
  images: shape.batch * shape.height * shape.width * shape.channels,
  outputs: windowsShape(shape).rows * shape.outputs,
  weights: (shape.outputs * shape.channels * shape.kernel[0] * shape.kernel[1]) / shape.groups,
});

/** Outputs: with and without bias, positive part and a sum to add to. */
export const convolveCases: readonly KernelCase[] = shapes.flatMap((shape) =>
  ([0, 1] as const).flatMap((beta) =>
    [false, true].map((relu) =>
      rounded(`${JSON.stringify(shape)}, beta ${beta}${relu ? ", positive part" : ""}`, (kernels, make) => {
        const { images, outputs, weights } = sizesOf(shape);
        const out = beta === 1 ? make.changed(outputs, 2) : make.output(outputs);
        kernels.convolve({
          shape,
          images: make.real(images),
          weights: make.real(weights),
          out,
          beta,
          relu,
          ...(beta === 0 ? { bias: make.real(shape.outputs) } : {}),
        });
        return [out];
      }),
    ),
  ),
);

/** Deltas carried back to the images. */
export const convolveBackCases: readonly KernelCase[] = shapes.map((shape) =>
  rounded(JSON.stringify(shape), (kernels, make) => {
    const { images, outputs, weights } = sizesOf(shape);
    const out = make.output(images);
    kernels.convolveBack({ shape, deltas: make.real(outputs), weights: make.real(weights), out });
    return [out];
  }),
);

/** Gradients of weights: of one image a row, of two, and of all. */
export const convolutionGradientsCases: readonly KernelCase[] = shapes.flatMap((shape) =>
  [1, 2, 5].map((group) =>
    rounded(`${JSON.stringify(shape)}, ${group} images a row`, (kernels, make) => {
      const { images, outputs, weights } = sizesOf(shape);
      const out = make.outputMatrix(Math.ceil(shape.batch / group), weights);
      kernels.convolutionGradients({ shape, images: make.real(images), deltas: make.real(outputs), group, out });
      return [out.data];
    }),
  ),
);
