/** Choices about batch normalisation and random changes of training images. */

/** When running statistics are measured anew. */
export const reestimateTimes = ["never", "before", "after", "both"] as const;
export type ReestimateTime = (typeof reestimateTimes)[number];

/** Random changes of training images, as far as they were asked for. */
export interface AugmentationFlags {
  readonly cropPadding?: number;
  readonly flip?: boolean;
}
