/** One pass over whole vectors: axpy, multiply, relu and its backward pass, a step of gradient descent. */
import { checkElementwise, type MomentumStepSpec, referenceKernels, type Vec } from "@secateur/core";
import type { Engine, Slab } from "../engine.ts";
import { isResident, placeVector, spaceForVector, storeVector } from "../memory/staging.ts";
import { floorTo, ranges } from "../products/tiles.ts";

/** Entries of one unit of the flat kernels. */
const UNIT = 4096;

/** y += alpha x */
export function axpy(engine: Engine, alpha: number, x: Vec, y: Vec): void {
  checkElementwise("axpy", x, y);
  const { slabs } = engine;
  for (const [from, to] of stretches(engine, [x, y])) {
    const source = placeVector(engine, slabs.a, x, from, to);
    const target = placeVector(engine, slabs.out, y, from, to);
    runFlat(engine, { kernel: "axpy", like: y, count: to - from, values: [alpha, source, target] });
    storeVector(engine, slabs.out, y, from, to);
  }
}

/** out = a .* b */
export function multiply(engine: Engine, a: Vec, b: Vec, out: Vec): void {
  checkElementwise("multiply", a, b, out);
  mapVectors(engine, "multiply", [a, b], out);
}

/** out = max(x, 0) */
export function relu(engine: Engine, x: Vec, out: Vec): void {
  checkElementwise("relu", x, out);
  mapVectors(engine, "relu", [x], out);
}

/** out = activation > 0 ? gradient : 0 */
export function reluBackward(engine: Engine, activation: Vec, gradient: Vec, out: Vec): void {
  checkElementwise("reluBackward", activation, gradient, out);
  mapVectors(engine, "reluBackward", [activation, gradient], out);
}

/** velocity = momentum velocity + (gradient + decay w), w -= rate velocity; vectors elsewhere are left to the reference: copying takes as long. */
export function momentumStep(engine: Engine, spec: MomentumStepSpec): void {
  const { w, velocity, gradient, momentum, decay, rate } = spec;
  const addresses = [w, velocity, gradient].map((vector) => engine.memory.addressOf(vector));
  if (addresses.includes(undefined)) {
    referenceKernels.momentumStep!(spec);
    return;
  }
  checkElementwise("momentumStep", w, velocity, gradient);
  const values = [...(addresses as number[]), w.length, momentum, decay, rate];
  engine.run(`momentumStep${w.BYTES_PER_ELEMENT * 8}`, Math.ceil(w.length / UNIT), w.length * 0.8, ...values);
}

function mapVectors(engine: Engine, kernel: string, inputs: readonly Vec[], out: Vec): void {
  const { slabs } = engine;
  const inputSlabs: readonly Slab[] = [slabs.a, slabs.b];
  for (const [from, to] of stretches(engine, [...inputs, out])) {
    const sources = inputs.map((input, i) => placeVector(engine, inputSlabs[i] as Slab, input, from, to));
    const target = spaceForVector(engine, slabs.out, out, from, to);
    runFlat(engine, { kernel, like: out, count: to - from, values: [...sources, target] });
    storeVector(engine, slabs.out, out, from, to);
  }
}

interface FlatRun {
  readonly kernel: string;
  readonly like: Vec;
  readonly count: number;
  readonly values: readonly number[];
}

function runFlat(engine: Engine, { kernel, like, count, values }: FlatRun): void {
  engine.run(`${kernel}${like.BYTES_PER_ELEMENT * 8}`, Math.ceil(count / UNIT), count * 0.4, ...values, count);
}

// Everything at once in place; otherwise stretches that stay in the caches between copy and use.
function stretches(engine: Engine, vectors: readonly Vec[]): Generator<readonly [number, number]> {
  const first = vectors[0] as Vec;
  if (vectors.every((vector) => isResident(engine, vector))) return ranges(first.length, Math.max(1, first.length));
  const bytes = Math.min(engine.slabs.a.bytes, 128 * 1024 * engine.threads);
  return ranges(first.length, floorTo(bytes / first.BYTES_PER_ELEMENT, UNIT));
}
