/**
 * Allocation of a sparsity over layers. The total is exact, floor((1 - s) p) of all p prunable weights, whatever is
 * excluded or bounded; within a layer the solver chooses.
 */
import {
  type BudgetRequest,
  type BudgetRule,
  type Constraint,
  keepCount,
  keptCount,
  type Mask,
  type RunContext,
  sampleIndices,
} from "@secateur/core";
import { badRetrainOption } from "../errors.ts";
import { lampScores } from "./lamp.ts";
import { apportion, type BoundedLayer, type LayerInfo } from "./layer-budget.ts";
import { layeredConstraint } from "./layered-constraint.ts";
import { matchingLayers } from "./name-pattern.ts";
import { erkShares, uniformPlusFloors, uniformShares } from "./shares.ts";

/** The allocations by name. */
export type AllocationName = "global" | "uniform" | "uniform+" | "erk" | "lamp" | "random";

/** All names. */
export const allocationNames: readonly AllocationName[] = ["global", "uniform", "uniform+", "erk", "lamp", "random"];

/** How weights to keep are spread over layers. */
export interface AllocationOptions {
  /** Default "global": the solver's scores compete over the whole network. */
  readonly method?: AllocationName;
  /** Patterns of layers that stay dense, such as "fc1" or "layer3.*"; default none. */
  readonly exclude?: readonly string[];
  /** Largest sparsity of layers, by pattern, in [0, 1]; of several that fit a layer the smallest holds. */
  readonly limits?: Readonly<Record<string, number>>;
}

/**
 * The rule for core's `prune({ budget })`.
 *
 * @throws ERR_OPTION for a limit outside [0, 1]; when it is used also for a pattern that fits no layer, and
 *   ERR_IMPOSSIBLE when bounds and sparsity contradict each other
 * @example
 * await prune({ model, solver: magnitude(), sparsity: 0.9, budget: allocation({ method: "erk", exclude: ["fc3"] }) });
 */
export function allocation(options: AllocationOptions = {}): BudgetRule {
  const { method = "global", exclude = [], limits = {} } = options;
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
      const isPlain = method === "global" && exclude.length === 0 && Object.keys(limits).length === 0;
      if (isPlain) return keepCount({ count: request.weights.length, keep, kernels: ctx.kernels });
      const layers = boundedLayers(options, request);
      if (method === "global") return layeredConstraint({ layers, keep, kernels: ctx.kernels });
      const kept = keptPerLayer({ method, layers, keep, request }, ctx);
      const fixed = layers.map((layer, l) => ({ ...layer, least: kept[l]!, most: kept[l]! }));
      return layeredConstraint({ layers: fixed, keep, kernels: ctx.kernels });
    },
  };
}

/** The layers with the bounds that the options set. */
function boundedLayers(
  { method, exclude = [], limits = {} }: AllocationOptions,
  { params, eligible }: BudgetRequest,
): readonly BoundedLayer[] {
  const excluded = new Set(exclude.flatMap((pattern) => matchingLayers(pattern, params)));
  const limited = Object.entries(limits).map(([pattern, most]) => [matchingLayers(pattern, params), most] as const);
  const floors = method === "uniform+" ? uniformPlusFloors(params) : params.map(() => 0);
  return params.map((layer, index): BoundedLayer => {
    const most = eligible ? countIn(eligible, layer) : layer.size;
    const own = limited.filter(([layers]) => layers.includes(layer)).map(([, sparsity]) => 1 - sparsity);
    const fraction = excluded.has(layer) ? 1 : Math.max(floors[index]!, ...own);
    // What is gone already cannot be asked for again.
    return { ...layer, most, least: Math.min(most, Math.ceil(layer.size * fraction - 1e-9)) };
  });
}

function keptPerLayer(
  spec: {
    method: Exclude<AllocationName, "global">;
    layers: readonly BoundedLayer[];
    keep: number;
    request: BudgetRequest;
  },
  ctx: RunContext,
): readonly number[] {
  const { method, layers, keep, request } = spec;
  switch (method) {
    case "uniform":
    case "uniform+":
      return apportion(layers, uniformShares(layers), keep);
    case "erk":
      return apportion(layers, erkShares(layers), keep);
    case "lamp": {
      const scores = lampScores(request.weights, layers);
      return countsOf(layeredConstraint({ layers, keep, kernels: ctx.kernels }).select(scores), layers);
    }
    case "random": {
      const order = sampleIndices(request.weights.length, request.weights.length, ctx.rng.fork("allocation"));
      const scores = new Float64Array(order.length);
      order.forEach((j, rank) => {
        scores[j] = -rank;
      });
      return countsOf(layeredConstraint({ layers, keep, kernels: ctx.kernels }).select(scores), layers);
    }
    default:
      return method satisfies never;
  }
}

function countsOf(mask: Mask, layers: readonly LayerInfo[]): readonly number[] {
  return layers.map((layer) => countIn(mask, layer));
}

function countIn(mask: Mask, { start, size }: LayerInfo): number {
  let count = 0;
  for (let j = start; j < start + size; j++) count += mask[j]!;
  return count;
}
