/**
 * The layouts of weights: TensorFlow.js keeps dense kernels as [in, out] and filters as [...taps, in, out]; at the border of
 * this package every weight is a matrix [out, in * taps], outputs first, then inputs, then taps.
 */

/** What a weight is for, which decides how it is laid out. */
export type WeightRole = "dense" | "dense-transposed" | "conv" | "depthwise" | "conv-transpose";

/** A weight's canonical matrix and how it comes from the stored tensor. */
export interface Canonical {
  readonly rows: number;
  readonly cols: number;
  /** `order[k]`: where entry k of the canonical matrix is in the stored tensor. */
  readonly order: Uint32Array;
}

/** The dimensions of the stored tensor in canonical order, and how many of them count outputs. */
function permutation(role: WeightRole, rank: number): { perm: readonly number[]; outputs: number } {
  const taps = Array.from({ length: rank - 2 }, (_, i) => i);
  switch (role) {
    case "dense":
      return { perm: [1, 0], outputs: 1 };
    case "dense-transposed":
      return { perm: [0, 1], outputs: 1 };
    case "conv":
      return { perm: [rank - 1, rank - 2, ...taps], outputs: 1 };
    case "depthwise":
      // Each output channel sees one input channel: [in * multiplier, taps].
      return { perm: [rank - 2, rank - 1, ...taps], outputs: 2 };
    case "conv-transpose":
      return { perm: [rank - 2, rank - 1, ...taps], outputs: 1 };
    default:
      return role satisfies never;
  }
}

/** The canonical layout of a weight of this role and stored shape. O(size). */
export function canonicalOf(role: WeightRole, shape: readonly number[]): Canonical {
  const { perm, outputs } = permutation(role, shape.length);
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((product, extent) => product * extent, 1));
  const extents = perm.map((from) => shape[from]!);
  const steps = perm.map((from) => strides[from]!);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const order = new Uint32Array(size);
  const index = extents.map(() => 0);
  let place = 0;
  for (let k = 0; k < size; k++) {
    order[k] = place;
    for (let d = extents.length - 1; d >= 0; d--) {
      place += steps[d]!;
      if (++index[d]! < extents[d]!) break;
      place -= steps[d]! * extents[d]!;
      index[d] = 0;
    }
  }
  const rows = extents.slice(0, outputs).reduce((product, extent) => product * extent, 1);
  return { rows, cols: size === 0 ? 0 : size / rows, order };
}

/** The canonical entries of a stored tensor. */
export function toCanonical(stored: Float32Array, { order }: Canonical): Float32Array {
  const out = new Float32Array(order.length);
  for (let k = 0; k < order.length; k++) out[k] = stored[order[k]!]!;
  return out;
}

/** The stored tensor of canonical entries. */
export function fromCanonical(entries: ArrayLike<number>, { order }: Canonical): Float32Array {
  const out = new Float32Array(order.length);
  for (let k = 0; k < order.length; k++) out[order[k]!] = entries[k]!;
  return out;
}
