/**
 * How many weights each layer keeps when all layers share one budget:
 *   uniform  the same fraction in every layer;
 *   global   the cheapest removals of all OBC traces, each loss divided by the energy of its layer's outputs, 1/2 tr(W H W');
 *   loss-database   levels of each layer by dynamic programming over what its traces lose at each (loss-database.ts);
 *   owl      fractions that rise with a layer's share of outliers, 2 `owlRange` between the layers of fewest and of most, around the
 *            same mean over layers (OWL, Yin et al., ICML 2024): outliers are scores |w_ij| sqrt(H_jj) above `owlFactor` times their mean.
 * No layer keeps more than it may; what that leaves of the budget the other layers keep. Where other things than weights are limited, uniform keeps the
 * fraction that meets the tightest limit, and global the removals that are the dearest for what keeping them costs (`costConstraint`): with one limit
 * of operations those with loss > lambda * operations.
 */
import { type Curvature, costConstraint, countKept, keptCount, type Mat, type SharedLimit } from "@secateur/core";
import { smallestOf } from "../search/allocate.ts";
import { type LossLevels, shareByLevels } from "./loss-database.ts";

/** Rules that share a budget out. */
export type LayerAllocation = "uniform" | "global" | "loss-database" | "owl";

/** All of them. */
export const layerAllocations: readonly LayerAllocation[] = ["uniform", "global", "loss-database", "owl"];

/** What an allocation knows of a layer, or of a group of a grouped convolution. */
export interface LayerShare {
  /** The parameter that it is of, where limits tell them apart. */
  readonly param?: string;
  /** Number of weights. */
  readonly size: number;
  /** Of them, how many may be kept. Default: all. */
  readonly eligible?: number;
  /** Of `global`: what its removals cost relative to the energy of its outputs, the cheapest first. */
  readonly losses?: Float64Array;
  /** Of `loss-database`: what it loses at each of its levels. */
  readonly levels?: LossLevels;
  /** Of `owl`: the fraction of scores that are outliers. */
  readonly outliers?: number;
}

const owlFactor = 5;
const owlRange = 0.08;

/** Weights that each layer keeps, floor((1 - sparsity) * weights) in all, or as many as may be kept. */
export function shareBudget(layers: readonly LayerShare[], sparsity: number, rule: LayerAllocation): readonly number[] {
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  const keep = Math.min(
    keptCount(total, sparsity),
    layers.reduce((sum, layer) => sum + mayKeep(layer), 0),
  );
  switch (rule) {
    case "uniform":
      return inProportion(
        layers.map((layer) => ({ size: mayKeep(layer), weight: layer.size })),
        keep,
      );
    case "global":
      return byTraces(layers, keep);
    case "loss-database":
      return shareByLevels(
        layers.map(({ levels }) => levels!),
        keep,
      );
    case "owl":
      return inProportion(owlWeights(layers, sparsity), keep);
    default:
      return rule satisfies never;
  }
}

/** Those that share limits on other things than weights. */
export const limitedAllocations: readonly string[] = ["uniform", "global", "auto"];

/** Weights that each layer keeps, within every limit. @param sparsity - at which all layers, pruned alike, meet them */
export function shareLimits(
  layers: readonly LayerShare[],
  spec: { readonly sparsity: number; readonly limits: readonly SharedLimit[]; readonly rule: "uniform" | "global" },
): readonly number[] {
  const { sparsity, limits, rule } = spec;
  if (rule === "uniform") return layers.map((layer) => limitedShare(sparsity)(layer.size, mayKeep(layer)));
  const count = layers.reduce((sum, { size }) => sum + size, 0);
  const scores = new Float64Array(count);
  const costs = limits.map(({ name, most }) => ({ name, most, costs: new Float64Array(count) }));
  const firsts: number[] = [];
  let first = 0;
  for (const layer of layers) {
    const { size, losses, param = "" } = layer;
    scores.set(losses!, first);
    // A removal costs nothing where it has been made already: of the losses, which rise, the first.
    scores.fill(Number.NEGATIVE_INFINITY, first, first + size - mayKeep(layer));
    limits.forEach(({ each }, j) => {
      costs[j]!.costs.fill(each.get(param)!, first, first + size);
    });
    firsts.push(first);
    first += size;
  }
  const mask = costConstraint(count, costs).select(scores);
  return layers.map(({ size }, l) => countKept(mask.subarray(firsts[l]!, firsts[l]! + size)));
}

/** The same fraction of every layer, rounded down. */
export function limitedShare(sparsity: number): KeepNext {
  return (size, eligible) => Math.min(eligible, keptCount(size, sparsity));
}

const mayKeep = ({ size, eligible = size }: LayerShare): number => eligible;

/** Whole numbers in proportion to the weights, none above its size, with sum `keep`. */
function inProportion(
  layers: readonly { readonly size: number; readonly weight: number }[],
  keep: number,
): readonly number[] {
  let left = keep;
  let ahead = layers.reduce((sum, { weight }) => sum + weight, 0);
  let room = layers.reduce((sum, { size }) => sum + size, 0);
  return layers.map(({ size, weight }) => {
    room -= size;
    // What later layers have no room for has to be kept here.
    const share = ahead > 0 ? Math.round((left * weight) / ahead) : left;
    const kept = Math.max(Math.min(share, size, left), left - room);
    left -= kept;
    ahead -= weight;
    return kept;
  });
}

/** How many weights the next layer keeps of so many, of which it may keep `eligible`. */
export type KeepNext = (size: number, eligible: number) => number;

/** Numbers one after the other. */
export function inOrder(keeps: readonly number[]): KeepNext {
  let next = 0;
  return () => keeps[next++]!;
}

/**
 * The same fraction of every layer, whole numbers, so that floor((1 - sparsity) * weights) are kept in the end, or as many as may be.
 *
 * @param all - weights of all layers together, and how many of them may be kept
 */
export function evenShare(all: { readonly size: number; readonly eligible: number }, sparsity: number): KeepNext {
  let [ahead, room] = [all.size, all.eligible];
  let left = Math.min(keptCount(ahead, sparsity), room);
  return (size, eligible) => {
    room -= eligible;
    const kept = Math.max(Math.min(Math.round((left * size) / ahead), eligible), left - room);
    left -= kept;
    ahead -= size;
    return kept;
  };
}

/** The cheapest removals of all layers; a layer that would keep more than it may is given what it may, and the others are shared out again. */
function byTraces(layers: readonly LayerShare[], keep: number): readonly number[] {
  const kept = layers.map(mayKeep);
  let open = [...layers.keys()];
  for (let left = keep; open.length > 0; ) {
    const sizes = open.reduce((sum, l) => sum + layers[l]!.size, 0);
    const removed = smallestOf(
      open.map((l) => layers[l]!.losses!),
      sizes - left,
    );
    const wanted = new Map(open.map((l, i) => [l, layers[l]!.size - removed[i]!]));
    const within = open.filter((l) => wanted.get(l)! <= kept[l]!);
    if (within.length === open.length) {
      for (const [l, count] of wanted) kept[l] = count;
      break;
    }
    left -= open.reduce((sum, l) => sum + (within.includes(l) ? 0 : kept[l]!), 0);
    open = within;
  }
  return kept;
}

function owlWeights(layers: readonly LayerShare[], sparsity: number): readonly { size: number; weight: number }[] {
  const outliers = layers.map(({ outliers = 0 }) => outliers);
  const [least, most] = [Math.min(...outliers), Math.max(...outliers)];
  const scaled = outliers.map((value) => (most > least ? (2 * owlRange * (value - least)) / (most - least) : 0));
  const mean = scaled.reduce((sum, value) => sum + value, 0) / scaled.length;
  return layers.map((layer, l) => {
    const density = Math.min(1, Math.max(0, 1 - sparsity + scaled[l]! - mean));
    return { size: mayKeep(layer), weight: layer.size * density };
  });
}

/** The fraction of a layer's scores |w_ij| sqrt(H_jj) that are outliers. */
export function outlierShare({ cols, data }: Mat, curvature: Curvature): number {
  const root = Float64Array.from(curvature.diagonal(), Math.sqrt);
  const scores = Float64Array.from(data, (value, i) => Math.abs(value) * root[i % cols]!);
  const limit = (owlFactor * scores.reduce((sum, score) => sum + score, 0)) / scores.length;
  return scores.filter((score) => score > limit).length / scores.length;
}
