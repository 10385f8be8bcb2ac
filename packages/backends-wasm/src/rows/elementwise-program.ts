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
  type Vec,
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

/** AT_LEAST and AT_MOST in the assembly. */
const [atLeast, atMost] = [17, 18];

/** A program as the assembly reads it, but for addresses of arrays. */
interface Compiled {
  readonly shape: readonly number[];
  readonly inputs: readonly (
    | number
    | { readonly strides: readonly number[]; readonly length: number; readonly offset: number }
  )[];
  readonly length: number;
  readonly words: Uint32Array;
  /** Where addresses go. */
  readonly places: readonly number[];
  readonly costNs: number;
  /** The call whose operands, all in place, the words have addresses of now. */
  last: LastCall | undefined;
}

interface LastCall {
  readonly spec: ElementwiseSpec;
  readonly arrays: readonly Vec[];
  readonly out: Vec;
  /** Where `out` lies. */
  readonly target: number;
}

/** Whether it is that call, with the same arrays. */
function isLast({ spec, arrays, out }: LastCall, given: ElementwiseSpec): boolean {
  if (spec !== given || out !== given.out) return false;
  let a = 0;
  for (const input of given.inputs) if (typeof input !== "number" && input.data !== arrays[a++]) return false;
  return true;
}

/** Programs by their steps: those of a graph come again and again, with the same shapes and strides. Each backend has its own, which go with it. */
const compiledPrograms = new WeakMap<Engine, WeakMap<ElementwiseSpec["steps"], Compiled>>();

function programsOf(engine: Engine): WeakMap<ElementwiseSpec["steps"], Compiled> {
  const known = compiledPrograms.get(engine) ?? new WeakMap<ElementwiseSpec["steps"], Compiled>();
  compiledPrograms.set(engine, known);
  return known;
}

/** out = a program. */
export function elementwise(engine: Engine, spec: ElementwiseSpec): void {
  const { out, steps } = spec;
  const programs = programsOf(engine);
  let compiled = programs.get(steps);
  if (compiled?.last && isLast(compiled.last, spec)) {
    start(engine, compiled, compiled.last.target);
    return;
  }
  if (!compiled || !isFor(compiled, spec)) {
    checkElementwiseProgram(spec);
    compiled = compile(spec);
    if (compiled) programs.set(steps, compiled);
  }
  if (out.length === 0) return;
  if (out.BYTES_PER_ELEMENT === 8 || !compiled || !run(engine, spec, compiled)) referenceElementwise(spec);
}

/** Whether a program that was checked is this one, with arrays that are as long. */
function isFor({ shape, inputs, length }: Compiled, spec: ElementwiseSpec): boolean {
  const { out } = spec;
  if (shape !== spec.shape || inputs.length !== spec.inputs.length || length !== out.length) return false;
  for (let k = 0; k < inputs.length; k++) {
    const [own, input] = [inputs[k]!, spec.inputs[k]!];
    if (typeof own === "number" || typeof input === "number") {
      if (!Object.is(own, input)) return false;
      continue;
    }
    const { data, offset = 0, strides } = input;
    const isSameSize = own.length === data.length && data.BYTES_PER_ELEMENT === out.BYTES_PER_ELEMENT;
    if (own.strides !== strides || !isSameSize || own.offset !== offset) return false;
  }
  return true;
}

/** Undefined where a program is larger than the assembly takes. */
function compile(spec: ElementwiseSpec): Compiled | undefined {
  const { shape, inputs, steps, out } = spec;
  const { extents, strides } = mergeAxes(spec);
  if (inputs.length + steps.length > MOST_VALUES || extents.length > MOST_AXES) return undefined;
  const words: number[] = [inputs.length, steps.length, extents.length];
  for (let axis = 0; axis < MOST_AXES; axis++) words.push(extents[axis] ?? 1);
  const places: number[] = [];
  inputs.forEach((input, k) => {
    const isNumber = typeof input === "number";
    const kind = isNumber ? 0 : isWhole(extents, strides[k]!) ? 1 : 2;
    if (!isNumber) places.push(words.length + 1);
    const own = isNumber ? [bitsOf(input)] : [0, ...strides[k]!];
    words.push(kind, ...own, ...new Array<number>(7 - own.length).fill(0));
  });
  const paired = inPairs(spec);
  words[1] = paired.length;
  for (const step of paired) words.push(...step);
  return {
    shape,
    length: out.length,
    inputs: inputs.map((input) =>
      typeof input === "number"
        ? input
        : { strides: input.strides, length: input.data.length, offset: input.offset ?? 0 },
    ),
    // Strides may be below zero: as words they are what they are as whole numbers of 32 bits.
    words: Uint32Array.from(words, (word) => word >>> 0),
    places,
    costNs: costOf(inputs, steps) * out.length,
    last: undefined,
  };
}

/** Numbers of two functions that follow each other, where nothing else reads the first, as CLIP and SCALE_ADD in assembly/program.ts. */
const pairs: Readonly<Partial<Record<string, number>>> = {
  [`${atLeast} ${atMost}`]: 15,
  [`${functions.multiply[0]} ${functions.add[0]}`]: 16,
};

/** Those of an array and a number, which have no form for NaN. */
const bounds: Readonly<Partial<Record<ElementwiseFunction, number>>> = { max: atLeast, min: atMost };

/** A step as the assembly has it: number of the function, then its values; of an array and a number the array comes first. */
function numbered(
  [name, a, b, ...rest]: ElementwiseSpec["steps"][number],
  inputs: ElementwiseSpec["inputs"],
): readonly number[] {
  const isNumber = (value: number | undefined): boolean => {
    const input = value === undefined ? undefined : inputs[value];
    return typeof input === "number" && !Number.isNaN(input);
  };
  const bound = bounds[name];
  if (bound === undefined || isNumber(a) === isNumber(b))
    return [functions[name][0], a!, ...(b === undefined ? [] : [b, ...rest])];
  return isNumber(b) ? [bound, a!, b!] : [bound, b!, a!];
}

/** Steps as the assembly has them: number of the function, three values. */
function inPairs({ steps, inputs }: ElementwiseSpec): readonly (readonly number[])[] {
  const uses = new Map<number, number>();
  for (const [, ...values] of steps) for (const value of values) uses.set(value, (uses.get(value) ?? 0) + 1);
  /** New numbers of values, once a pair is one step. */
  const places = new Map<number, number>();
  const placeOf = (value: number): number => places.get(value) ?? value;
  const all = steps.map((step) => numbered(step, inputs));
  const out: (readonly number[])[] = [];
  for (let s = 0; s < all.length; s++) {
    const [f, ...values] = all[s]!;
    const [next, ...others]: readonly number[] = all[s + 1] ?? [];
    const own = inputs.length + s;
    const pair = uses.get(own) === 1 && others.includes(own) ? pairs[`${f} ${next}`] : undefined;
    const last = pair === undefined ? [] : others.filter((value) => value !== own);
    const [a, b = 0, c = 0] = [...values, ...last].map(placeOf);
    out.push([pair ?? f!, a!, b, c]);
    if (pair !== undefined) s++;
    places.set(inputs.length + s, inputs.length + out.length - 1);
  }
  return out;
}

const oneFloat = new Float32Array(1);
const itsBits = new Uint32Array(oneFloat.buffer);

function bitsOf(x: number): number {
  oneFloat[0] = x;
  return itsBits[0]!;
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

function run(engine: Engine, spec: ElementwiseSpec, compiled: Compiled): boolean {
  const { inputs, out } = spec;
  const { words, places } = compiled;
  const arrays = inputs.filter((input) => typeof input !== "number");
  const place = (addresses: readonly (number | undefined)[]): void => {
    for (let i = 0; i < places.length; i++) words[places[i]!] = addresses[i]! + 4 * (arrays[i]!.offset ?? 0);
  };
  compiled.last = undefined;
  const own = arrays.map(({ data }) => engine.memory.addressOf(data));
  const target = engine.memory.addressOf(out);
  if (target !== undefined && !own.includes(undefined)) {
    place(own);
    compiled.last = { spec, arrays: arrays.map(({ data }) => data), out, target };
    start(engine, compiled, target);
    return true;
  }
  const operands = arrays.map(({ data }) => ({ vector: data, use: "in" as const }));
  return withResidents(engine, { operands: [...operands, { vector: out, use: "out" }], workspace: 0 }, (addresses) => {
    place(addresses);
    start(engine, compiled, addresses[arrays.length]!);
  });
}

function start(engine: Engine, { words, length, costNs }: Compiled, target: number): void {
  const program = engine.slabs.sums.address;
  engine.memory.u32.set(words, program / 4);
  engine.run("elementwise32", Math.ceil(length / BLOCK), costNs, program, target, length);
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
