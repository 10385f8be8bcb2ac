/** Masks drawn at random, for networks that are sparse from their first step on. */
import { keptCount, type Mask, type ParamInfo, type RunContext, sampleIndices } from "@secateur/core";
import { type Distribution, layerCounts } from "./layer-counts.ts";
import { sizeOf } from "./prunable.ts";
import { noteEmpty } from "./set-masks.ts";

/** Random masks that keep floor((1 - sparsity) p) weights in all, spread over the layers. Says which layers keep none. */
export function randomMasks(spec: {
  rule: string;
  params: readonly ParamInfo[];
  sparsity: number;
  distribution: Distribution;
  ctx: RunContext;
}): ReadonlyMap<string, Mask> {
  const { rule, params, sparsity, distribution, ctx } = spec;
  const counts = layerCounts({ params, keep: keptCount(sizeOf(params), sparsity), distribution });
  const masks = new Map(
    params.map(({ name, rows, cols }, l) => {
      const mask = new Uint8Array(rows * cols);
      for (const place of sampleIndices(mask.length, counts[l]!, ctx.rng.fork(name))) mask[place] = 1;
      return [name, mask];
    }),
  );
  noteEmpty(rule, masks, ctx);
  return masks;
}
