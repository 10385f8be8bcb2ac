/**
 * Shares of the kept weights by layer, for allocations that look at shapes only. Evci et al. 2020 (ERK), Gale et al. 2019
 * (uniform+); as in the public code of Zimmer et al. 2023.
 */
import type { LayerInfo } from "@secateur/core";

/** Uniform: every layer keeps the same fraction, so as many as it is large. */
export function uniformShares(layers: readonly LayerInfo[]): readonly number[] {
  return layers.map(({ size }) => size);
}

/**
 * Erdos-Renyi-Kernel: a layer keeps as many weights as the sum of its dimensions says: out + in for a dense layer,
 * out + in + kh + kw for a convolution. So its density is proportional to (sum of dimensions) / (product of dimensions), and layers
 * that would be over-full are dense.
 */
export function erkShares(layers: readonly LayerInfo[]): readonly number[] {
  return layers.map(({ shape }) => shape.reduce((sum, extent) => sum + extent, 0));
}

/** Uniform+: the first convolution stays dense and the last dense layer keeps at least a fifth; fractions, one a layer. */
export function uniformPlusFloors(layers: readonly LayerInfo[]): readonly number[] {
  const firstConvolution = layers.findIndex(({ shape }) => shape.length > 2);
  const lastDense = layers.map(({ shape }) => shape.length).lastIndexOf(2);
  return layers.map((_, index) => {
    if (index === firstConvolution) return 1;
    return index === lastDense ? 0.2 : 0;
  });
}
