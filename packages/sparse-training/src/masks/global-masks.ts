/** Masks over one list of all layers: the k highest scores of the network. */
import type { Kernels, Mask, Mat, ParamInfo } from "@secateur/core";
import { sizeOf } from "./prunable.ts";

/**
 * Masks by parameter that keep the `keep` weights of largest magnitude among those that are kept so far, exactly, where there are as many; ties to the
 * lower index. One selection over all weights, O(size).
 *
 * @param spec.masks - what is kept so far; a parameter without a mask is dense. Default: everything
 */
export function largestOverall(spec: {
  params: readonly ParamInfo[];
  weights: ReadonlyMap<string, Mat>;
  masks?: ReadonlyMap<string, Mask>;
  keep: number;
  kernels: Kernels;
}): ReadonlyMap<string, Mask> {
  const { params, weights, masks, keep, kernels } = spec;
  const scores = new Float64Array(sizeOf(params));
  let start = 0;
  for (const { name } of params) {
    const { data } = weights.get(name)!;
    const mask = masks?.get(name);
    for (let i = 0; i < data.length; i++) {
      scores[start + i] = mask?.[i] === 0 ? Number.NEGATIVE_INFINITY : Math.abs(data[i]!);
    }
    start += data.length;
  }
  const keeps = new Uint8Array(scores.length);
  for (const place of kernels.largest(scores, keep)) {
    if (scores[place] !== Number.NEGATIVE_INFINITY) keeps[place] = 1;
  }
  let from = 0;
  return new Map(
    params.map(({ name, rows, cols }) => {
      const to = from + rows * cols;
      const mask = keeps.slice(from, to);
      from = to;
      return [name, mask] as const;
    }),
  );
}
