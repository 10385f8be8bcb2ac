/** Training of a model whose channels are pruned in groups: masks of groups are masks of what they are made of. */
import type { Mask, ParamInfo, Retrainer, RetrainRequest } from "@secateur/core";
import type { GroupOffsets } from "./coupled-offsets.ts";
import { type ChannelSet, placesOf } from "./coupled-places.ts";

/** The sets of a model, and the model's own parameters. */
export interface CoupledSets {
  readonly sets: readonly ChannelSet[];
  readonly infos: ReadonlyMap<string, ParamInfo>;
}

/**
 * Masks of the members from masks of sets [groups * weights of a group], and of the offsets that are trained: 0 where all weights of a group are
 * pruned. Weights and offsets in no group are kept.
 *
 * @param sizes - entries of every tensor that is trained, by name
 */
export function memberMasks(
  { sets, infos }: CoupledSets,
  masks: ReadonlyMap<string, Mask>,
  sizes: ReadonlyMap<string, number>,
): ReadonlyMap<string, Mask> {
  const out = new Map<string, Mask>();
  const maskOf = (name: string): Mask => {
    const mask = out.get(name) ?? new Uint8Array(sizes.get(name)!).fill(1);
    out.set(name, mask);
    return mask;
  };
  for (const set of sets) {
    const mask = masks.get(set.name);
    if (!mask) continue;
    for (const [param, { from, to }] of placesOf([set], infos)) {
      const own = maskOf(param);
      from.forEach((place, i) => {
        own[to[i]!] = mask[place]!;
      });
    }
    const each = mask.length / set.count;
    for (const { name, places } of set.offsets) {
      if (!sizes.has(name)) continue;
      const own = maskOf(name);
      places.forEach((list, g) => {
        const isKept = mask.subarray(g * each, (g + 1) * each).includes(1);
        for (const place of list) own[place] = isKept ? 1 : 0;
      });
    }
  }
  return out;
}

/** The retrainer of the members as one of the sets. */
export function coupledRetrainer(inner: Retrainer, coupled: CoupledSets, offsets: GroupOffsets): Retrainer {
  const sizes = new Map(inner.capture().map(({ name, data }) => [name, data.length]));
  return {
    stepsPerEpoch: inner.stepsPerEpoch,
    examples: inner.examples,
    settings: inner.settings,
    capture: () => inner.capture(),
    async restore(tensors) {
      await inner.restore(tensors);
      await offsets.renew(sizes);
    },
    async retrain(request: RetrainRequest, ctx) {
      const masks = memberMasks(coupled, request.masks, sizes);
      const done = await inner.retrain({ ...request, masks }, ctx);
      await offsets.renew(sizes);
      return done;
    },
  };
}
