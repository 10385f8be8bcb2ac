/**
 * What only moves numbers: Reshape (attribute dims; 0 keeps an extent, -1 is what is left), Flatten to [n, rest], Transpose (perm, at most 4
 * extents), Concat (axis), and SubsampleAndPad: every stride-th position, with channels of zeros before (`before`) and after up to `channels`.
 */
import { flatRegion, geometryOf, originOf, uniteRows } from "../plan/region.ts";
import { productOf } from "../plan/value.ts";
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
  if (!Array.isArray(wanted) || wanted.length === 0 || wanted.length > 8)
    return call.refuse("its dims are missing or more than 8");
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

/** Distances of a row-major value from index to index, in numbers. */
function distances(dims: readonly number[]): number[] {
  return dims.map((_, i) => productOf(dims.slice(i + 1)));
}

export const transpose: OperatorKind = {
  inputs: [1, 1],
  tensors: [0, 0],
  dims(call) {
    const { dims } = call.inputs[0]!;
    const perm = wholeNumbers(call, "perm", { length: dims.length, low: 0, high: dims.length - 1 });
    if (dims.length > 4 || new Set(perm).size !== dims.length)
      call.refuse(`it reorders ${shapeText(dims)} by ${shapeText(perm)}; needed is every index once, of at most 4`);
    return perm.map((axis) => dims[axis]!);
  },
  lower(call, output, builder) {
    const value = call.inputs[0]!;
    const perm = wholeNumbers(call, "perm", { length: value.dims.length, low: 0 });
    const from = builder.flat(value);
    const to = flatRegion(productOf(output.dims));
    output.flat = to;
    const source = distances(value.dims);
    const fill = <T>(list: readonly T[], blank: T): [T, T, T, T] =>
      [...Array<T>(4 - list.length).fill(blank), ...list] as [T, T, T, T];
    builder.copy({
      from,
      to,
      extents: () => fill(output.dims, 1),
      places: () => ({
        from: from.address,
        to: to.address,
        fromSteps: fill(
          perm.map((axis) => source[axis]!),
          0,
        ),
        toSteps: fill(distances(output.dims), 0),
      }),
    });
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
