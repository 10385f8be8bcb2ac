/** A budget over the whole network with bounds by layer, as one of core's constraints: any solver works under it. */
import { type BoundedLayer, type Constraint, countKept, type Kernels, type Mask, type Vec } from "@secateur/core";
import { assertFits } from "./layer-budget.ts";

/**
 * Keeps exactly `keep` weights, in every layer no fewer than `least` and no more than `most`. The best feasible set is exact:
 * first the `least` best of each layer, then the best of all others while their layers have room.
 *
 * @throws ERR_IMPOSSIBLE when the bounds leave no such set
 */
export function layeredConstraint(spec: {
  layers: readonly BoundedLayer[];
  keep: number;
  kernels: Kernels;
}): Constraint {
  const { layers, keep, kernels } = spec;
  assertFits(layers, keep);
  const owner = owners(layers);
  const isFixed = layers.every(({ least, most }) => least === most);
  return {
    kind: isFixed ? "keep-count by layer" : "keep-count with bounds by layer",
    select: (score) => selectBest({ layers, keep, kernels, owner }, score),
    violation(mask) {
      const kept = keptByLayer(layers, mask);
      const outside = layers.map(({ least, most }, l) => Math.max(0, least - kept[l]!, kept[l]! - most));
      return Math.max(0, countKept(mask) - keep) + outside.reduce((sum, value) => sum + value, 0);
    },
    relax: (factor) => relaxed(spec, factor),
    canSwap(mask) {
      const kept = keptByLayer(layers, mask);
      return (out, into) => {
        if (mask[out] !== 1 || mask[into] !== 0) return false;
        const [from, to] = [owner[out]!, owner[into]!];
        return from === to || (kept[from]! > layers[from]!.least && kept[to]! < layers[to]!.most);
      };
    },
  };
}

function relaxed(
  spec: { layers: readonly BoundedLayer[]; keep: number; kernels: Kernels },
  factor: number,
): Constraint {
  const layers = spec.layers.map((layer) => {
    const most = Math.min(layer.size, Math.ceil(layer.most * factor));
    return { ...layer, most, least: layer.least === layer.most ? most : layer.least };
  });
  const [least, most] = [sum(layers.map((layer) => layer.least)), sum(layers.map((layer) => layer.most))];
  return layeredConstraint({ ...spec, layers, keep: Math.max(least, Math.min(most, Math.ceil(spec.keep * factor))) });
}

/** The layer of every weight. */
function owners(layers: readonly BoundedLayer[]): Uint32Array {
  const last = layers.reduce((end, { start, size }) => Math.max(end, start + size), 0);
  const owner = new Uint32Array(last);
  layers.forEach(({ start, size }, index) => {
    owner.fill(index, start, start + size);
  });
  return owner;
}

function keptByLayer(layers: readonly BoundedLayer[], mask: Mask): readonly number[] {
  return layers.map(({ start, size }) => countKept(mask.subarray(start, start + size)));
}

function selectBest(
  spec: { layers: readonly BoundedLayer[]; keep: number; kernels: Kernels; owner: Uint32Array },
  score: Vec,
): Mask {
  const { layers, keep, kernels, owner } = spec;
  const mask = new Uint8Array(score.length);
  const room = layers.map((layer) => layer.most - layer.least);
  for (const { start, size, least } of layers) {
    for (const j of kernels.largest(score.subarray(start, start + size), least)) mask[start + j] = 1;
  }
  let left = keep - countKept(mask);
  if (left === 0) return mask;
  // Whatever the first round took is out; of the rest a layer offers no more than its room.
  const rest = score.map((value, j) => (mask[j] === 1 ? Number.NEGATIVE_INFINITY : value));
  const offered = layers.flatMap(({ start, size }, l) => {
    const best = kernels.largest(rest.subarray(start, start + size), Math.min(size, room[l]! + layers[l]!.least));
    return [...best].map((j) => start + j).filter((j) => mask[j] === 0);
  });
  const value = (j: number): number => (Number.isNaN(rest[j]!) ? Number.NEGATIVE_INFINITY : rest[j]!);
  offered.sort((a, b) => compare(value(b), value(a)) || a - b);
  for (const j of offered) {
    if (left === 0) break;
    const layer = owner[j]!;
    if (room[layer] === 0) continue;
    mask[j] = 1;
    room[layer]!--;
    left--;
  }
  return mask;
}

/** A difference of infinities is no number. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
