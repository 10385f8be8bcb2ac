/** Settings of a run that networks of our own layers and other models answer differently. */
import { unknownName } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import type { GraphModel } from "@secateur/graph";
import { chooseDense, keepDenseWords } from "@secateur/nn";
import type { PosedTask } from "../../prune/pose-task.ts";
import type { Session } from "../../session.ts";
import {
  asksForMeasuring,
  type BatchNormSettings,
  batchNormFor,
  remeasuring,
  type SharedRemeasure,
} from "../norm/batch-norm.ts";
import { type MatchableModel, matching, type NormJudge, normJudge } from "../norm/matched-norm.ts";
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
 * What a run does about batch normalisation. The statistics of ONNX and TensorFlow.js models are matched to those of the dense model, by
 * default where that lowers the loss.
 *
 * @throws ERR_USAGE
 */
export function batchNormOfModel(model: AnyModel, asked: Partial<BatchNormSettings>): BatchNormSettings | undefined {
  if (model.own) return batchNormFor(model.own.network, asked);
  const isMatched = matchable(model) !== undefined;
  if (isMatched && asked.cropPadding === undefined && asked.flip === undefined) return { when: asked.when ?? "auto" };
  if (asksForMeasuring(asked.when)) ownNetwork(model, "--reestimate-batch-norm");
  if (asked.cropPadding !== undefined) ownNetwork(model, "--crop-padding");
  if (asked.flip !== undefined) ownNetwork(model, "--flip");
  return undefined;
}

/** The measurements of batch normalisation around a run, once for a network and all its copies. */
export interface ModelRemeasure extends SharedRemeasure<AnyModel> {
  /** Tells the task whose loss decides; after `before`, and before any weight changes. */
  judgeBy(posed: PosedTask): Promise<void>;
}

/** The measurements of batch normalisation around a run. */
export function remeasuringModel(spec: {
  model: AnyModel;
  data: DatasetSplits;
  settings: BatchNormSettings | undefined;
  session: Session;
}): ModelRemeasure {
  const { model, ...rest } = spec;
  if (model.own) {
    const measurements = remeasuring({ ...rest, network: model.own.network });
    return {
      ...measurements,
      judgeBy: async () => {},
      forCopy: (copy) => measurements.forCopy(copy.own!.network),
    };
  }
  let found: NormJudge | undefined;
  const judge = (): NormJudge | undefined => found;
  const matchingOf = (one: AnyModel) => matching({ ...rest, model: matchable(one), judge });
  return {
    ...matchingOf(model),
    async judgeBy(posed) {
      if (spec.settings?.when === "auto") found = await normJudge(spec.data, posed, spec.session.context());
    },
    forCopy: matchingOf,
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

/** How a model of other layers than ours is matched; undefined for one without batch normalisation. */
function matchable({ network, onnx, tfjs }: AnyModel): MatchableModel | undefined {
  const graph = onnx?.model;
  const measure = tfjs ? tfjs.model.matchStatistics : graph?.channelStatistics && graphMatcher(graph);
  return measure && { network, measure };
}

function graphMatcher(graph: GraphModel): MatchableModel["measure"] {
  return async (data, ctx) => {
    const dense = await graph.channelStatistics!(data, ctx);
    return {
      match: async (after) => await graph.matchStatistics!(dense, data, after),
      restore: () => graph.restoreStatistics!(),
    };
  };
}
