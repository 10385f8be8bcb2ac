import { dtypeOf, type Vec, zeros } from "../problem/matrix.ts";

/** values[support], in the dtype of the values. */
export function pick<V extends Vec>(values: V, support: Uint32Array): V;
export function pick(values: Vec, support: Uint32Array): Vec {
  const out = zeros(support.length, dtypeOf(values));
  for (let s = 0; s < support.length; s++) out[s] = values[support[s]!]!;
  return out;
}
