/** The orders in which frameworks store weights. Inside they are PyTorch's; others are converted once, at the border. */
import { type Dtype, type Vec, zeros } from "@secateur/core";

/**
 * How convolution weights are stored, by the order of their dimensions: output, input (of a group), height, width.
 *   oihw  PyTorch, ONNX; dense weights [out, in]
 *   hwio  TensorFlow and Keras; dense weights [in, out]; of depthwise convolutions also [height, width, in, out / in]
 *   ohwi  TensorFlow Lite; dense weights [out, in]
 */
export type WeightLayout = "oihw" | "hwio" | "ohwi";

/** `axes[layout][k]`: which dimension of [out, in, height, width] is stored as dimension k. */
const axes: Readonly<Record<WeightLayout, readonly number[]>> = {
  oihw: [0, 1, 2, 3],
  hwio: [2, 3, 1, 0],
  ohwi: [0, 2, 3, 1],
};

/** All layouts. */
export const weightLayouts: readonly string[] = Object.keys(axes);

/** The shape in which a layout stores a tensor of the given shape in oihw: a filter, a dense weight or a vector. */
export function storedShape(shape: readonly number[], layout: WeightLayout): readonly number[] {
  return order(shape.length, layout).map((axis) => shape[axis]!);
}

/** Whether a tensor of shape `found` holds, in this layout, what has the given shape in oihw. */
export function isStoredAs(found: readonly number[], shape: readonly number[], layout: WeightLayout): boolean {
  const stored = storedShape(shape, layout);
  if (found.join() === stored.join()) return true;
  // [height, width, in, multiplier] of a depthwise convolution are the numbers of [height, width, 1, out] in the same order.
  const isDepthwise = layout === "hwio" && shape.length === 4 && shape[1] === 1 && found.length === 4;
  return isDepthwise && found[0] === stored[0] && found[1] === stored[1] && found[2]! * found[3]! === stored[3];
}

/** What a layout stores, copied in oihw order. @param shape - in oihw */
export function fromLayout(data: Vec, spec: { shape: readonly number[]; layout: WeightLayout; dtype: Dtype }): Vec {
  const perm = order(spec.shape.length, spec.layout);
  const back = perm.map((_, axis) => perm.indexOf(axis));
  return permuted(data, { shape: storedShape(spec.shape, spec.layout), perm: back, dtype: spec.dtype });
}

/** A tensor of oihw order, copied as a layout stores it. @param shape - in oihw */
export function toLayout(data: Vec, spec: { shape: readonly number[]; layout: WeightLayout; dtype: Dtype }): Vec {
  return permuted(data, { ...spec, perm: order(spec.shape.length, spec.layout) });
}

function order(rank: number, layout: WeightLayout): readonly number[] {
  if (rank === 4) return axes[layout];
  return rank === 2 && layout === "hwio" ? [1, 0] : Array.from({ length: rank }, (_, axis) => axis);
}

/** Entries in the order of dimensions perm[0], perm[1], ... of `shape`. O(size). */
function permuted(data: Vec, spec: { shape: readonly number[]; perm: readonly number[]; dtype: Dtype }): Vec {
  const { shape, perm, dtype } = spec;
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
  const out = zeros(data.length, dtype);
  if (perm.every((axis, k) => axis === k)) {
    out.set(data);
    return out;
  }
  let place = 0;
  const visit = (depth: number, from: number): void => {
    if (depth === perm.length) {
      out[place++] = data[from]!;
      return;
    }
    const axis = perm[depth]!;
    for (let i = 0; i < shape[axis]!; i++) visit(depth + 1, from + i * strides[axis]!);
  };
  visit(0, 0);
  return out;
}
