/**
 * Allocation of a sparsity over layers. The total is exact, floor((1 - s) p) of all p prunable weights, whatever is
 * excluded or bounded; within a layer the solver chooses.
 */
import {
  type Allocation,
  type AllocationRequest,
  type BoundedLayer,
  type BudgetRequest,
  type BudgetRule,
  type Constraint,
  keepCount,
  keptCount,
  type LayerInfo,
  type Mask,
  sampleIndices,
  unknownName,
} from "@secateur/core";
import { badAllocation, badRetrainOption } from "../errors.ts";
import { lampScores } from "./lamp.ts";
import { apportion, assertFits } from "./layer-budget.ts";
import { layeredConstraint } from "./layered-constraint.ts";
import { matchingLayers } from "./name-pattern.ts";
import { erkShares, uniformPlusFloors, uniformShares } from "./shares.ts";

/** The allocations by name. */
export type AllocationName = "global" | "uniform" | "uniform+" | "erk" | "lamp" | "random";

/** All of them, in the order of listings. */
export const allocations: Readonly<Record<AllocationName, Allocation>> = {
  global: {},
  uniform: { counts: ({ layers, keep }) => apportion(layers, uniformShares(layers), keep) },
  "uniform+": {
    floors: uniformPlusFloors,
    counts: ({ layers, keep }) => apportion(layers, uniformShares(layers), keep),
  },
  erk: { counts: ({ layers, keep }) => apportion(layers, erkShares(layers), keep) },
  lamp: {
    counts({ layers, keep, weights }, { kernels }) {
      return countsOf(layeredConstraint({ layers, keep, kernels }).select(lampScores(weights, layers)), layers);
    },
  },
  random: {
    counts({ layers, keep, weights }, { kernels, rng }) {
      const order = sampleIndices(weights.length, weights.length, rng.fork("allocation"));
      const scores = new Float64Array(order.length);
      order.forEach((j, rank) => {
        scores[j] = -rank;
      });
      return countsOf(layeredConstraint({ layers, keep, kernels }).select(scores), layers);
    },
  },
};

/** All names. */
export const allocationNames: readonly AllocationName[] = Object.keys(allocations) as AllocationName[];

/** How weights to keep are spread over layers. */
export interface AllocationOptions {
  /** Default "global": the solver's scores compete over the whole network. */
  readonly method?: string;
  /** Patterns of layers that stay dense, such as "fc1" or "layer3.*"; default none. */
  readonly exclude?: readonly string[];
  /** Largest sparsity of layers, by pattern, in [0, 1]; of several that fit a layer the smallest holds. */
  readonly limits?: Readonly<Record<string, number>>;
}

/**
 * The rule for core's `prune({ budget })`.
 *
 * @param options.by - an allocation of another package, which `method` then only names
 * @throws ERR_OPTION for a limit outside [0, 1]; when it is used also for a pattern that fits no layer, and
 *   ERR_IMPOSSIBLE when bounds and sparsity contradict each other
 * @example
 * await prune({ model, solver: magnitude(), sparsity: 0.9, budget: allocation({ method: "erk", exclude: ["fc3"] }) });
 */
export function allocation(options: AllocationOptions & { readonly by?: Allocation } = {}): BudgetRule {
  const { method = "global", exclude = [], limits = {} } = options;
  const by = options.by ?? namedAllocation(method);
  for (const [pattern, most] of Object.entries(limits)) {
    if (!(most >= 0 && most <= 1)) {
      throw badRetrainOption(`limits.${pattern}`, most, "a sparsity from 0 to 1, the largest that these layers get");
    }
  }
  return {
    settings: JSON.stringify({ method, exclude, limits }),
    constraint(request, ctx): Constraint {
      const keep = keptCount(request.weights.length, request.sparsity);
      // A plain count leaves solvers their exact methods for it.
      const isPlain = !by.counts && !by.floors && exclude.length === 0 && Object.keys(limits).length === 0;
      if (isPlain) return keepCount({ count: request.weights.length, keep, kernels: ctx.kernels });
      const layers = boundedLayers({ ...options, by }, request);
      if (!by.counts) return layeredConstraint({ layers, keep, kernels: ctx.kernels });
      assertFits(layers, keep);
      const asked = { layers, keep, weights: request.weights };
      const kept = checkedCounts(method, by.counts(asked, ctx), asked);
      const fixed = layers.map((layer, l) => ({ ...layer, least: kept[l]!, most: kept[l]! }));
      return layeredConstraint({ layers: fixed, keep, kernels: ctx.kernels });
    },
  };
}

/** @throws ERR_UNKNOWN_NAME */
function namedAllocation(method: string): Allocation {
  const found = Object.hasOwn(allocations, method) ? allocations[method as AllocationName] : undefined;
  if (!found) throw unknownName({ where: "allocation", what: "allocation", found: method, known: allocationNames });
  return found;
}

/** The layers with the bounds that the options set. */
function boundedLayers(
  { by, exclude = [], limits = {} }: AllocationOptions & { readonly by: Allocation },
  { params, eligible }: BudgetRequest,
): readonly BoundedLayer[] {
  const excluded = new Set(exclude.flatMap((pattern) => matchingLayers(pattern, params)));
  const limited = Object.entries(limits).map(([pattern, most]) => [matchingLayers(pattern, params), most] as const);
  const floors = by.floors?.(params) ?? params.map(() => 0);
  return params.map((layer, index): BoundedLayer => {
    const most = eligible ? countIn(eligible, layer) : layer.size;
    const own = limited.filter(([layers]) => layers.includes(layer)).map(([, sparsity]) => 1 - sparsity);
    const fraction = excluded.has(layer) ? 1 : Math.max(floors[index]!, ...own);
    // What is gone already cannot be asked for again.
    return { ...layer, most, least: Math.min(most, Math.ceil(layer.size * fraction - 1e-9)) };
  });
}

/** @throws ERR_ALLOCATION for counts that are not whole, leave a bound, or do not add up */
function checkedCounts(
  method: string,
  counts: readonly number[],
  { layers, keep }: AllocationRequest,
): readonly number[] {
  const isWhole = counts.length === layers.length && counts.every((count) => Number.isInteger(count));
  const outside = layers.find(({ least, most }, l) => !(counts[l]! >= least && counts[l]! <= most));
  const sum = counts.reduce((total, count) => total + count, 0);
  if (isWhole && outside === undefined && sum === keep) return counts;
  const found = !isWhole
    ? `${counts.length} counts (${counts.slice(0, 4).join(", ")}) for ${layers.length} layers`
    : outside !== undefined
      ? `a count for layer '${outside.name}' outside of ${outside.least} to ${outside.most}`
      : `${sum} weights in all`;
  throw badAllocation({ method, found, keep });
}

function countsOf(mask: Mask, layers: readonly LayerInfo[]): readonly number[] {
  return layers.map((layer) => countIn(mask, layer));
}

function countIn(mask: Mask, { start, size }: LayerInfo): number {
  let count = 0;
  for (let j = start; j < start + size; j++) count += mask[j]!;
  return count;
}
