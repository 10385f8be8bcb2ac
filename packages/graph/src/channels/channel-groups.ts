/** Groups of channels that can only go together, and what keeps the others. */
import type { GraphTensor } from "../graph-spec.ts";
import type { TracedGraph } from "./trace-channels.ts";

/** Places along an axis of a tensor. */
export interface GroupMember {
  readonly tensor: GraphTensor;
  readonly axis: number;
  /** Ascending. */
  readonly places: Uint32Array;
}

/** A group of channels: all of these places go, or none. */
export interface ChannelGroup {
  /** Its identity. */
  readonly identity: number;
  readonly members: readonly GroupMember[];
}

/** An axis of a tensor, places of which stay for good. */
export interface FrozenAxis {
  readonly tensor: GraphTensor;
  readonly axis: number;
  /** How many of its places. */
  readonly places: number;
  /** The operator or output that keeps them. */
  readonly why: string;
}

/** The groups of a graph, in the order in which its tensors name them, and what is frozen. */
export function channelGroups({ identities, axes, tensors }: TracedGraph): {
  readonly groups: readonly ChannelGroup[];
  readonly frozen: readonly FrozenAxis[];
} {
  const groups = new Map<number, Map<string, { tensor: GraphTensor; axis: number; places: number[] }>>();
  const frozen: FrozenAxis[] = [];
  let t = 0;
  for (const [tensor, slot] of tensors) {
    axes[slot]!.forEach((own, axis) => {
      if (!own) return;
      const reasons = new Map<string, number>();
      own.forEach((identity, place) => {
        const why = identities.fixedBy(identity);
        // Taps of a convolution are no channels.
        if (why) reasons.set(why, (reasons.get(why) ?? 0) + 1);
        for (const cause of identities.causesOf(identity)) {
          const members = groups.get(cause) ?? new Map();
          groups.set(cause, members);
          const key = `${t} ${axis}`;
          const member = members.get(key) ?? { tensor, axis, places: [] };
          members.set(key, member);
          member.places.push(place);
        }
      });
      for (const [why, places] of reasons) frozen.push({ tensor, axis, places, why });
    });
    t++;
  }
  const listed = [...groups].map(
    ([identity, members]): ChannelGroup => ({
      identity,
      members: [...members.values()].map((member) => ({ ...member, places: Uint32Array.from(member.places) })),
    }),
  );
  return { groups: listed, frozen };
}
