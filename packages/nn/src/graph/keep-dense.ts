/** Which weights a user wants left as they are. */
import { unknownName } from "@secateur/core";
import type { NetworkSpec } from "./network-spec.ts";
import { tensorSpecs } from "./param-specs.ts";

/** Words for layers that pruning papers often spare. */
export const keepDenseWords = ["first", "last"] as const;

/**
 * Divides the weights of a network into those to prune and those kept dense. Biases and normalisations are in neither: they are never
 * pruned.
 *
 * @param words - "first" (the first layer with weights), "last" (the last one), names of layers ("layer1.0.conv1") or of weights
 * @returns both in layer order
 * @throws ERR_UNKNOWN_NAME for any other word
 * @example
 * chooseDense(resnet20, ["first", "last"]).dense; // ["conv1.weight", "linear.weight"]
 */
export function chooseDense(
  network: NetworkSpec,
  words: readonly string[],
): { readonly pruned: readonly string[]; readonly dense: readonly string[] } {
  const weights = tensorSpecs(network)
    .filter(({ role }) => role === "weight")
    .map(({ name }) => name);
  const chosen = new Set(
    words.map((word) => {
      if (word === "first") return weights[0];
      if (word === "last") return weights.at(-1);
      const name = weights.find((weight) => weight === word || weight === `${word}.weight`);
      if (name !== undefined) return name;
      throw unknownName({
        where: network.name,
        what: "weight to keep dense",
        found: word,
        known: [...keepDenseWords, ...weights],
      });
    }),
  );
  return { pruned: weights.filter((name) => !chosen.has(name)), dense: weights.filter((name) => chosen.has(name)) };
}
