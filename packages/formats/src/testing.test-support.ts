/** What several tests of this package share. */
import { isPruneError } from "@secateur/core";
import fc from "fast-check";
import { elementsFrom, TENSOR_DTYPES, type TensorDtype } from "./dtype.ts";
import { elementCount, type NamedTensor } from "./tensor.ts";

/** The code of the PruneError that a call throws; fails the test on any other error and on none. */
export function codeThrownBy(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (isPruneError(error)) return error.code;
    throw new Error("threw something else than a PruneError", { cause: error });
  }
  throw new Error("threw nothing");
}

/** The largest single typed array, in bytes, that a call makes with `new` from a length, array or iterable. */
export function largestAllocation(call: () => unknown): number {
  const scope = globalThis as unknown as Record<string, unknown>;
  const names = ["ArrayBuffer", "Uint8Array", "Uint16Array", "Uint32Array", "Float32Array", "Float64Array"];
  const originals = names.map((name) => scope[name]);
  let largest = 0;
  names.forEach((name, i) => {
    scope[name] = new Proxy(originals[i] as new (...args: unknown[]) => { byteLength: number }, {
      construct(target, args, newTarget) {
        const made = Reflect.construct(target, args, newTarget === scope[name] ? target : newTarget) as {
          byteLength: number;
        };
        const isView = args[0] instanceof (originals[0] as new () => object);
        if (!isView) largest = Math.max(largest, made.byteLength);
        return made;
      },
    });
  });
  try {
    call();
  } finally {
    names.forEach((name, i) => {
      scope[name] = originals[i];
    });
  }
  return largest;
}

/** Any tensor of up to a few dozen elements, with any bits: NaN payloads and infinities included. */
export function anyTensor(): fc.Arbitrary<NamedTensor> {
  return fc
    .record({
      name: fc.string({ unit: "grapheme", minLength: 1 }).filter((name) => name !== "__metadata__"),
      dtype: fc.constantFrom<TensorDtype>(...TENSOR_DTYPES),
      shape: fc.array(fc.nat({ max: 4 }), { maxLength: 3 }),
      seed: fc.uint8Array({ minLength: 1, maxLength: 16 }),
    })
    .map(({ name, dtype, shape, seed }) => {
      const width = elementsFrom(dtype, new Uint8Array(8), true).BYTES_PER_ELEMENT;
      const bytes = new Uint8Array((elementCount(shape) ?? 0) * width);
      for (let i = 0; i < bytes.length; i++) bytes[i] = seed[i % seed.length]! + 31 * i;
      return { name, dtype, shape, data: elementsFrom(dtype, bytes, true) } as NamedTensor;
    });
}

/** The bits of a tensor, so that NaN compares equal to the same NaN and 0 differs from -0. */
export function bitsOf({ data }: Pick<NamedTensor, "data">): number[] {
  return [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
}
