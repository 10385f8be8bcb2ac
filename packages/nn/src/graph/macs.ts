import type { NetworkSpec } from "./network-spec.ts";
import { tensorSpecs } from "./param-specs.ts";

/** Multiply-adds of a forward pass of one example: those of dense and convolution layers. */
export function macsPerExample(network: NetworkSpec): number {
  return tensorSpecs(network)
    .filter(({ role }) => role === "weight")
    .reduce((sum, { shape, positions }) => sum + shape.reduce((product, extent) => product * extent, positions), 0);
}
