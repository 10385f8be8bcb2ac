/** What only moves numbers, or takes some of them. */
import { productOf } from "../../plan/value.ts";
import { axisOf, type Lowering, largest } from "./lowering.ts";
import { resize } from "./resize.ts";

export const moving: Readonly<Record<string, (low: Lowering) => void>> = {
  Reshape: rename,
  Flatten(low) {
    const from = low.value(0);
    const own = low.dims(from);
    const axis = low.number("axis", 1);
    const size = (list: readonly number[]): number => productOf(list);
    low.reshaped(from, [size(own.slice(0, axis)), size(own.slice(axis))], true);
  },
  Squeeze(low) {
    const from = low.value(0);
    const own = low.dims(from);
    const axes = axesGiven(low, own.length) ?? [...own.keys()].filter((i) => own[i] === 1);
    low.reshaped(
      from,
      own.filter((_, i) => !axes.includes(i)),
      true,
    );
  },
  Unsqueeze(low) {
    const from = low.value(0);
    const own = [...low.dims(from)];
    const wanted = low.node.attributes["axes"] === undefined ? (low.wholes(1) ?? []) : low.ints("axes", []);
    const rank = own.length + wanted.length;
    const axes = wanted.map((axis) => axisOf(low, axis, rank));
    const out = Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : own.shift()!));
    low.reshaped(from, out, true);
  },
  Transpose(low) {
    const from = low.value(0);
    const rank = low.dims(from).length;
    const perm = low.ints(
      "perm",
      Array.from({ length: rank }, (_, i) => rank - 1 - i),
    );
    low.emit("Transpose", [from], { attributes: { perm }, isLast: true });
  },
  Concat(low) {
    const values = low.node.inputs.map((_, i) => low.value(i));
    const axis = axisOf(low, low.number("axis", 0), low.dims(values[0]!).length);
    low.emit("Concat", values, { attributes: { axis }, isLast: true });
  },
  Slice: slice,
  Split: split,
  Gather: gather,
  Expand(low) {
    low.emit("Expand", [low.value(0)], { attributes: { dims: low.wholes(1) ?? [] }, isLast: true });
  },
  Tile: tile,
  Pad(low) {
    const from = low.value(0);
    const pads = low.node.attributes["pads"] === undefined ? (low.wholes(1) ?? []) : low.ints("pads", []);
    if (pads.some((pad) => pad < 0)) low.refuse("it takes some away; Slice does that");
    if (pads.every((pad) => pad === 0)) {
      low.same(from);
      return;
    }
    const mode = String(low.node.attributes["mode"] ?? "constant");
    const fill = low.constant(2);
    if (low.node.inputs[2] && !fill) low.refuse("what it pads with is computed; it has to be constant");
    const number = Number(fill?.data?.[0] ?? low.number("value", 0));
    if (low.node.inputs[3]) low.refuse("it pads along named axes");
    if (mode === "constant") {
      const value = Math.max(-largest, Math.min(largest, number));
      low.emit("Pad", [from], { attributes: { pads, ...(value === 0 ? {} : { value }) }, isLast: true });
    } else if (mode === "reflect" || mode === "edge") mirror(low, { from, pads, mode });
    else low.refuse("it pads with something else than a number, edges or reflections");
  },
  Resize: resize,
  Upsample: resize,
  DepthToSpace(low) {
    const from = low.value(0);
    const [images = 1, channels = 1, height = 1, width = 1] = low.dims(from);
    const size = low.number("blocksize", 1);
    const own = channels / size ** 2;
    const isByColumn = String(low.node.attributes["mode"] ?? "DCR") === "CRD";
    const apart = isByColumn ? [images, own, size, size, height, width] : [images, size, size, own, height, width];
    const perm = isByColumn ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
    const moved = low.emit("Transpose", [low.reshaped(from, apart)], { attributes: { perm } });
    low.reshaped(moved, [images, own, height * size, width * size], true);
  },
  SpaceToDepth(low) {
    const from = low.value(0);
    const [images = 1, channels = 1, height = 1, width = 1] = low.dims(from);
    const size = low.number("blocksize", 1);
    const [rows, columns] = [height / size, width / size];
    const apart = low.reshaped(from, [images, channels, rows, size, columns, size]);
    const moved = low.emit("Transpose", [apart], { attributes: { perm: [0, 3, 5, 1, 2, 4] } });
    low.reshaped(moved, [images, channels * size ** 2, rows, columns], true);
  },
};

function rename(low: Lowering): void {
  const from = low.value(0);
  const own = low.dims(from);
  const wanted = low.wholes(1) ?? low.refuse("it says no shape");
  const isZeroKept = low.number("allowzero", 0) === 0;
  const given = wanted.map((extent, i) => (extent === 0 && isZeroKept ? (own[i] ?? 1) : extent));
  const known = given.reduce((product, extent) => product * (extent === -1 ? 1 : extent), 1);
  const size = productOf(own);
  low.reshaped(
    from,
    given.map((extent) => (extent === -1 ? size / known : extent)),
    true,
  );
}

function axesGiven(low: Lowering, rank: number): readonly number[] | undefined {
  const given = low.node.attributes["axes"] === undefined ? low.wholes(1) : low.ints("axes", []);
  return given?.map((axis) => axisOf(low, axis, rank));
}

/** One axis after the other. */
function slice(low: Lowering): void {
  const isOld = low.node.attributes["starts"] !== undefined;
  const list = (name: string, i: number): readonly number[] | undefined =>
    isOld ? (low.node.attributes[name] === undefined ? undefined : low.ints(name, [])) : low.wholes(i);
  const starts = list("starts", 1) ?? low.refuse("it says no starts");
  const ends = list("ends", 2) ?? low.refuse("it says no ends");
  const steps = isOld ? undefined : low.wholes(4);
  let so = low.value(0);
  const rank = low.dims(so).length;
  const axes = (list("axes", 3) ?? starts.map((_, i) => i)).map((axis) => axisOf(low, axis, rank));
  axes.forEach((axis, i) => {
    const extent = low.dims(so)[axis]!;
    const step = steps?.[i] ?? 1;
    // Backwards it begins at the last at most, and may end before the first.
    const [least, most] = step > 0 ? [0, extent] : [-1, extent - 1];
    const place = (at: number): number => Math.min(most, Math.max(least, at < 0 ? at + extent : at));
    const [start, end] = [place(starts[i]!), place(ends[i]!)];
    const count = Math.ceil((end - start) / step);
    if (!(count >= 1)) low.refuse("it takes nothing");
    if (step === 1 && count === extent) return;
    so = low.emit("Slice", [so], { attributes: { axis: [axis], start: [start], count: [count], step: [step] } });
  });
  low.same(so);
}

function split(low: Lowering): void {
  const from = low.value(0);
  const own = low.dims(from);
  const axis = axisOf(low, low.number("axis", 0), own.length);
  const { outputs } = low.node;
  const even = Math.ceil(own[axis]! / outputs.length);
  const sizes =
    low.node.attributes["split"] === undefined
      ? (low.wholes(1) ?? outputs.map((_, i) => Math.min(even, own[axis]! - i * even)))
      : low.ints("split", []);
  let start = 0;
  outputs.forEach((output, i) => {
    const count = sizes[i] ?? 0;
    const attributes = { axis: [axis], start: [start], count: [count], step: [1] };
    if (output) low.emit("Slice", [from], { attributes, output });
    start += count;
  });
}

/** Pieces that a value is taken apart into at most. */
const mostPieces = 256;

/** Rows of a constant table by computed numbers, or constant places of a value that lie one behind the other. */
function gather(low: Lowering): void {
  const table = low.constant(0);
  if (table) {
    if (low.number("axis", 0) !== 0) low.refuse("it takes from another axis of its table than the first");
    if (table.shape.length < 2) low.refuse("its table is a row; it has to be [rows, ...]");
    const tensors = [low.keep(table.name, table.shape, low.numbers(table))];
    low.emit("Gather", [low.value(1)], { tensors, isLast: true });
    return;
  }
  const from = low.value(0);
  const own = low.dims(from);
  const axis = axisOf(low, low.number("axis", 0), own.length);
  const places = (low.wholes(1) ?? low.refuse("it says no places")).map((at) => (at < 0 ? at + own[axis]! : at));
  const [start = 0, next] = places;
  const step = next === undefined ? 1 : next - start;
  const isEven = step !== 0 && places.every((at, i) => at === start + i * step);
  if (!isEven && places.length > mostPieces)
    low.refuse(`its ${places.length} places do not follow each other at one distance`);
  const piece = (first: number, count: number, by: number): string =>
    low.emit("Slice", [from], { attributes: { axis: [axis], start: [first], count: [count], step: [by] } });
  const taken = isEven
    ? piece(start, places.length, step)
    : low.emit(
        "Concat",
        places.map((at) => piece(at, 1, 1)),
        { attributes: { axis } },
      );
  const shape = low.constant(1)!.shape;
  low.reshaped(taken, [...own.slice(0, axis), ...shape, ...own.slice(axis + 1)], true);
}

/** Every axis stretched beside itself: [a, b] three times along b is [a, 1, b] stretched to [a, 3, b]. */
function tile(low: Lowering): void {
  const times = low.wholes(1) ?? low.refuse("it says no repeats");
  let so = low.value(0);
  times.forEach((count, axis) => {
    if (count === 1) return;
    const own = low.dims(so);
    const apart = low.reshaped(so, [...own.slice(0, axis), 1, ...own.slice(axis)]);
    const wide = [...own.slice(0, axis), count, ...own.slice(axis)];
    const stretched = low.emit("Expand", [apart], { attributes: { dims: wide } });
    so = low.reshaped(
      stretched,
      own.map((extent, i) => (i === axis ? extent * count : extent)),
    );
  });
  low.same(so);
}

/** Borders made of what lies next to them: axis after axis, pieces before and behind. */
function mirror(
  low: Lowering,
  spec: { readonly from: string; readonly pads: readonly number[]; readonly mode: "reflect" | "edge" },
): void {
  let so = spec.from;
  const rank = low.dims(so).length;
  for (let axis = 0; axis < rank; axis++) {
    const own = low.dims(so);
    const [before, after] = [spec.pads[axis] ?? 0, spec.pads[axis + rank] ?? 0];
    const piece = (start: number, count: number, step: number): string =>
      low.emit("Slice", [so], { attributes: { axis: [axis], start: [start], count: [count], step: [step] } });
    const border = (count: number, first: number): readonly string[] => {
      if (count === 0) return [];
      if (spec.mode === "reflect") return [piece(first, count, -1)];
      const edge = piece(first, 1, 1);
      const dims = own.map((extent, i) => (i === axis ? count : extent));
      return [low.emit("Expand", [edge], { attributes: { dims } })];
    };
    const last = own[axis]! - 1;
    const isEdge = spec.mode === "edge";
    const parts = [...border(before, isEdge ? 0 : before), so, ...border(after, isEdge ? last : last - 1)];
    if (parts.length > 1) so = low.emit("Concat", parts, { attributes: { axis } });
  }
  low.same(so);
}
