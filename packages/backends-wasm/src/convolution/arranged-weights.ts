/** Weights in the order in which kernels read them: made for a call, or kept for the next one. */
import type { ConvolveSpec, Vec } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { type Operand, withResidents } from "../memory/residents.ts";

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

/** The scale and the bias of a convolution, as far as they are given. */
export function factorOperands({ scale, bias }: Pick<ConvolveSpec, "scale" | "bias">): readonly Operand[] {
  return [scale, bias].flatMap((vector) => (vector ? [{ vector, use: "in" as const }] : []));
}

/** Their addresses, 0 where there is none, from those of the operands. */
export function factorAddresses(
  { scale, bias }: Pick<ConvolveSpec, "scale" | "bias">,
  addresses: readonly number[],
): readonly [scale: number, bias: number] {
  const [first = 0, second = 0] = addresses;
  return scale ? [first, bias ? second : 0] : [0, bias ? first : 0];
}
