/** Choices about batch normalisation and random changes of training images. */

/** When running statistics are measured anew. */
export const reestimateTimes = ["auto", "never", "before", "after", "both"] as const;
/**
 * When statistics of batch normalisation are measured anew: before pruning, after it, both, or not at all. "auto" is both; with
 * retraining, which measures statistics itself, before it, where that lowers the loss of training examples by a twentieth; for ONNX and TensorFlow.js
 * models, whose statistics are matched to the dense ones, where that lowers it as much.
 */
export type ReestimateTime = (typeof reestimateTimes)[number];

/** Random changes of training images, as far as they were asked for. */
export interface AugmentationFlags {
  readonly cropPadding?: number;
  readonly flip?: boolean;
}
