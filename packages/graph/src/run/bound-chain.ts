/** A chain of elementwise steps on vectors that stay where they are. */
import type { ElementwiseInput, Pool, Vec } from "@secateur/core";
import type { Shape, Value } from "../value.ts";
import type { Chain } from "./joined-plan.ts";
import { stretchedStrides } from "./programs.ts";

/** Strides of the arrays of a chain: all runs of a plan have the same shapes. */
const knownStrides = new WeakMap<Chain, readonly (readonly number[])[]>();

/**
 * @param values - of its inputs; truth values become 0 and 1 in vectors of the pool
 * @returns `run`, which computes `out` of the numbers that are there then, and the vectors that were taken for it
 */
export function bindChain(
  chain: Chain,
  values: readonly Value[],
  { pool, shape, out }: { pool: Pool; shape: Shape; out: Vec },
): { readonly taken: readonly Vec[]; run(): void } {
  const { numbers, steps } = chain;
  let strides = knownStrides.get(chain);
  if (!strides) {
    strides = values.map((value) => stretchedStrides(value.shape, shape));
    knownStrides.set(chain, strides);
  }
  const copies: { readonly from: Value; readonly to: Vec }[] = [];
  const inputs = values.map((value, i): ElementwiseInput => {
    if (value.data instanceof Float32Array) return { data: value.data, strides: strides[i]! };
    const to = pool.take(value.data.length);
    copies.push({ from: value, to });
    return { data: to, strides: strides[i]! };
  });
  const call = { shape, inputs: [...inputs, ...numbers], steps, out };
  return {
    taken: copies.map(({ to }) => to),
    run() {
      for (const { from, to } of copies) to.set(from.data);
      pool.kernels.elementwise!(call);
    },
  };
}
