/** Settings of a run that networks of our own layers and other models answer differently. */
import { type Dataset, type RunContext, unknownName } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { chooseDense, keepDenseWords } from "@secateur/nn";
import type { Session } from "../../session.ts";
import {
  type BatchNormSettings,
  batchNormFor,
  type Remeasure,
  remeasuring,
  type SharedRemeasure,
} from "./batch-norm.ts";
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
  if (own) {
    const chosen = chooseDense(own.network.spec, words);
    // Of weights that are one tensor the first stands for all, unless one of them is to stay dense.
    const kept = own.tied.filter((names) => names.some((name) => chosen.dense.includes(name))).flat();
    const behind = new Set(own.tied.flatMap(([, ...others]) => others));
    const isPruned = (name: string): boolean => !behind.has(name) && !kept.includes(name);
    return { pruned: chosen.pruned.filter(isPruned), dense: [...new Set([...chosen.dense, ...kept])] };
  }
  const weights = network.params().flatMap(({ name, prunable }) => (prunable ? [name] : []));
  return denseAmong(weights, words, network.name);
}

/** The same among the names of weights. @throws ERR_UNKNOWN_NAME */
export function denseAmong(
  weights: readonly string[],
  words: readonly string[],
  where: string,
): { readonly pruned: readonly string[]; readonly dense: readonly string[] } {
  const chosen = new Set(
    words.flatMap((word) => {
      if (word === "first") return weights.slice(0, 1);
      if (word === "last") return weights.slice(-1);
      // A layer of TensorFlow.js may have several weights: "lstm" is lstm/kernel and lstm/recurrent_kernel.
      const named = weights.filter((weight) => weight === word || weight.startsWith(`${word}/`));
      if (named.length > 0) return named;
      const known = [...keepDenseWords, ...weights];
      throw unknownName({ where, what: "weight to keep dense", found: word, known });
    }),
  );
  return { pruned: weights.filter((name) => !chosen.has(name)), dense: weights.filter((name) => chosen.has(name)) };
}

/**
 * What a run does about batch normalisation. The statistics of ONNX and TensorFlow.js models are matched to those of the dense model, which
 * needs no random changes of images.
 *
 * @throws ERR_USAGE
 */
export function batchNormOfModel(model: AnyModel, asked: Partial<BatchNormSettings>): BatchNormSettings | undefined {
  if (model.own) return batchNormFor(model.own.network, asked);
  const isMatched = matcherOf(model) !== undefined;
  if (isMatched && asked.cropPadding === undefined && asked.flip === undefined) return { when: asked.when ?? "both" };
  if (asked.when !== undefined && asked.when !== "never") ownNetwork(model, "--reestimate-batch-norm");
  if (asked.cropPadding !== undefined) ownNetwork(model, "--crop-padding");
  if (asked.flip !== undefined) ownNetwork(model, "--flip");
  return undefined;
}

/** The measurements of batch normalisation around a run. */
export function remeasuringModel(spec: {
  model: AnyModel;
  data: DatasetSplits;
  settings: BatchNormSettings | undefined;
  session: Session;
}): SharedRemeasure<AnyModel> {
  const { model, ...rest } = spec;
  if (model.own) {
    const measurements = remeasuring({ ...rest, network: model.own.network });
    return { ...measurements, forCopy: (copy) => measurements.forCopy(copy.own!.network) };
  }
  return { ...matching(spec), forCopy: (copy) => matching({ ...rest, model: copy }) };
}

/** The same for models of other layers: statistics are matched to those of the dense model, which every copy measures itself. */
function matching({ model, session, data, settings }: Parameters<typeof remeasuringModel>[0]): Remeasure {
  const isAfter = settings?.when === "after" || settings?.when === "both";
  const matcher = isAfter ? matcherOf(model) : undefined;
  if (!matcher) return { before: async () => {}, after: async () => {} };
  let match: Awaited<ReturnType<Matcher>>;
  const recalibrate = async (): Promise<void> => await match(session.context());
  return {
    async before() {
      match = await matcher(data.train, session.context());
    },
    recalibrate,
    after: recalibrate,
  };
}

/** Whether statistics are matched because somebody asked: convolutions without a normalisation are corrected then, and only then. */
export function asksForMatching(when: BatchNormSettings["when"] | undefined): boolean {
  return when === "after" || when === "both";
}

/** Says which weights a run scales beside pruning them. */
export function noteCorrected({ onnx }: AnyModel, session: Session): void {
  const count = onnx?.model.corrected.length ?? 0;
  if (count === 0) return;
  const which = count === 1 ? "1 convolution has" : `${count} convolutions have`;
  const message = `${which} no batch normalisation behind them to measure anew: scales and biases of their output channels are matched to the dense network's means and variances instead, as --reestimate-batch-norm asks`;
  session.onEvent({ type: "note", level: "info", code: "channels-matched", message });
}

/** Measures statistics; what it returns brings those of the model as it is then back to them, on the same examples. */
type Matcher = (data: Dataset, ctx: RunContext) => Promise<(ctx: RunContext) => Promise<void>>;

/** How a model of other layers than ours is matched; undefined for one without batch normalisation. */
function matcherOf({ onnx, tfjs }: AnyModel): Matcher | undefined {
  if (tfjs) return tfjs.model.matchStatistics;
  const graph = onnx?.model;
  if (!graph?.channelStatistics || !graph.matchStatistics) return undefined;
  return async (data, ctx) => {
    const dense = await graph.channelStatistics!(data, ctx);
    // The same examples before and after, whichever random numbers the stages between have drawn.
    return async (after) => await graph.matchStatistics!(dense, data, after);
  };
}
