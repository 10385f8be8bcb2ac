/** Settings of a run that networks of our own layers and other models answer differently. */
import { unknownName } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { chooseDense, keepDenseWords } from "@secateur/nn";
import type { Session } from "../../session.ts";
import { type BatchNormSettings, batchNormFor, type Remeasure, remeasuring } from "./batch-norm.ts";
import { type AnyModel, ownNetwork } from "./open-any-model.ts";

/**
 * The weights to prune and those that --keep-dense leaves alone: "first", "last", names of layers or of weights.
 *
 * @throws ERR_UNKNOWN_NAME
 */
export function chosenDense(
  { own, network }: AnyModel,
  words: readonly string[],
): { readonly pruned: readonly string[]; readonly dense: readonly string[] } {
  if (own) return chooseDense(own.network.spec, words);
  const weights = network.params().flatMap(({ name, prunable }) => (prunable ? [name] : []));
  const chosen = new Set(
    words.flatMap((word) => {
      if (word === "first") return weights.slice(0, 1);
      if (word === "last") return weights.slice(-1);
      // A layer of TensorFlow.js may have several weights: "lstm" is lstm/kernel and lstm/recurrent_kernel.
      const named = weights.filter((weight) => weight === word || weight.startsWith(`${word}/`));
      if (named.length > 0) return named;
      const known = [...keepDenseWords, ...weights];
      throw unknownName({ where: network.name, what: "weight to keep dense", found: word, known });
    }),
  );
  return { pruned: weights.filter((name) => !chosen.has(name)), dense: weights.filter((name) => chosen.has(name)) };
}

/** What a run does about batch normalisation; other models than ours keep their statistics. @throws ERR_USAGE */
export function batchNormOfModel(model: AnyModel, asked: Partial<BatchNormSettings>): BatchNormSettings | undefined {
  if (model.own) return batchNormFor(model.own.network, asked);
  if (asked.when !== undefined && asked.when !== "never") ownNetwork(model, "--reestimate-batch-norm");
  if (asked.cropPadding !== undefined) ownNetwork(model, "--crop-padding");
  if (asked.flip !== undefined) ownNetwork(model, "--flip");
  return undefined;
}

/** The measurements of batch normalisation around a run; none for other models than ours. */
export function remeasuringModel(spec: {
  model: AnyModel;
  data: DatasetSplits;
  settings: BatchNormSettings | undefined;
  session: Session;
}): Remeasure {
  const { model, ...rest } = spec;
  if (model.own) return remeasuring({ ...rest, network: model.own.network });
  return { before: async () => {}, after: async () => {} };
}
