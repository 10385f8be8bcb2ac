/** Choices about batch normalisation and random changes of training images. */

/** When running statistics are measured anew. */
export const reestimateTimes = ["never", "before", "after", "both"] as const;
/** When statistics of batch normalisation are measured anew: before pruning, after it, both, or not at all. */
export type ReestimateTime = (typeof reestimateTimes)[number];

/** Random changes of training images, as far as they were asked for. */
export interface AugmentationFlags {
  readonly cropPadding?: number;
  readonly flip?: boolean;
}
