/** Where the weights of channels in groups lie: in the sets, and in the parameters that they are made of. */
import type { ParamInfo } from "@secateur/core";
import type { SetLayout } from "./coupled-curvature.ts";

/** Channels of weights that can only go together, and what they are called as one parameter. */
export interface ChannelSet {
  readonly name: string;
  /** Number of groups. */
  readonly count: number;
  /** Rows of each weight that make a group, ascending; as many for every group. */
  readonly members: readonly { readonly param: string; readonly rows: readonly Uint32Array[] }[];
  /** Places of vectors that go with a group. */
  readonly offsets: readonly { readonly name: string; readonly places: readonly Uint32Array[] }[];
}

/** For each weight of a member: its place in the sets' flat vector, and in the parameter. */
export interface Places {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Places by parameter, of sets that are laid out one after the other. */
export function placesOf(
  sets: readonly ChannelSet[],
  infos: ReadonlyMap<string, ParamInfo>,
): ReadonlyMap<string, Places> {
  const places = new Map<string, { from: number[]; to: number[] }>();
  let at = 0;
  for (const { count, members } of sets) {
    for (let g = 0; g < count; g++) {
      for (const { param, rows } of members) {
        const { cols } = infos.get(param)!;
        const own = places.get(param) ?? { from: [], to: [] };
        places.set(param, own);
        for (const row of rows[g]!) {
          for (let c = 0; c < cols; c++) {
            own.from.push(at++);
            own.to.push(row * cols + c);
          }
        }
      }
    }
  }
  return places;
}

/** With the places of each member's weights. */
export interface Layout extends SetLayout {
  readonly places: ReadonlyMap<string, Places>;
}

/** The layout of sets one after the other among the weights of all their members. */
export function layoutIn(sets: readonly ChannelSet[], infos: ReadonlyMap<string, ParamInfo>): Layout {
  const places = placesOf(sets, infos);
  const own = [...places.values()].reduce((sum, { from }) => sum + from.length, 0);
  const at = new Uint32Array(own);
  let start = 0;
  for (const [param, { from, to }] of places) {
    from.forEach((place, i) => {
      at[place] = start + to[i]!;
    });
    const { rows, cols } = infos.get(param)!;
    start += rows * cols;
  }
  return { params: [...places.keys()], size: start, at, places };
}
