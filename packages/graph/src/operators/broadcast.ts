/**
 * How a smaller array lies over a larger one that it stretches to (numpy's rule): mostly its elements repeat in a pattern
 * outer x own x inner, index = floor(i / inner) mod own, which loops without an index for every element; else an index each.
 */
import { type Numbers, type Shape, sizeOf, stridesOf } from "../value.ts";

/** Where element i of the large array finds its element of the small one. */
export type Overlay =
  | { readonly kind: "pattern"; readonly outer: number; readonly own: number; readonly inner: number }
  | { readonly kind: "indices"; readonly indices: Int32Array };

/** The overlay of `shape` over `full`, which it stretches to. */
export function overlayOf(shape: Shape, full: Shape): Overlay {
  const padded = [...new Array<number>(full.length - shape.length).fill(1), ...shape];
  // Axes of extent 1 in both shapes say nothing.
  const axes = padded.flatMap((extent, i) => (full[i] === 1 ? [] : [{ isOwn: extent !== 1, extent: full[i]! }]));
  const first = axes.findIndex(({ isOwn }) => isOwn);
  const last = axes.map(({ isOwn }) => isOwn).lastIndexOf(true);
  const product = (part: typeof axes): number => part.reduce((size, { extent }) => size * extent, 1);
  if (first < 0) return { kind: "pattern", outer: 1, own: 1, inner: product(axes) };
  if (axes.slice(first, last + 1).every(({ isOwn }) => isOwn)) {
    return {
      kind: "pattern",
      outer: product(axes.slice(0, first)),
      own: product(axes.slice(first, last + 1)),
      inner: product(axes.slice(last + 1)),
    };
  }
  return { kind: "indices", indices: broadcastIndices(shape, full) };
}

/** Where element i of the large array finds its own. */
export function indexAt(over: Overlay): (i: number) => number {
  if (over.kind === "indices") {
    const { indices } = over;
    return (i) => indices[i]!;
  }
  const { outer, own, inner } = over;
  if (own === 1) return () => 0;
  if (inner === 1) return outer === 1 ? (i) => i : (i) => i % own;
  return (i) => Math.floor(i / inner) % own;
}

/** An array of `shape` stretched to `full`: itself where the two are alike. Not to be written to. */
export function stretched(data: Numbers, shape: Shape, full: Shape): Numbers {
  const size = sizeOf(full);
  if (data.length === size) return data;
  const out: Numbers = new (data.constructor as Float64ArrayConstructor)(size);
  if (size === 0) return out;
  const over = overlayOf(shape, full);
  if (over.kind === "indices") {
    for (let i = 0; i < size; i++) out[i] = data[over.indices[i]!]!;
    return out;
  }
  const { outer, own, inner } = over;
  const block = own * inner;
  if (inner === 1) out.set(data);
  else for (let k = 0; k < own; k++) out.fill(data[k]!, k * inner, (k + 1) * inner);
  for (let o = 1; o < outer; o++) out.copyWithin(o * block, 0, block);
  return out;
}

/** For every element of `full` the index of its element of `shape`. */
export function broadcastIndices(shape: Shape, full: Shape): Int32Array {
  const offset = full.length - shape.length;
  const own = stridesOf(shape);
  const steps = full.map((_, axis) => (axis < offset || shape[axis - offset] === 1 ? 0 : own[axis - offset]!));
  return walkIndices(full, steps);
}

/** For every element of an array of a shape, in order, the sum of its coordinates times the steps, from `start` on. */
export function walkIndices(shape: Shape, steps: readonly number[], start = 0): Int32Array {
  const out = new Int32Array(sizeOf(shape));
  if (out.length === 0) return out;
  out[0] = start;
  // Doubling: what one axis covers is repeated, shifted, along the next one outside of it.
  let filled = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    for (let k = 1; k < shape[axis]!; k++) {
      const shift = k * steps[axis]!;
      for (let i = 0; i < filled; i++) out[k * filled + i] = out[i]! + shift;
    }
    filled *= shape[axis]!;
  }
  return out;
}
