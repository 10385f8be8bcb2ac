/** The few assertions the suites need, so that they run under any test runner. Messages say what was found and expected. */
import { isPruneError, type PruneError, type TypedArray } from "@secateur/core";

/** Any array of numbers that is compared by its bytes. */
export type Numbers = TypedArray;

/** @throws Error with the message unless the condition holds */
export function ensure(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new Error(message());
}

/** Whether two arrays hold the same bytes: NaN equals itself, -0 differs from 0, f32 differs from f64. */
function sameBytes(a: Numbers, b: Numbers): boolean {
  if (a.byteLength !== b.byteLength || a.constructor !== b.constructor) return false;
  const left = new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
  const right = new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  return true;
}

/** @throws Error naming the first difference unless both hold the same bytes */
export function ensureSameBytes(found: Numbers, expected: Numbers, what: string): void {
  if (sameBytes(found, expected)) return;
  if (found.length !== expected.length || found.constructor !== expected.constructor) {
    throw new Error(
      `${what}: found ${found.constructor.name} of ${found.length}, expected ${expected.constructor.name} of ${expected.length}`,
    );
  }
  const i = [...found].findIndex((value, at) => !Object.is(value, expected[at]));
  throw new Error(`${what}: at index ${i} found ${found[i]}, expected ${expected[i]}`);
}

/** @throws Error naming the worst entry unless all agree within `tolerance` times `scale` (default: the largest expected) */
export function ensureClose(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  spec: { what: string; tolerance: number; scale?: number },
): void {
  const { what, tolerance } = spec;
  ensure(found.length === expected.length, () => `${what}: found ${found.length} numbers, expected ${expected.length}`);
  let scale = spec.scale ?? 0;
  if (spec.scale === undefined)
    for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]!));
  for (let i = 0; i < found.length; i++) {
    const isClose = Math.abs(found[i]! - expected[i]!) <= tolerance * scale;
    ensure(
      isClose,
      () => `${what}: at index ${i} found ${found[i]}, expected ${expected[i]} within ${tolerance * scale}`,
    );
  }
}

/** @throws Error naming the first number that is NaN or infinite */
export function ensureFinite(values: ArrayLike<number>, what: string): void {
  for (let i = 0; i < values.length; i++) {
    ensure(Number.isFinite(values[i]!), () => `${what}: ${values[i]} at index ${i}, expected finite numbers`);
  }
}

/**
 * The error a call ends with, which must be a PruneError with one of the codes.
 *
 * @throws Error when the call succeeds, or fails in any other way
 */
export async function errorOf(call: () => unknown, codes: readonly string[], what: string): Promise<PruneError> {
  const expected = `expected a PruneError ${codes.join(" or ")}`;
  let failure: unknown;
  try {
    await call();
  } catch (error) {
    ensure(
      isPruneError(error) && codes.includes(error.code),
      () => `${what}: ended with ${describe(error)}, ${expected}`,
    );
    failure = error;
  }
  ensure(isPruneError(failure), () => `${what}: succeeded, ${expected}`);
  return failure;
}

/** An error in one line, its code first. */
export function describe(error: unknown): string {
  if (isPruneError(error)) return `${error.code} (${error.message})`;
  return error instanceof Error ? `${error.name} (${error.message})` : String(error);
}

/** Copies of arrays that must not change, and the check that they have not. */
export function watch(arrays: Readonly<Record<string, Numbers | undefined>>): (what: string) => void {
  const copies = Object.entries(arrays).flatMap(([name, array]) =>
    array === undefined ? [] : [{ name, array, copy: array.slice() as Numbers }],
  );
  return (what) => {
    for (const { name, array, copy } of copies) ensureSameBytes(array, copy, `${what} changed its input '${name}'`);
  };
}
