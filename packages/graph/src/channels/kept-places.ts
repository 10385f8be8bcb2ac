/** Which places of every axis are left when channels go, and tensors without the others. */
import type { GraphTensor } from "../graph-spec.ts";
import { sizeOf, stridesOf } from "../value.ts";
import type { Axis } from "./identities.ts";
import type { TracedGraph } from "./trace-channels.ts";

/** By axis: the places that stay, ascending; undefined: all. */
export type KeptPlaces = readonly (Uint32Array | undefined)[];

/** Of every value, by number. */
export function keptPlaces({ identities, axes }: TracedGraph, gone: ReadonlySet<number>): readonly KeptPlaces[] {
  const known = new Map<Axis, Uint32Array | undefined>();
  const isKept = (identity: number): boolean => !identities.causesOf(identity).some((cause) => gone.has(cause));
  const keptOf = (axis: Axis): Uint32Array | undefined => {
    if (!axis) return undefined;
    if (!known.has(axis)) {
      const kept = Uint32Array.from(axis.keys()).filter((place) => isKept(axis[place]!));
      known.set(axis, kept.length === axis.length ? undefined : kept);
    }
    return known.get(axis);
  };
  return axes.map((own) => own.map(keptOf));
}

/** Extents that are left of a shape. */
export function keptShape(shape: readonly number[], kept: KeptPlaces): readonly number[] {
  return shape.map((extent, axis) => kept[axis]?.length ?? extent);
}

/** A tensor with the kept places only; itself where all are kept. */
export function cutTensor(tensor: GraphTensor, kept: KeptPlaces): GraphTensor {
  if (kept.every((places) => places === undefined)) return tensor;
  const shape = keptShape(tensor.shape, kept);
  const strides = stridesOf(tensor.shape);
  const { data: source } = tensor;
  const data = source!.slice(0, sizeOf(shape));
  let next = 0;
  const copy = (axis: number, from: number): void => {
    if (axis === shape.length) {
      data[next++] = source![from]!;
      return;
    }
    const places = kept[axis];
    for (let i = 0; i < shape[axis]!; i++) copy(axis + 1, from + (places ? places[i]! : i) * strides[axis]!);
  };
  copy(0, 0);
  return { ...withoutPlace(tensor), shape, data };
}

function withoutPlace({ name, dtype }: GraphTensor): Pick<GraphTensor, "name" | "dtype"> {
  return { name, dtype };
}
