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

/** The part of the engine's state that holds the tape. */
interface TapeHolder {
  activeTape: readonly TapeNode[] | null;
}

/** The operations recorded so far; empty outside of a gradient. */
export function tapeOf(tf: Tf): readonly TapeNode[] {
  return (tf.engine().state as unknown as TapeHolder).activeTape ?? [];
}

/** Runs a gradient within the backward pass of another: TensorFlow.js would forget the outer tape. */
export function withOwnTape<T>(tf: Tf, work: () => T): T {
  const state = tf.engine().state as unknown as TapeHolder;
  const { activeTape } = state;
  try {
    return work();
  } finally {
    state.activeTape = activeTape;
  }
}

/** A tensor of the caller's over data that an operation was given: not a copy. */
export function sharedTensor(tf: Tf, info: TensorInfo): Tensor {
  const backend = tf.backend();
  backend.incRef(info.dataId);
  return tf.keep(tf.engine().makeTensorFromTensorInfo(info, backend));
}
