/** The parts of TensorFlow.js that this package touches. The library itself is given by the caller, whichever build it is. */
import type * as tfjs from "@tensorflow/tfjs";

/** The TensorFlow.js namespace: `@tensorflow/tfjs`, `@tensorflow/tfjs-node` or `@tensorflow/tfjs-node-gpu`. */
export type Tf = typeof tfjs;
/** A tensor of any rank. */
export type Tensor = tfjs.Tensor;
/** What a kernel is given and returns: where numbers lie, not the numbers. */
export type TensorInfo = tfjs.TensorInfo;
/** A layer of a LayersModel. */
export type Layer = tfjs.layers.Layer;
/** A Keras-style model. */
export type LayersModel = tfjs.LayersModel;
/** A converted TensorFlow graph. */
export type GraphModel = tfjs.GraphModel;
/** Numbers of a kernel call that are no tensors. */
export type KernelAttributes = tfjs.NamedAttrMap;

/** One operation on the tape of a gradient. */
export interface TapeNode {
  readonly kernelName: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: readonly Tensor[];
  /** What its gradient needs of the forward pass. */
  readonly saved?: readonly Tensor[];
  gradient?: (dys: Tensor[]) => Record<string, () => Tensor>;
}

/** The operations recorded so far; empty outside of a gradient. */
export function tapeOf(tf: Tf): readonly TapeNode[] {
  return (tf.engine().state.activeTape as unknown as readonly TapeNode[] | null) ?? [];
}
