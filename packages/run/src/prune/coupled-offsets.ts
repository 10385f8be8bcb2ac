/**
 * Offsets of channels in groups (biases, scales of normalisations): 0 where all weights of a group are gone, so that its channel is 0 and not a
 * constant, and what they were where the weights come back. What they were is what the model came with, or what a training made of them.
 */
import type { Mat } from "@secateur/core";
import type { ChannelSet } from "./coupled-places.ts";
import type { PrunableModel } from "./prunable-model.ts";

/** The offsets of a model's groups. */
export interface GroupOffsets {
  /** Writes the offsets of a set, given which of its groups have no weights. */
  follow(set: ChannelSet, isGone: readonly boolean[]): Promise<void>;
  /**
   * Takes over what a training made of those it trains, where their groups have weights. Those of groups that are gone are what the model
   * came with, so that a resumed run remembers the same.
   */
  renew(trained: { has(offset: string): boolean }): Promise<void>;
}

/** Reads the offsets as they are. @param goneOf - which groups of a set have no weights in the model */
export async function groupOffsets(
  model: PrunableModel,
  sets: readonly ChannelSet[],
  goneOf: (set: ChannelSet) => Promise<readonly boolean[]>,
): Promise<GroupOffsets> {
  const dense = new Map<string, Mat>();
  for (const { offsets } of sets) for (const { name } of offsets) dense.set(name, await model.read(name));
  const known = new Map([...dense].map(([name, { data }]) => [name, data.slice()]));
  return {
    async follow({ offsets }, isGone) {
      for (const { name, places } of offsets) {
        const now = await model.read(name);
        places.forEach((own, g) => {
          for (const place of own) now.data[place] = isGone[g] ? 0 : known.get(name)![place]!;
        });
        await model.write(name, now);
      }
    },
    async renew(trained) {
      for (const set of sets) {
        const isGone = await goneOf(set);
        for (const { name, places } of set.offsets) {
          if (!trained.has(name)) continue;
          const { data } = await model.read(name);
          places.forEach((own, g) => {
            for (const place of own) known.get(name)![place] = (isGone[g] ? dense.get(name)!.data : data)[place]!;
          });
        }
      }
    },
  };
}
