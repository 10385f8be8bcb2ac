/** Whole operands at addresses: in place, or as copies in memory of the heap for as long as a call lasts. */
import type { Vec } from "@secateur/core";
import type { Engine } from "../engine.ts";

/** An operand: "in" is read, "out" overwritten, "both" read and written. */
export interface Operand {
  readonly vector: Vec;
  readonly use: "in" | "out" | "both";
}

/**
 * Runs `work` on the addresses of the operands and of `workspace` bytes (the last address). Returns false, and does nothing, when the
 * memory has no room for what lies outside it.
 */
export function withResidents(
  engine: Engine,
  { operands, workspace }: { operands: readonly Operand[]; workspace: number },
  work: (addresses: readonly number[]) => void,
): boolean {
  const { memory } = engine;
  const own: (number | undefined)[] = [];
  let areIn = workspace === 0;
  for (const { vector } of operands) {
    const address = memory.addressOf(vector);
    own.push(address);
    areIn &&= address !== undefined;
  }
  // Nothing to copy and nothing to reserve: most calls of inference.
  if (areIn) {
    own.push(0);
    work(own as number[]);
    return true;
  }
  const reserved: number[] = [];
  const reserve = (bytes: number): number | undefined => {
    const address = memory.tryReserve(Math.max(16, bytes));
    if (address !== undefined) reserved.push(address);
    return address;
  };
  try {
    const addresses: number[] = [];
    for (const [i, { vector, use }] of operands.entries()) {
      const address = own[i] ?? reserve(vector.byteLength);
      if (address === undefined) return false;
      addresses.push(address);
      if (use !== "out" && own[i] === undefined) {
        memory.viewLike(vector).set(vector, address / vector.BYTES_PER_ELEMENT);
      }
    }
    const space = reserve(workspace);
    if (space === undefined) return false;
    work([...addresses, space]);
    operands.forEach(({ vector, use }, i) => {
      if (use === "in" || own[i] !== undefined) return;
      const start = addresses[i]! / vector.BYTES_PER_ELEMENT;
      vector.set(memory.viewLike(vector).subarray(start, start + vector.length));
    });
    return true;
  } finally {
    for (const address of reserved) memory.release(address);
  }
}
