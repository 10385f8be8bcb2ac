/**
 * What a network costs whose channels are cut out, as data for budgets. A tensor of weights whose axes have extents e_i costs
 *   weight * prod_i e_i + output * e_rows,
 * and e_i is what is left: of a convolution, output channels of its own set and input channels of the sets before it. So half of all channels leave
 * a quarter of the operations. All other operators and vectors count as in the whole network, which is at most too much.
 */
import type { Budget, CostModel, CostProduct, ParamInfo } from "@secateur/core";
import { type CostTable, type DenseCosts, denseCosts, type PackGraph } from "@secateur/runtime/pack";
import type { ChannelExtents } from "./channel-sets.ts";

/**
 * The costs of a network in channels: of operations always, of packed bytes and milliseconds where the graph is given.
 *
 * @param spec.infos - of all parameters, before they became sets
 * @param spec.packed - as packing takes the network; and costs of the machine, default: those of @secateur/runtime
 */
export function channelCosts(spec: {
  readonly extents: ChannelExtents;
  readonly infos: readonly ParamInfo[];
  readonly packed?: { readonly graph: PackGraph; readonly costs?: CostTable };
}): NonNullable<Budget["costs"]> {
  const { extents, infos, packed } = spec;
  const weights = infos.filter(({ name }) => extents.params.has(name));
  const flops: DenseCosts = {
    other: 0,
    params: Object.fromEntries(
      weights.map(({ name, flopsPerWeight }) => [name, { weight: flopsPerWeight, output: 0 }]),
    ),
  };
  const others = packed ? denseCosts(packed.graph, packed.costs ? { costs: packed.costs } : {}) : {};
  return Object.fromEntries(
    Object.entries({ flops, ...others }).map(([kind, costs]) => [kind, modelOf(costs, { extents, infos })]),
  );
}

function modelOf(
  { other, params }: DenseCosts,
  { extents, infos }: { extents: ChannelExtents; infos: readonly ParamInfo[] },
): CostModel {
  const sizes = new Map(infos.map(({ name, rows, cols }) => [name, { rows, cols }]));
  const products = Object.entries(params).flatMap(([name, { weight, output }]): readonly CostProduct[] => {
    const { rows, cols } = sizes.get(name) ?? { rows: 0, cols: 0 };
    const { axes = [], rowAxis = 0 } = extents.params.get(name) ?? {};
    // An axis that loses nothing is a number; taps of a convolution are such axes.
    const left = axes.filter(({ units }) => Object.keys(units).length > 0);
    const whole = left.reduce((size, axis) => size * sizeOf(axis, extents.counts), 1);
    const row = axes[rowAxis];
    const isCut = row !== undefined && left.includes(row);
    return [
      { each: (weight * rows * cols) / whole, factors: left },
      isCut ? { each: output, factors: [row] } : { each: output * rows, factors: [] },
    ].filter(({ each }) => each > 0);
  });
  const free = [{ fixed: 0, each: 0, outputs: 1 }];
  return { other, params: Object.fromEntries([...extents.counts.keys()].map((name) => [name, free])), products };
}

/** The extent of an axis while everything is there. */
function sizeOf({ fixed, units }: CostProduct["factors"][number], counts: ReadonlyMap<string, number>): number {
  return Object.entries(units).reduce((sum, [name, extent]) => sum + extent * counts.get(name)!, fixed);
}
