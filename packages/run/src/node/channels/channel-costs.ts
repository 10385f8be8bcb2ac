/**
 * What a network costs whose channels are cut out, as data for budgets. A tensor of weights whose axes have extents e_i costs
 *   weight * prod_i e_i + output * e_rows,
 * and e_i is what is left: of a convolution, output channels of its own set and input channels of the sets before it. So half of all channels leave
 * a quarter of the operations. Kernels that take several outputs at a time take as long for fewer, and widths are rounded up to what a cut leaves. All other operators and vectors count as in
 * the whole network; values of weights have the type that they would have there.
 */
import type { Budget, CostFactor, CostModel, CostProduct, ParamInfo } from "@secateur/core";
import { type CostTable, type DenseCost, type DenseCosts, denseCosts, type PackGraph } from "@secateur/runtime/pack";
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
  /** Widths are left at multiples of this, or whole; default 1. */
  readonly multiple?: number;
  readonly packed?: { readonly graph: PackGraph; readonly costs?: CostTable };
}): NonNullable<Budget["costs"]> {
  const { extents, infos, multiple = 1, packed } = spec;
  const weights = infos.filter(({ name }) => extents.params.has(name));
  const flops: DenseCosts = {
    other: 0,
    params: Object.fromEntries(
      weights.map(({ name, flopsPerWeight, rows, cols }) => {
        return [name, [{ weight: flopsPerWeight, output: 0, size: rows * cols, outputs: rows, block: 1 }]];
      }),
    ),
  };
  const others = packed ? denseCosts(packed.graph, packed.costs ? { costs: packed.costs } : {}) : {};
  return Object.fromEntries(
    Object.entries({ flops, ...others }).map(([kind, costs]) => [kind, modelOf(costs, extents, multiple)]),
  );
}

function modelOf({ other, params }: DenseCosts, extents: ChannelExtents, multiple: number): CostModel {
  const products = Object.entries(params).flatMap(([name, costs]) => {
    return costs.flatMap((cost) => productsOf(cost, extents.params.get(name), { counts: extents.counts, multiple }));
  });
  const free = [{ fixed: 0, each: 0, outputs: 1 }];
  return { other, params: Object.fromEntries([...extents.counts.keys()].map((name) => [name, free])), products };
}

/** The products that a tensor's cost is made of. An axis that loses nothing is a number; taps of a convolution are such axes. */
function productsOf(
  { weight, output, size, outputs, block }: DenseCost,
  { axes, rowAxis }: { readonly axes: readonly CostFactor[]; readonly rowAxis: number } = { axes: [], rowAxis: 0 },
  { counts, multiple }: { readonly counts: ReadonlyMap<string, number>; readonly multiple: number },
): readonly CostProduct[] {
  const isCut = (axis: CostFactor | undefined): boolean => Object.keys(axis?.units ?? {}).length > 0;
  const row = axes[rowAxis];
  // A part of a tensor, such as one direction of an LSTM, has some of its outputs.
  const all = isCut(row) ? sizeOf(row!, counts) : outputs;
  const taken = Math.ceil(all / block) * block;
  // A cut leaves kept groups at a multiple, or all of them, whatever places a group has on an axis: 49 of a flattened image.
  const outer: CostFactor = isCut(row)
    ? { ...row!, multiple: common(block, multiple), most: taken }
    : { fixed: taken, units: {} };
  const inner = axes
    .filter((axis) => axis !== row && isCut(axis))
    .map((axis) => ({
      ...axis,
      multiple: multiple * Math.max(1, ...Object.values(axis.units)),
      most: sizeOf(axis, counts),
    }));
  const whole = inner.reduce((places, axis) => places * sizeOf(axis, counts), all);
  const products: readonly CostProduct[] = [
    { each: (weight * size) / whole, factors: [outer, ...inner] },
    { each: (output * outputs) / all, factors: [outer] },
  ];
  return products.filter(({ each }) => each > 0);
}

/** The extent of an axis while everything is there. */
function sizeOf({ fixed, units }: CostFactor, counts: ReadonlyMap<string, number>): number {
  return Object.entries(units).reduce((sum, [name, extent]) => sum + extent * counts.get(name)!, fixed);
}

/** The least common multiple. */
function common(a: number, b: number): number {
  const divisor = (x: number, y: number): number => (y === 0 ? x : divisor(y, x % y));
  return (a / divisor(a, b)) * b;
}
