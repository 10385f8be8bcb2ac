/** Elementwise programs and softmax (assembly/program.ts); numbers in f64 are left to the reference. */
import {
  checkElementwiseProgram,
  checkSoftmax,
  type ElementwiseFunction,
  type ElementwiseInput,
  type ElementwiseSpec,
  referenceElementwise,
  referenceSoftmax,
  type SoftmaxSpec,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import { withResidents } from "../memory/residents.ts";

/** Numbers of a unit, as in the assembly. */
const BLOCK = 512;
/** Values whose blocks fit in scratch beside their addresses (64 words). */
const MOST_VALUES = 64;
const MOST_AXES = 6;
/** What one thread takes for a number: to read it, and for one step. */
const READ_NS = 0.2;
const STEP_NS = 0.3;

/** Numbers of the functions in the assembly, and what they cost beside a sum. */
const functions: Readonly<Record<ElementwiseFunction, readonly [number: number, cost: number]>> = {
  ...{ add: [0, 1], subtract: [1, 1], multiply: [2, 1], divide: [3, 3], max: [4, 1], min: [5, 1], prelu: [6, 2] },
  ...{ select: [7, 2], negate: [8, 1], abs: [9, 1], sqrt: [10, 3], exp: [11, 8], sigmoid: [12, 10], tanh: [13, 12] },
  ...{ erf: [14, 14] },
};

/** out = a program. */
export function elementwise(engine: Engine, spec: ElementwiseSpec): void {
  checkElementwiseProgram(spec);
  const { out, steps, inputs } = spec;
  if (out.length === 0) return;
  const merged = mergeAxes(spec);
  const fits = inputs.length + steps.length <= MOST_VALUES && merged.extents.length <= MOST_AXES;
  if (out.BYTES_PER_ELEMENT === 8 || !fits || !run(engine, spec, merged)) referenceElementwise(spec);
}

/** Axes as few as they can be: neighbours that all inputs walk as one are one. */
interface Merged {
  readonly extents: readonly number[];
  /** By input; empty for a number. */
  readonly strides: readonly (readonly number[])[];
}

function mergeAxes({ shape, inputs }: ElementwiseSpec): Merged {
  const extents: number[] = [];
  const strides = inputs.map((): number[] => []);
  const own = inputs.map((input) => (typeof input === "number" ? undefined : input.strides));
  shape.forEach((extent, axis) => {
    if (extent === 1) return;
    const last = extents.length - 1;
    const isOne = last >= 0 && own.every((of, k) => !of || strides[k]![last] === of[axis]! * extent);
    if (isOne) extents[last]! *= extent;
    else extents.push(extent);
    own.forEach((of, k) => {
      if (of) strides[k]![isOne ? last : last + 1] = of[axis]!;
    });
  });
  if (extents.length > 0) return { extents, strides };
  return { extents: [1], strides: strides.map(() => [1]) };
}

function run(engine: Engine, { inputs, steps, out }: ElementwiseSpec, { extents, strides }: Merged): boolean {
  const arrays = inputs.flatMap((input) => (typeof input === "number" ? [] : [input.data]));
  const operands = arrays.map((vector) => ({ vector, use: "in" as const }));
  return withResidents(engine, { operands: [...operands, { vector: out, use: "out" }], workspace: 0 }, (addresses) => {
    const program = engine.slabs.sums.address;
    const { u32, f32 } = engine.memory;
    let at = program / 4;
    u32[at++] = inputs.length;
    u32[at++] = steps.length;
    u32[at++] = extents.length;
    for (let axis = 0; axis < MOST_AXES; axis++) u32[at++] = extents[axis] ?? 1;
    let array = 0;
    inputs.forEach((input, k) => {
      if (typeof input === "number") {
        u32[at] = 0;
        f32[at + 1] = input;
      } else {
        u32[at] = isWhole(extents, strides[k]!) ? 1 : 2;
        u32[at + 1] = addresses[array++]! + 4 * (input.offset ?? 0);
        for (let axis = 0; axis < extents.length; axis++) u32[at + 2 + axis] = strides[k]![axis]!;
      }
      at += 8;
    });
    for (const [name, a, b = 0, c = 0] of steps) {
      u32[at++] = functions[name][0];
      for (const value of [a!, b, c]) u32[at++] = value;
    }
    engine.run(
      "elementwise32",
      Math.ceil(out.length / BLOCK),
      costOf(inputs, steps) * out.length,
      program,
      addresses[array]!,
      out.length,
    );
  });
}

/** Whether an input is read in the order in which it lies. */
function isWhole(extents: readonly number[], strides: readonly number[]): boolean {
  let wanted = 1;
  for (let axis = extents.length - 1; axis >= 0; axis--) {
    if (strides[axis] !== wanted) return false;
    wanted *= extents[axis]!;
  }
  return true;
}

function costOf(inputs: readonly ElementwiseInput[], steps: ElementwiseSpec["steps"]): number {
  const stepsNs = steps.reduce((sum, [name]) => sum + functions[name][1] * STEP_NS, 0);
  return inputs.length * READ_NS + stepsNs;
}

/** out = the softmax of each row, or its logarithm. */
export function softmax(engine: Engine, spec: SoftmaxSpec): void {
  checkSoftmax(spec);
  const { a, out, isLogarithm } = spec;
  if (a.data.length === 0) return;
  const operands = [
    { vector: a.data, use: "in" },
    { vector: out.data, use: "out" },
  ] as const;
  const isDone =
    a.data.BYTES_PER_ELEMENT === 4 &&
    withResidents(engine, { operands, workspace: 0 }, ([from, to]) => {
      engine.run("softmax32", a.rows, a.data.length * 3, from!, to!, a.cols, Number(isLogarithm));
    });
  if (!isDone) referenceSoftmax(spec);
}
