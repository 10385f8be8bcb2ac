/** Arrays put together and taken apart along an axis. */
import type { Vec } from "@secateur/core";
import type { Applied, Call, Operator } from "../operator.ts";
import { type Numbers, numbersOf, type Shape, sizeOf } from "../value.ts";
import { axisIn, inputOf, listOrInput, numberOf, refuse, showShape } from "./node-facts.ts";

/** The axis as the arrays are stored. */
function storedAxis(call: Call, axis: number): number {
  return call.axisOf?.(axis) ?? axis;
}

/** `count` runs of `length` numbers. */
interface Runs {
  readonly count: number;
  readonly length: number;
  readonly starts: readonly [number, number];
  readonly steps: readonly [number, number];
}

/** Copies runs of `length` numbers, from one to the next `steps` apart; few numbers one by one, since a view costs more. */
function copyRuns(from: Numbers, to: Numbers, at: Runs): void {
  const { count, length, starts, steps } = at;
  if (length < 32 && from instanceof Float32Array && to instanceof Float32Array) {
    copyFloats(from, to, at);
    return;
  }
  let [source, target] = starts;
  for (let o = 0; o < count; o++, source += steps[0], target += steps[1]) {
    if (length >= 32) to.set(from.subarray(source, source + length), target);
    else for (let i = 0; i < length; i++) to[target + i] = from[source + i]!;
  }
}

/** By itself, because a loop that meets arrays of several classes takes ten times as long. */
function copyFloats(from: Float32Array, to: Float32Array, { count, length, starts, steps }: Runs): void {
  const [along, across] = steps;
  let [source, target] = starts;
  for (let o = 0; o < count; o++) {
    for (let i = 0; i < length; i++) to[target + i] = from[source + i]!;
    source += along;
    target += across;
  }
}

interface Parts {
  readonly outer: number;
  /** Numbers of the whole along and inside of the axis. */
  readonly total: number;
  readonly lengths: readonly number[];
}

function partsOf(shapes: readonly Shape[], axis: number): Parts {
  const outer = sizeOf(shapes[0]!.slice(0, axis));
  const lengths = shapes.map((shape) => sizeOf(shape.slice(axis)));
  return { outer, lengths, total: lengths.reduce((sum, length) => sum + length, 0) };
}

function joined(parts: readonly ArrayLike<number>[], { outer, total, lengths }: Parts, out: Numbers): Numbers {
  let offset = 0;
  parts.forEach((part, p) => {
    const length = lengths[p]!;
    copyRuns(part as Numbers, out, { count: outer, length, starts: [0, offset], steps: [length, total] });
    offset += length;
  });
  return out;
}

function taken(whole: Numbers, { outer, total, lengths }: Parts, outs: readonly (Numbers | undefined)[]): void {
  let offset = 0;
  outs.forEach((out, p) => {
    const length = lengths[p]!;
    if (out) copyRuns(whole, out, { count: outer, length, starts: [offset, 0], steps: [total, length] });
    offset += length;
  });
}

const concat: Operator = {
  name: "Concat",
  layout: "either",
  derivative: "yes",
  infer(question) {
    const shapes = question.inputs.map((_, i) => inputOf(question, i).shape);
    const { kind, shape } = inputOf(question, 0);
    const axis = axisIn(question, numberOf(question, "axis", 0), shape.length);
    for (const other of shapes) {
      const fits = other.length === shape.length && other.every((extent, i) => i === axis || extent === shape[i]);
      if (!fits) refuse(question, `shapes ${shapes.map(showShape).join(" and ")}`, `shapes alike but for axis ${axis}`);
    }
    const length = shapes.reduce((sum, other) => sum + other[axis]!, 0);
    return [{ kind, shape: shape.map((extent, i) => (i === axis ? length : extent)) }];
  },
  apply(call): Applied {
    const inputs = call.inputs.map((input) => input!);
    const rank = inputs[0]!.shape.length;
    const axis = storedAxis(call, axisIn(call, numberOf(call, "axis", 0), rank));
    const parts = partsOf(
      inputs.map(({ shape }) => shape),
      axis,
    );
    const size = parts.outer * parts.total;
    const isReal = inputs[0]!.kind === "real";
    const fresh = (length: number): Numbers =>
      isReal ? call.pool.take(length) : numbersOf(inputs[0]!.kind, length, "f64");
    return {
      outputs: [
        joined(
          inputs.map(({ data }) => data),
          parts,
          fresh(size),
        ),
      ],
      backward([delta]) {
        const outs = inputs.map(({ data }, i) => (call.active[i] ? call.pool.take(data.length) : undefined));
        taken(delta!, parts, outs);
        call.pool.give(delta!);
        return outs;
      },
      tangent(tangents) {
        if (tangents.every((t) => t === undefined)) return [undefined];
        const zeros = tangents.map((t, i) => t ?? new Float32Array(inputs[i]!.data.length));
        return [joined(zeros, parts, call.pool.take(size)) as Vec];
      },
    };
  },
  flops: () => 0,
};

const split: Operator = {
  name: "Split",
  layout: "first",
  derivative: "yes",
  infer(question) {
    const { shape, kind } = inputOf(question, 0);
    const axis = axisIn(question, numberOf(question, "axis", 0), shape.length);
    const count = question.node.outputs.length;
    const extent = shape[axis]!;
    const even = Math.ceil(extent / count);
    const sizes =
      listOrInput(question, "split", 1) ??
      Array.from({ length: count }, (_, i) => Math.max(0, Math.min(even, extent - i * even)));
    if (sizes.length !== count || sizes.reduce((sum, size) => sum + size, 0) !== extent) {
      refuse(question, `parts ${showShape(sizes)} of ${extent}`, `${count} parts that make it up`);
    }
    return sizes.map((size) => ({ kind, shape: shape.map((other, i) => (i === axis ? size : other)) }));
  },
  apply(call): Applied {
    const input = call.inputs[0]!;
    const axis = axisIn(call, numberOf(call, "axis", 0), input.shape.length);
    const parts = partsOf(
      call.types.map(({ shape }) => shape),
      axis,
    );
    const isReal = input.kind === "real";
    const outs = call.types.map(({ shape, kind }) =>
      isReal ? call.pool.take(sizeOf(shape)) : numbersOf(kind, sizeOf(shape), "f64"),
    );
    taken(input.data, parts, outs);
    return {
      outputs: outs,
      backward(deltas) {
        const zeros = deltas.map((delta, i) => delta ?? new Float32Array(sizeOf(call.types[i]!.shape)));
        const out = joined(zeros, parts, call.pool.take(input.data.length)) as Vec;
        for (const delta of deltas) if (delta) call.pool.give(delta);
        return [out];
      },
      tangent([t]) {
        if (!t) return call.types.map(() => undefined);
        const changes = call.types.map(({ shape }) => call.pool.take(sizeOf(shape)));
        taken(t, parts, changes);
        return changes;
      },
    };
  },
  flops: () => 0,
};

/** Concat and Split. */
export const joiningOperators: readonly Operator[] = [concat, split];
