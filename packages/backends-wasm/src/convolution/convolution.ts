/**
 * Convolutions, each by the way its shape is fastest: minimal filtering, plain loops for groups, or windows and matrix products. The shape
 * (and whether the memory may grow) decides, so that bytes do not depend on threads.
 */
import {
  type ConvolutionGradientsSpec,
  type ConvolutionShape,
  type ConvolveBackSpec,
  type ConvolveSpec,
  checkConvolutionGradients,
  checkConvolve,
  checkConvolveBack,
  referenceKernels,
  type Vec,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import { runAgain } from "./arranged-weights.ts";
import { groupedBack, groupedConvolve, groupedGradients } from "./grouped.ts";
import { windowedBack, windowedConvolve, windowedGradients } from "./windowed.ts";
import { isWinograd, turned, winogradBack, winogradConvolve, winogradGradients } from "./winograd.ts";

/** out = f(images * weights + bias + beta out). */
export function convolve(engine: Engine, spec: ConvolveSpec): void {
  if (runAgain(engine, spec)) return;
  checkConvolve(spec);
  const { shape, images, out } = spec;
  if (isEmpty(shape, images, out)) referenceKernels.convolve(spec);
  else if (isWinograd(engine, { shape, size: out.BYTES_PER_ELEMENT, isGradient: false }))
    winogradConvolve(engine, spec) || windowedConvolve(engine, spec);
  else if (shape.groups > 1) groupedConvolve(engine, spec) || referenceKernels.convolve(spec);
  else windowedConvolve(engine, spec);
}

/** out = dL/dimages. */
export function convolveBack(engine: Engine, spec: ConvolveBackSpec): void {
  checkConvolveBack(spec);
  const { shape, deltas, out } = spec;
  if (isEmpty(shape, out, deltas)) referenceKernels.convolveBack(spec);
  else if (isWinograd(engine, { shape: turned(shape), size: out.BYTES_PER_ELEMENT, isGradient: false }))
    winogradBack(engine, spec) || windowedBack(engine, spec);
  else if (shape.groups > 1) groupedBack(engine, spec) || referenceKernels.convolveBack(spec);
  else windowedBack(engine, spec);
}

/** out = dL/dweights, a row a group of images. */
export function convolutionGradients(engine: Engine, spec: ConvolutionGradientsSpec): void {
  checkConvolutionGradients(spec);
  const { shape, images, deltas } = spec;
  if (isEmpty(shape, images, deltas)) referenceKernels.convolutionGradients(spec);
  else if (isWinograd(engine, { shape, size: images.BYTES_PER_ELEMENT, isGradient: true })) {
    winogradGradients(engine, spec) || windowedGradients(engine, spec);
  } else if (shape.groups > 1) groupedGradients(engine, spec) || referenceKernels.convolutionGradients(spec);
  else windowedGradients(engine, spec);
}

// Nothing to sum over, or nothing to write: the definition says what to do.
function isEmpty({ channels }: ConvolutionShape, images: Vec, outputs: Vec): boolean {
  return channels === 0 || images.length === 0 || outputs.length === 0;
}
