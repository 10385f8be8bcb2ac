/** What a run may keep, from its settings: a sparsity, or limits and units with how they are spread over layers. */
import {
  type Allocation,
  type Budget,
  type BudgetRule,
  bindBudget,
  type EntryOf,
  keptCount,
  layoutParams,
} from "@secateur/core";
import { allocation } from "@secateur/imp-scheduler";
import { costModels, type PackGraph } from "@secateur/runtime/pack";
import { badUsage, costsNeedGraph, keepsNothing } from "../../errors.ts";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import { isLimited, limitsOf } from "../../recipe/limits.ts";
import type { CoupledRun } from "../channels/couple-channels.ts";
import { readInputChoices } from "../open/input-choices.ts";
import type { AnyModel } from "../open/open-any-model.ts";
import { networkGraph } from "../pack/network-graph.ts";
import { onnxPackGraph } from "../pack/onnx-graph.ts";
import type { PruneSettings } from "./prune-settings.ts";

/** How far a run goes. */
export interface RunBudget {
  /** Of weights, in [0, 1): for limits on other things about what they come to. */
  readonly sparsity: number;
  /** Absent: any weights of the whole network. */
  readonly budget?: Budget | BudgetRule;
}

/**
 * The budget of a run.
 *
 * @param run - the model and the names of its parameters to prune, and what limits count where channels are cut out
 * @throws ERR_USAGE for two ways to share weights out, ERR_IMPOSSIBLE where nothing would be left, ERR_BUDGET for limits out of reach
 */
export function runBudget(
  settings: PruneSettings,
  { model, params, costsOf }: Pick<CoupledRun, "model" | "params" | "costsOf">,
): RunBudget {
  const { allocation: bounds, spread, sparsity, layers } = settings;
  const { pattern, allocation: own } = layers ?? {};
  const limits = pattern ? { ...settings.limits, units: [`of-every:${pattern.keep}/${pattern.of}`] } : settings.limits;
  const layout = layoutParams(model.network, params);
  const isGlobal = (bounds?.method ?? "global") === "global" && (!spread || spread.entry.name === "global");
  if (layers && !isGlobal && own !== undefined) {
    throw badUsage("--allocation and --layer-allocation both say how layers share the weights; leave one of them out");
  }
  const rule =
    bounds || spread ? allocation({ ...bounds, ...(spread ? { by: makeAllocation(spread) } : {}) }) : undefined;
  // What layers leave out is a budget's to say: a rule over all weights by magnitude is not how they share.
  const isOfLayers = layers !== undefined && bounds !== undefined && isGlobal;
  if (!isLimited(limits) && !isOfLayers) {
    const size = layout.reduce((sum, param) => sum + param.size, 0);
    if (keptCount(size, sparsity!) === 0) throw keepsNothing({ where: model.path, sparsity: sparsity!, size });
    return { sparsity: sparsity!, ...(rule ? { budget: rule } : {}) };
  }
  const { exclude = [], limits: largest = {} } = bounds ?? {};
  const needsCosts = limits.bytes !== undefined || limits.milliseconds !== undefined;
  const costs = (): NonNullable<Budget["costs"]> => {
    const given = settings.costs ? { costs: settings.costs } : {};
    if (costsOf) return costsOf(needsCosts ? { graph: graphOf(model, settings), ...given } : undefined);
    return costModels(graphOf(model, settings), given);
  };
  const budget: Budget = {
    ...limitsOf(limits, pattern ? undefined : sparsity),
    ...(isGlobal
      ? { exclude, bounds: Object.entries(largest).map(([match, most]) => ({ match, sparsity: most })) }
      : { allocation: rule! }),
    ...(costsOf || needsCosts ? { costs: costs() } : {}),
  };
  return { sparsity: bindBudget(budget, layout).sparsity, budget };
}

/** An allocation has no options of its own: what is excluded or bounded is said for all of them alike. */
function makeAllocation({ entry }: FoundEntry<EntryOf<"allocation">>): Allocation {
  return entry.create({} as never);
}

/** The model as packing takes it, of the shapes that were told. @throws ERR_USAGE, ERR_PACKED_GRAPH */
function graphOf({ own, onnx, path }: AnyModel, { inputs }: PruneSettings): PackGraph {
  if (own) return networkGraph(own.network);
  if (onnx) return onnxPackGraph(onnx.file, readInputChoices(inputs ?? {})).graph;
  throw costsNeedGraph(path);
}
