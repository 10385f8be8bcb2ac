/** Where examples of images have their channels, and which these are: what is said, else what the network's input decides. */
import { shapesDiffer } from "../errors.ts";
import type { ImageSteps } from "./prepare-image.ts";

/** Channels of an example. */
export interface ExampleLayout {
  readonly channels: 1 | 3;
  readonly isChannelsLast: boolean;
  /** Which of red, green and blue each channel is; of greys all are the same. */
  readonly order: readonly number[];
}

/**
 * @param spec.wanted - extents of an example of the network's input, null where any will do; absent where nothing is known
 * @param spec.isColoured - whether any image has colours
 * @throws ERR_SHAPE for coloured images where the network takes one channel and nobody said that they become grey
 */
export function exampleLayout(spec: {
  steps: ImageSteps;
  wanted: readonly (number | null)[] | undefined;
  isColoured: boolean;
  folder: string;
}): ExampleLayout {
  const { steps, wanted, isColoured, folder } = spec;
  const [front, back] = wanted?.length === 3 ? [wanted[0], wanted[2]] : [undefined, undefined];
  const isChannelsLast =
    steps.layout === undefined ? areChannels(back) && !areChannels(front) : steps.layout === "nhwc";
  const taken = isChannelsLast ? back : front;
  if (steps.color === undefined && taken === 1 && isColoured) {
    throw shapesDiffer({
      where: folder,
      found: "images in colour",
      expected: "grey ones, as the network takes one channel; preprocess: color=grey makes them so",
    });
  }
  const isGrey = steps.color === "grey" || (steps.color === undefined && !isColoured && taken !== 3);
  return { channels: isGrey ? 1 : 3, isChannelsLast, order: steps.color === "bgr" ? [2, 1, 0] : [0, 1, 2] };
}

function areChannels(extent: number | null | undefined): boolean {
  return extent === 1 || extent === 3;
}
