/** Weights in the order in which kernels read them: made for a call, or kept for the next one. */
import type { ConvolveSpec, Vec } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { withResidents } from "../memory/residents.ts";

/** Weights, and how they are arranged. */
export interface Arrangement {
  readonly weights: Vec;
  readonly reuse?: boolean | undefined;
  /** Tells this arrangement from others of the same weights. */
  readonly key: string;
  /** Numbers that it has. */
  readonly length: number;
  /** Writes it. Returns false when the memory has no room. */
  make(address: number): boolean;
}

/** Runs `work` on arranged weights. Returns false when the memory has no room, or `work` has none. */
export function withArranged(engine: Engine, arrangement: Arrangement, work: (address: number) => boolean): boolean {
  const { weights, reuse, length } = arrangement;
  const kept = reuse ? engine.kept.addressOf(weights, arrangement) : undefined;
  if (kept !== undefined) return work(kept);
  const address = engine.memory.tryReserve(Math.max(16, length * weights.BYTES_PER_ELEMENT));
  if (address === undefined) return false;
  try {
    return arrangement.make(address) && work(address);
  } finally {
    engine.memory.release(address);
  }
}

/** A call of a kernel on operands in place, with weights that are kept. */
export interface KeptCall {
  readonly engine: Engine;
  readonly images: Vec;
  readonly out: Vec;
  readonly arrangement: Arrangement;
  readonly kernel: string;
  readonly units: number;
  readonly costNs: number;
  /** Arguments; those from `taps` on are the addresses of arranged weights, scale and bias. */
  readonly values: number[];
  readonly taps: number;
}

/** What follows from a call whose object comes again. */
const keptCalls = new WeakMap<ConvolveSpec, KeptCall>();

/** Makes the call of a spec again, which was checked before. Returns false where it is not known or its weights have no room. */
export function runAgain(engine: Engine, spec: ConvolveSpec): boolean {
  const call = keptCalls.get(spec);
  if (call?.engine !== engine || call.images !== spec.images || call.out !== spec.out) return false;
  if (call.arrangement.weights !== spec.weights) return false;
  return runKept(call, spec);
}

/** Makes a call, and keeps it for when its spec comes again. Returns false where its operands are not in place or its weights are not kept. */
export function runAndKeep(call: KeptCall, spec: ConvolveSpec): boolean {
  if (!spec.reuse || !runKept(call, spec)) return false;
  keptCalls.set(spec, call);
  return true;
}

function runKept(call: KeptCall, spec: ConvolveSpec): boolean {
  const { engine, arrangement, kernel, units, costNs, values, taps } = call;
  const address = engine.kept.addressOf(spec.weights, arrangement);
  if (address === undefined) return false;
  values[taps] = address;
  [values[taps + 1], values[taps + 2]] = placeFactors(engine, spec);
  engine.run(kernel, units, costNs, ...values);
  return true;
}

/** Writes each of `count` matrices [rows, cols] transposed. Returns false when the memory has no room. */
export function transposeTo(
  engine: Engine,
  { weights, count, rows, cols }: { weights: Vec; count: number; rows: number; cols: number },
  address: number,
): boolean {
  return withResidents(engine, { operands: [{ vector: weights, use: "in" }], workspace: 0 }, ([from]) => {
    const kernel = `transposeBlocks${weights.BYTES_PER_ELEMENT * 8}`;
    engine.run(kernel, count, weights.length * 0.6, from!, rows, cols, address);
  });
}

/** Addresses of the scale and the bias of a convolution, 0 where there is none: in place, or copied to a slab that nothing else may use meanwhile. */
export function placeFactors(
  engine: Engine,
  { scale, bias }: Pick<ConvolveSpec, "scale" | "bias">,
): readonly [scale: number, bias: number] {
  const { memory, slabs } = engine;
  const place = (vector: Vec | undefined, offset: number): number => {
    if (!vector) return 0;
    const own = memory.addressOf(vector);
    if (own !== undefined) return own;
    const address = slabs.b.address + offset;
    memory.viewLike(vector).set(vector, address / vector.BYTES_PER_ELEMENT);
    return address;
  };
  return [place(scale, 0), place(bias, slabs.b.bytes / 2)];
}

/** Whether there is room for them. */
export function fitFactors({ slabs }: Engine, { scale, bias }: Pick<ConvolveSpec, "scale" | "bias">): boolean {
  return Math.max(scale?.byteLength ?? 0, bias?.byteLength ?? 0) <= slabs.b.bytes / 2;
}
