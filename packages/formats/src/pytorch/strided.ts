/** Arrays whose elements lie at steps of their own along each axis, made row-major. */
import type { ArrayOfDtype, TensorDtype } from "../dtype.ts";

/** Where the elements of an array lie. */
export interface StridedLayout {
  readonly shape: readonly number[];
  /** elements from one index of an axis to the next, one an axis, each >= 0 */
  readonly strides: readonly number[];
  /** index of the first element */
  readonly offset: number;
}

/** Whether the elements lie one after another, the last index fastest. Axes of extent 1 do not matter. */
export function isRowMajor({ shape, strides }: StridedLayout): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis]!;
  }
  return true;
}

/**
 * The elements of a layout as a new row-major array of the same class.
 *
 * @param stored - holds every place of the layout
 * @param count - elements of the layout, at most as many as are stored
 */
export function copyRowMajor(
  stored: ArrayOfDtype[TensorDtype],
  layout: StridedLayout,
  count: number,
): ArrayOfDtype[TensorDtype] {
  if (stored instanceof BigInt64Array || stored instanceof BigUint64Array) {
    const out = stored.slice(0, count);
    gatherRowMajor<bigint>(stored, out, layout);
    return out;
  }
  const out = stored.slice(0, count);
  gatherRowMajor<number>(stored, out, layout);
  return out;
}

/**
 * out[i0, i1, ...] = stored at offset + i0 * strides[0] + i1 * strides[1] + ...; every place must be inside.
 *
 * @param out - as many elements as the shape has; overwritten. O(length).
 */
function gatherRowMajor<T>(
  stored: ArrayLike<T>,
  out: { [index: number]: T; readonly length: number },
  { shape, strides, offset }: StridedLayout,
): void {
  const rank = shape.length;
  const position = new Array<number>(rank).fill(0);
  const columns = shape[rank - 1] ?? 1;
  const columnStride = strides[rank - 1] ?? 1;
  let start = offset;
  for (let row = 0; row < out.length; row += columns) {
    for (let j = 0; j < columns; j++) out[row + j] = stored[start + j * columnStride]!;
    // Step to the next row: the axis before the last counts fastest.
    for (let axis = rank - 2; axis >= 0; axis--) {
      start += strides[axis]!;
      if (++position[axis]! < shape[axis]!) break;
      start -= strides[axis]! * shape[axis]!;
      position[axis] = 0;
    }
  }
}
