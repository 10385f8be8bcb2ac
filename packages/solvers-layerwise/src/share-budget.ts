/**
 * How many weights each layer keeps when all layers share one budget:
 *   uniform  the same fraction in every layer;
 *   global   the cheapest removals of all OBC traces, each loss divided by the energy of its layer's outputs, 1/2 tr(W H W');
 *   owl      fractions that rise with a layer's share of outliers, 2 `owlRange` between the layers of fewest and of most, around the
 *            same mean over layers (OWL, Yin et al., ICML 2024): outliers are scores |w_ij| sqrt(H_jj) above `owlFactor` times their mean.
 */
import { type Curvature, keptCount, type Mat } from "@secateur/core";
import { smallestOf } from "./allocate.ts";

/** Rules that share a budget out. */
export type LayerAllocation = "uniform" | "global" | "owl";

/** All of them. */
export const layerAllocations: readonly LayerAllocation[] = ["uniform", "global", "owl"];

/** What an allocation knows of a layer, or of a group of a grouped convolution. */
export interface LayerShare {
  /** Number of weights. */
  readonly size: number;
  /** Of `global`: what its removals cost relative to the energy of its outputs, the cheapest first. */
  readonly losses?: Float64Array;
  /** Of `owl`: the fraction of scores that are outliers. */
  readonly outliers?: number;
}

const owlFactor = 5;
const owlRange = 0.08;

/** Weights that each layer keeps, floor((1 - sparsity) * weights) in all. */
export function shareBudget(layers: readonly LayerShare[], sparsity: number, rule: LayerAllocation): readonly number[] {
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  const keep = keptCount(total, sparsity);
  switch (rule) {
    case "uniform": {
      const next = evenShare(
        layers.map(({ size }) => size),
        sparsity,
      );
      return layers.map(({ size }) => next(size));
    }
    case "global":
      return byTraces(layers, total - keep);
    case "owl":
      return inProportion(owlWeights(layers, sparsity), keep);
    default:
      return rule satisfies never;
  }
}

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

/** How many weights the next layer keeps of so many. */
export type KeepNext = (size: number) => number;

/** Numbers one after the other. */
export function inOrder(keeps: readonly number[]): KeepNext {
  let next = 0;
  return () => keeps[next++]!;
}

/** The same fraction of every layer, whole numbers, so that floor((1 - sparsity) * weights) are kept in the end. */
export function evenShare(sizes: readonly number[], sparsity: number): KeepNext {
  let ahead = sizes.reduce((sum, size) => sum + size, 0);
  let left = keptCount(ahead, sparsity);
  return (size) => {
    const kept = Math.max(Math.min(Math.round((left * size) / ahead), size), left - (ahead - size));
    left -= kept;
    ahead -= size;
    return kept;
  };
}

function byTraces(layers: readonly LayerShare[], removals: number): readonly number[] {
  const removed = smallestOf(
    layers.map(({ losses }) => losses!),
    removals,
  );
  return layers.map(({ size }, l) => size - removed[l]!);
}

function owlWeights(layers: readonly LayerShare[], sparsity: number): readonly { size: number; weight: number }[] {
  const outliers = layers.map(({ outliers = 0 }) => outliers);
  const [least, most] = [Math.min(...outliers), Math.max(...outliers)];
  const scaled = outliers.map((value) => (most > least ? (2 * owlRange * (value - least)) / (most - least) : 0));
  const mean = scaled.reduce((sum, value) => sum + value, 0) / scaled.length;
  return layers.map(({ size }, l) => {
    const density = Math.min(1, Math.max(0, 1 - sparsity + scaled[l]! - mean));
    return { size, weight: size * density };
  });
}

/** The fraction of a layer's scores |w_ij| sqrt(H_jj) that are outliers. */
export function outlierShare({ cols, data }: Mat, curvature: Curvature): number {
  const root = Float64Array.from(curvature.diagonal(), Math.sqrt);
  const scores = Float64Array.from(data, (value, i) => Math.abs(value) * root[i % cols]!);
  const limit = (owlFactor * scores.reduce((sum, score) => sum + score, 0)) / scores.length;
  return scores.filter((score) => score > limit).length / scores.length;
}
