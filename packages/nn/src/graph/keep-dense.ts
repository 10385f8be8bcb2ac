/** Which weights a user wants left as they are. */
import { unknownName } from "@secateur/core";
import type { NetworkSpec } from "./network-spec.ts";
import { tensorSpecs } from "./param-specs.ts";

/** Words for layers that pruning papers often spare. */
const keepDenseWords = ["first", "last", "auto"] as const;

/** What decides which weights the words mean. */
export interface NamedWeight {
  readonly name: string;
  /** As stored; of a convolution [outputs, channels of a group, ...taps]. */
  readonly shape: readonly number[];
  readonly isConvolution: boolean;
}

/** Weights to prune and weights kept dense, each in the order of the network. */
export interface ChosenWeights {
  readonly pruned: readonly string[];
  readonly dense: readonly string[];
}

/**
 * Divides weights into those to prune and those kept dense.
 *
 * @param weights - in the order of the network
 * @param words - "first", "last", "auto" (the first convolution, the last weight, and convolutions of single channels: few weights that
 * everything hangs on), or what `named` knows
 * @param spec.named - the weights that another word means; none: the word is refused
 * @throws ERR_UNKNOWN_NAME
 */
export function chooseWeights(
  weights: readonly NamedWeight[],
  words: readonly string[],
  { where, named }: { readonly where: string; named(word: string): readonly string[] },
): ChosenWeights {
  const names = weights.map(({ name }) => name);
  const chosen = new Set(
    words.flatMap((word) => {
      if (word === "first") return names.slice(0, 1);
      if (word === "last") return names.slice(-1);
      if (word === "auto") return usuallyDense(weights);
      const found = named(word);
      if (found.length > 0) return found;
      const known = [...keepDenseWords, ...names];
      throw unknownName({ where, what: "weight to keep dense", found: word, known });
    }),
  );
  return { pruned: names.filter((name) => !chosen.has(name)), dense: names.filter((name) => chosen.has(name)) };
}

function usuallyDense(weights: readonly NamedWeight[]): readonly string[] {
  const convolutions = weights.filter(({ isConvolution }) => isConvolution);
  const ofChannels = convolutions.filter(({ shape }) => shape[1] === 1 && shape[0]! > 1);
  return [...convolutions.slice(0, 1), ...weights.slice(-1), ...ofChannels].map(({ name }) => name);
}

/**
 * Divides the weights of a network into those to prune and those kept dense. Biases and normalisations are in neither: they are never
 * pruned.
 *
 * @param words - those of {@link chooseWeights}, names of layers ("layer1.0.conv1") or of weights
 * @throws ERR_UNKNOWN_NAME for any other word
 * @example
 * chooseDense(resnet20, ["first", "last"]).dense; // ["conv1.weight", "linear.weight"]
 */
export function chooseDense(network: NetworkSpec, words: readonly string[]): ChosenWeights {
  const weights = tensorSpecs(network)
    .filter(({ role }) => role === "weight")
    .map(({ name, shape }) => ({ name, shape, isConvolution: shape.length > 2 }));
  return chooseWeights(weights, words, {
    where: network.name,
    named: (word) =>
      weights.flatMap(({ name }) => (name === word || name === `${word}.weight` ? [name] : [])).slice(0, 1),
  });
}
