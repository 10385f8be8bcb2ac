import type { ArrayOfDtype, TensorDtype } from "./dtype.ts";

interface TensorOf<D extends TensorDtype> {
  readonly dtype: D;
  /** extents, outermost first; [] is a scalar */
  readonly shape: readonly number[];
  /** row-major elements, as many as the product of the shape */
  readonly data: ArrayOfDtype[D];
}

/** Row-major numbers with a shape; `dtype` tells the class of `data`, so a switch on it narrows both. */
export type Tensor<D extends TensorDtype = TensorDtype> = { [K in D]: TensorOf<K> }[D];

/** A tensor with the name it has in its file. */
export type NamedTensor<D extends TensorDtype = TensorDtype> = Tensor<D> & { readonly name: string };

/** What a model file holds, whatever its format. */
export interface Checkpoint {
  /** for example "safetensors" */
  readonly format: string;
  /** in the order of the file; names are unique */
  readonly tensors: readonly NamedTensor[];
  /** free text that came with the tensors, such as { format: "pt" } */
  readonly metadata: Readonly<Record<string, string>>;
  /** what a user should know of how it was read, such as what was left out; absent where there is nothing to say */
  readonly notes?: readonly string[];
}

/**
 * The number of elements of a shape: the product of its extents, 1 for [].
 *
 * @returns undefined when an extent is not a whole number >= 0 or the product is above 2^53 - 1
 */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) return undefined;
    count *= extent;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}
