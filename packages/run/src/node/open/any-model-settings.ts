/** Settings of a run that networks of our own layers and other models answer differently. */
import type { DatasetSplits } from "@secateur/datasets";
import type { GraphModel, GraphStatistics } from "@secateur/graph";
import { type ChosenWeights, chooseDense, chooseWeights, type NamedWeight } from "@secateur/nn";
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
 * The weights to prune and those that --keep-dense leaves alone: "first", "last", "auto", names of layers or of weights.
 *
 * @throws ERR_UNKNOWN_NAME
 */
export function chosenDense({ own, network, onnx }: AnyModel, words: readonly string[]): ChosenWeights {
  if (own) {
    const chosen = chooseDense(own.network.spec, words);
    // Of weights that are one tensor the first stands for all, unless one of them is to stay dense.
    const kept = own.tied.filter((names) => names.some((name) => chosen.dense.includes(name))).flat();
    const behind = new Set(own.tied.flatMap(([, ...others]) => others));
    const isPruned = (name: string): boolean => !behind.has(name) && !kept.includes(name);
    return { pruned: chosen.pruned.filter(isPruned), dense: [...new Set([...chosen.dense, ...kept])] };
  }
  const convolutions = onnx && new Set(onnx.model.convolutions);
  const weights = network.params().flatMap(({ name, prunable, shape }) => {
    if (!prunable) return [];
    // Kernels of TensorFlow.js have their channels behind; those of single channels say so by their name.
    const isConvolution = convolutions?.has(name) ?? shape.length > 2;
    const stored = convolutions ? shape : [shape.at(-1)!, name.endsWith("depthwise_kernel") ? 1 : (shape.at(-2) ?? 0)];
    return [{ name, shape: stored, isConvolution }];
  });
  return denseAmong(inOrderOf(weights, onnx?.model.order), words, network.name);
}

/** Weights in the order in which a graph uses them; others as they come. */
function inOrderOf(weights: readonly NamedWeight[], order: readonly string[] = []): readonly NamedWeight[] {
  const places = new Map(order.map((name, i) => [name, i] as const));
  return [...weights].sort((a, b) => (places.get(a.name) ?? 0) - (places.get(b.name) ?? 0));
}

/** The same among weights in the order of the network. @throws ERR_UNKNOWN_NAME */
export function denseAmong(weights: readonly NamedWeight[], words: readonly string[], where: string): ChosenWeights {
  return chooseWeights(weights, words, {
    where,
    // A layer of TensorFlow.js may have several weights: "lstm" is lstm/kernel and lstm/recurrent_kernel.
    named: (word) => weights.flatMap(({ name }) => (name === word || name.startsWith(`${word}/`) ? [name] : [])),
  });
}

/**
 * What a run does about batch normalisation. The statistics of ONNX and TensorFlow.js models are matched to those of the dense model, by
 * default where that lowers the loss.
 *
 * @throws ERR_USAGE
 */
export function batchNormOfModel(
  model: AnyModel,
  asked: Partial<BatchNormSettings>,
  { isRetrained = false }: { isRetrained?: boolean } = {},
): BatchNormSettings | undefined {
  if (model.own) return batchNormFor(model.own.network, asked, { isRetrained });
  const isMatched = matchable(model) !== undefined;
  if (isMatched && asked.cropPadding === undefined && asked.flip === undefined) return { when: asked.when ?? "auto" };
  if (isRetrained && asked.when === undefined) return undefined;
  if (asksForMeasuring(asked.when)) ownNetwork(model, "--reestimate-batch-norm");
  if (asked.cropPadding !== undefined) ownNetwork(model, "--crop-padding");
  if (asked.flip !== undefined) ownNetwork(model, "--flip");
  return undefined;
}

/** The measurements of batch normalisation around a run, once for a network and all its copies. */
export interface ModelRemeasure extends SharedRemeasure<AnyModel> {
  /** Tells the task whose loss decides; after `before`, and before any weight changes. */
  judgeBy(posed: PosedTask): Promise<void>;
  /** Tells that the weights are those of a training, under the statistics that the model has now. */
  trained(): void;
}

/** The measurements of batch normalisation around a run. */
export function remeasuringModel(spec: {
  model: AnyModel;
  data: DatasetSplits;
  settings: BatchNormSettings | undefined;
  session: Session;
  /** Whether the run trains: what a training ends with stays. Default false. */
  isTrained?: boolean;
}): ModelRemeasure {
  const { model, ...rest } = spec;
  if (model.own) {
    const measurements = remeasuring({ ...rest, network: model.own.network });
    return {
      ...measurements,
      judgeBy: async () => {},
      // Its training measures statistics itself, and nothing of earlier ones is a candidate.
      trained: () => {},
      forCopy: (copy) => measurements.forCopy(copy.own!.network),
    };
  }
  let found: NormJudge | undefined;
  const judge = (): NormJudge | undefined => found;
  const matchingOf = (one: AnyModel) => matching({ ...rest, model: matchable(one), judge });
  const own = matchingOf(model);
  return {
    ...own,
    trained: () => own.trained?.(),
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
    let trained: GraphStatistics | undefined;
    return {
      match: async (after) => await graph.matchStatistics!(dense, data, after),
      restore: () => graph.restoreStatistics!(trained),
      keep: () => {
        trained = graph.captureStatistics!();
      },
      // Weights in no group of channels are not among the parameters of the run, and may be trained all the same.
      numbers: () => [...graph.numbers].map(([name, { data }]) => [name, data] as const),
    };
  };
}
