/**
 * What only moves numbers: Reshape (attribute dims; 0 keeps an extent, -1 is what is left), Flatten to [n, rest], Transpose (perm), Slice
 * (axis, start, count, step, which may go backwards), Expand (dims, by numpy's rule), Pad (pads as ONNX has them, value: 0 where absent), Concat (axis), and SubsampleAndPad:
 * every stride-th position, with channels of zeros before (`before`) and after up to `channels`.
 */
import type { Builder } from "../plan/builder.ts";
import { type Four, type MergedIndices, mergeIndices } from "../plan/merge-indices.ts";
import { flatRegion, geometryOf, originOf, uniteRows } from "../plan/region.ts";
import { distances, productOf, stretched, stretchedDims, type Value } from "../plan/value.ts";
import { type Call, type OperatorKind, oneNumber, shapeText, wholeNumbers } from "./operator.ts";

/** The same numbers under other extents: nothing runs. */
function renamed(dimsOf: (call: Call) => readonly number[]): OperatorKind {
  return {
    inputs: [1, 1],
    tensors: [0, 0],
    dims: dimsOf,
    lower(call, output, builder) {
      output.flat = builder.flat(call.inputs[0]!);
    },
  };
}

export const reshape: OperatorKind = renamed((call) => {
  const { dims } = call.inputs[0]!;
  const wanted = call.operator.attributes["dims"];
  if (!Array.isArray(wanted) || wanted.length > 8) return call.refuse("its dims are missing or more than 8");
  const given = (wanted as readonly number[]).map((extent, i) => (extent === 0 ? (dims[i] ?? 0) : extent));
  const known = given.reduce((product, extent) => product * (extent === -1 ? 1 : extent), 1);
  const out = given.map((extent) => (extent === -1 ? productOf(dims) / known : extent));
  const isRight = out.every((extent) => Number.isInteger(extent) && extent >= 1) && productOf(out) === productOf(dims);
  if (!isRight || given.filter((extent) => extent === -1).length > 1)
    call.refuse(`it makes ${shapeText(wanted as readonly number[])} of ${shapeText(dims)}`);
  return out;
});

export const flatten: OperatorKind = renamed((call) => {
  const { dims } = call.inputs[0]!;
  return [dims[0] ?? 1, productOf(dims.slice(1))];
});

export const transpose: OperatorKind = {
  inputs: [1, 1],
  tensors: [0, 0],
  dims(call) {
    const { dims } = call.inputs[0]!;
    const perm = wholeNumbers(call, "perm", { length: dims.length, low: 0, high: dims.length - 1 });
    if (new Set(perm).size !== dims.length)
      call.refuse(`it reorders ${shapeText(dims)} by ${shapeText(perm)}; needed is every index once`);
    const out = perm.map((axis) => dims[axis]!);
    moveOf(call, turned(dims, perm), out);
    return out;
  },
  lower(call, output, builder) {
    const { dims } = call.inputs[0]!;
    const perm = wholeNumbers(call, "perm", { length: dims.length, low: 0 });
    moveFlat({ call, output, first: 0, fromSteps: turned(dims, perm) }, builder);
  },
};

/** Distances in a value whose axes are reordered. */
function turned(dims: readonly number[], perm: readonly number[]): readonly number[] {
  const source = distances(dims);
  return perm.map((axis) => source[axis]!);
}

/** Copies that one operator may be taken apart into. */
const mostCopies = 64;

/** One copy of a move: its indices, and where it begins in both. */
interface Piece extends MergedIndices {
  readonly starts: readonly [from: number, to: number];
}

/**
 * A move along any number of indices as copies along four each: the shortest index beyond them is taken apart.
 *
 * @returns undefined where that would be more than `mostCopies`
 */
function piecesOf(
  extents: readonly number[],
  steps: readonly [readonly number[], readonly number[]],
): readonly Piece[] | undefined {
  const merged = mergeIndices(extents, steps);
  if (merged) return [{ ...merged, starts: [0, 0] }];
  const place = extents.reduce(
    (best, extent, i) => (extent > 1 && extent < (extents[best] ?? Infinity) ? i : best),
    -1,
  );
  const count = extents[place]!;
  const without = (list: readonly number[]): number[] => list.filter((_, i) => i !== place);
  const [a, b] = steps;
  const rest = count > mostCopies ? undefined : piecesOf(without(extents), [without(a), without(b)]);
  if (!rest || rest.length * count > mostCopies) return undefined;
  return Array.from({ length: count }, (_, i) =>
    rest.map((piece): Piece => {
      const [from, to] = piece.starts;
      return { ...piece, starts: [from + i * a[place]!, to + i * b[place]!] };
    }),
  ).flat();
}

/** The pieces of a move from `dims` by these distances into a row-major output. @throws ERR_PACKED_GRAPH */
function moveOf(call: Call, fromSteps: readonly number[], outDims: readonly number[]): readonly Piece[] {
  return (
    piecesOf(outDims, [fromSteps, distances(outDims)]) ??
    call.refuse(`it moves ${shapeText(call.inputs[0]!.dims)} to ${shapeText(outDims)} along too many indices`)
  );
}

/** Copies from a row-major input into a row-major output, place by place. `first`: the first number read. */
function moveFlat(
  spec: { readonly call: Call; readonly output: Value; readonly first: number; readonly fromSteps: readonly number[] },
  builder: Builder,
): void {
  const { call, output, fromSteps, first } = spec;
  const from = builder.flat(call.inputs[0]!);
  const to = flatRegion(productOf(output.dims));
  output.flat = to;
  for (const { extents, steps, starts } of moveOf(call, fromSteps, output.dims)) {
    const [fromFour, toFour] = steps as readonly [Four, Four];
    builder.copy({
      from,
      to,
      extents: () => extents,
      places: () => ({
        from: from.address + 4 * (first + starts[0]),
        to: to.address + 4 * starts[1],
        fromSteps: fromFour,
        toSteps: toFour,
      }),
    });
  }
}

export const slice: OperatorKind = {
  inputs: [1, 1],
  tensors: [0, 0],
  dims(call) {
    const { dims } = call.inputs[0]!;
    const { axis, start, count, step } = sliceOf(call);
    const last = start + (count - 1) * step;
    if (!(axis < dims.length && step !== 0 && Math.max(start, last) < dims[axis]! && last >= 0))
      call.refuse(`it takes ${count} from ${start} on along extent ${axis} of ${shapeText(dims)}`);
    const out = dims.map((extent, i) => (i === axis ? count : extent));
    moveOf(call, strided(dims, axis, step), out);
    return out;
  },
  lower(call, output, builder) {
    const { axis, start, step } = sliceOf(call);
    const { dims } = call.inputs[0]!;
    const source = distances(dims);
    const fromSteps = strided(dims, axis, step);
    moveFlat({ call, output, first: start * source[axis]!, fromSteps }, builder);
  },
};

/** Distances in a value of which every step-th place of an axis is taken. */
function strided(dims: readonly number[], axis: number, step: number): readonly number[] {
  return distances(dims).map((distance, i) => (i === axis ? step * distance : distance));
}

function sliceOf(call: Call): { axis: number; start: number; count: number; step: number } {
  const one = (name: string, low: number): number => wholeNumbers(call, name, { length: 1, low, high: 2 ** 31 })[0]!;
  return { axis: one("axis", 0), start: one("start", 0), count: one("count", 1), step: one("step", -(2 ** 31)) };
}

export const expand: OperatorKind = {
  inputs: [1, 1],
  tensors: [0, 0],
  dims(call) {
    const { dims } = call.inputs[0]!;
    const given = call.operator.attributes["dims"];
    const wanted = wholeNumbers(call, "dims", {
      length: Array.isArray(given) ? given.length : 1,
      low: 1,
      high: 2 ** 30,
    });
    const out = stretchedDims(dims, wanted);
    if (!out || wanted.length > 8) return call.refuse(`it stretches ${shapeText(dims)} to ${shapeText(wanted)}`);
    moveOf(call, stretched(dims, out), out);
    return out;
  },
  lower(call, output, builder) {
    moveFlat({ call, output, first: 0, fromSteps: stretched(call.inputs[0]!.dims, output.dims) }, builder);
  },
};

export const concat: OperatorKind = {
  inputs: [1, 4096],
  tensors: [0, 0],
  dims(call) {
    const first = call.inputs[0]!.dims;
    const axis = oneNumber(call, "axis");
    if (!Number.isInteger(axis) || axis < 0 || axis >= first.length)
      call.refuse(`its axis is ${axis} of ${shapeText(first)}`);
    const total = call.inputs.reduce((sum, { dims }) => {
      const isRight = dims.length === first.length && dims.every((extent, i) => i === axis || extent === first[i]);
      if (!isRight) call.refuse(`it joins ${shapeText(first)} and ${shapeText(dims)} along extent ${axis}`);
      return sum + dims[axis]!;
    }, 0);
    return first.map((extent, i) => (i === axis ? total : extent));
  },
  lower(call, output, builder) {
    const axis = oneNumber(call, "axis");
    if (output.dims.length === 4 && axis === 1) {
      const to = builder.newPlanes(output.dims);
      output.planes = to;
      let channel = 0;
      for (const value of call.inputs) {
        const from = builder.planes(value);
        uniteRows(from.planes, to.planes);
        const start = channel;
        const { images, channels, height } = from.planes;
        channel += channels;
        builder.copy({
          from,
          to,
          // Whole planes, gaps included: both keep one distance from row to row.
          extents: () => [images, channels, 1, height * geometryOf(to.planes).stride],
          places: () => {
            const [a, b] = [geometryOf(from.planes), geometryOf(to.planes)];
            return {
              from: originOf(from),
              to: originOf(to) + 4 * start * b.plane,
              fromSteps: [channels * a.plane, a.plane, 0, 1],
              toSteps: [to.planes.channels * b.plane, b.plane, 0, 1],
            };
          },
        });
      }
      return;
    }
    const to = flatRegion(productOf(output.dims));
    output.flat = to;
    const outer = productOf(output.dims.slice(0, axis));
    const width = productOf(output.dims.slice(axis));
    let at = 0;
    for (const value of call.inputs) {
      const from = builder.flat(value);
      const count = productOf(value.dims.slice(axis));
      const start = at;
      at += count;
      builder.copy({
        from,
        to,
        extents: () => [1, outer, 1, count],
        places: () => ({
          from: from.address,
          to: to.address + 4 * start,
          fromSteps: [0, count, 0, 1],
          toSteps: [0, width, 0, 1],
        }),
      });
    }
  },
};

export const pad: OperatorKind = {
  inputs: [1, 1],
  tensors: [0, 0],
  dims(call) {
    const { dims } = call.inputs[0]!;
    const pads = wholeNumbers(call, "pads", { length: 2 * dims.length, low: 0 });
    oneNumber(call, "value", 0);
    if (dims.filter((extent) => extent !== 1).length > 4)
      call.refuse(`it pads ${shapeText(dims)} along more than four indices`);
    return dims.map((extent, i) => extent + pads[i]! + pads[i + dims.length]!);
  },
  lower(call, output, builder) {
    const value = call.inputs[0]!;
    const pads = wholeNumbers(call, "pads", { length: 2 * value.dims.length, low: 0 });
    const [source, target] = [distances(value.dims), distances(output.dims)];
    const merged =
      mergeIndices(value.dims, [source, target]) ??
      call.refuse(`it pads ${shapeText(value.dims)} along more than four indices`);
    const from = builder.flat(value);
    // Nothing else may use its memory, so that the border, which nobody writes, stays as it is.
    const to = flatRegion(productOf(output.dims), true);
    output.flat = to;
    const fill = oneNumber(call, "value", 0);
    if (fill !== 0) builder.fill(to, new Float32Array(productOf(output.dims)).fill(fill));
    const [fromSteps, toSteps] = merged.steps as readonly [Four, Four];
    const first = target.reduce((sum, distance, i) => sum + pads[i]! * distance, 0);
    builder.copy({
      from,
      to,
      extents: () => merged.extents,
      places: () => ({ from: from.address, to: to.address + 4 * first, fromSteps, toSteps }),
    });
  },
};

export const subsampleAndPad: OperatorKind = {
  inputs: [1, 1],
  tensors: [0, 0],
  dims(call) {
    const { dims } = call.inputs[0]!;
    if (dims.length !== 4) call.refuse(`its input is ${shapeText(dims)}; it has to be [n, channels, height, width]`);
    const [images, channels, height, width] = dims as readonly [number, number, number, number];
    const [stride] = wholeNumbers(call, "stride", { length: 1, low: 1, high: 4096 });
    const [wanted, before] = wholeNumbers(call, "channels", { length: 2, low: 0 }) as readonly [number, number];
    if (wanted < channels + before)
      call.refuse(`it gives ${wanted} channels, and ${before} of zeros and ${channels} of its input are more`);
    return [images, wanted, Math.ceil(height / stride!), Math.ceil(width / stride!)];
  },
  lower(call, output, builder) {
    const [stride] = wholeNumbers(call, "stride", { length: 1, low: 1 }) as readonly [number];
    const [, before] = wholeNumbers(call, "channels", { length: 2, low: 0 }) as readonly [number, number];
    const from = builder.planes(call.inputs[0]!);
    // Nothing else may use its memory, so that the channels nobody writes stay zero.
    const to = builder.newPlanes(output.dims, true);
    output.planes = to;
    builder.copy({
      from,
      to,
      extents: () => [from.planes.images, from.planes.channels, to.planes.height, to.planes.width],
      places: () => {
        const [a, b] = [geometryOf(from.planes), geometryOf(to.planes)];
        return {
          from: originOf(from),
          to: originOf(to) + 4 * before * b.plane,
          fromSteps: [from.planes.channels * a.plane, a.plane, stride * a.stride, stride],
          toSteps: [to.planes.channels * b.plane, b.plane, b.stride, 1],
        };
      },
    });
  },
};
