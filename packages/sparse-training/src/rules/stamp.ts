/**
 * Channels that do little go while a network trains, by the activations that they give (STAMP, Dinsdale, Jenkinson and Namburete 2022, which takes the criterion of Molchanov et al. 2017: the mean
 * activation of a channel, divided by the 2-norm of its layer's). Behind a normalisation with scale gamma and shift beta a channel is gamma x + beta with x of mean 0 and variance 1, so
 * with a ReLU behind it, for normal x,
 *   a = E max(0, gamma x + beta) = |gamma| phi(beta / |gamma|) + beta Phi(beta / |gamma|),
 * phi and Phi density and distribution of the standard normal. After every d epochs of n the channels of smallest a / |a of the layer| over the whole network go whole (their rows of weights, with bias, scale and shift), until the
 * fraction of channels that are gone is
 *   s_t = s (1 - (1 - t / N)^3),   t = 1 .. N,   N = floor(n / d) - 1,
 * and no layer loses its last. `secateur cut` takes them out of the network.
 * Departures: activations come from the normalisation and not from images, so no pass over data is needed, and layers without one behind them stay whole; a cubic schedule in place of
 * a fixed number of channels whenever a validation loss stands still; no dropout of the channels that are next to go, which is a layer of the network and not a rule of its training.
 */
import { checkNumber, erf, keptCount, sparsitySchedule, type TrainingRule, type Vec } from "@secateur/core";
import { noScales, tooShort } from "../errors.ts";
import { prunableParams } from "../masks/prunable.ts";
import { masksOfRows, rowVectors } from "../masks/row-vectors.ts";
import { setMasks } from "../masks/set-masks.ts";

/** Options of {@link stamp}. */
export interface StampOptions {
  /** s, the fraction of the channels with a normalisation behind them that is removed at the end, in [0, 1). */
  readonly sparsity: number;
  /** d, epochs between prunings, >= 1; default 1. */
  readonly interval?: number | undefined;
}

/**
 * The rule. Between prunings a step costs nothing; a pruning costs a pass over the scales.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for fewer than 2 d epochs, or a network without normalisation layers behind its weights
 * @example
 * await train(network, { data, epochs: 10, rules: [stamp({ sparsity: 0.5 })] }, createRunContext());
 */
export function stamp({ sparsity, interval = 1 }: StampOptions): TrainingRule {
  checkNumber("stamp", "sparsity", sparsity, { least: 0, most: 1, below: true });
  checkNumber("stamp", "interval", interval, { least: 1, whole: true });
  return {
    name: "stamp",
    masks: "prunes",
    settings: JSON.stringify({ sparsity, interval }),
    begin(setup) {
      const { steps, stepsPerEpoch } = setup;
      const vectors = rowVectors(setup.params);
      const params = prunableParams("stamp", setup).filter(({ name }) => vectors.get(name)!.scale !== undefined);
      if (params.length === 0) throw noScales("stamp");
      const epochs = Math.round(steps / stepsPerEpoch);
      const prunings = Math.floor(epochs / interval) - 1;
      if (prunings < 1) {
        throw tooShort({ rule: "stamp", interval, needs: 2 * interval, found: epochs, unit: "epochs" });
      }
      const sparsities = sparsitySchedule({ name: "poly", stages: prunings + 1, target: sparsity, from: 0 });
      const channels = params.reduce((sum, { rows }) => sum + rows, 0);
      return {
        afterStep(at) {
          const t = at.step / (interval * stepsPerEpoch);
          if (!Number.isInteger(t) || t > prunings) return;
          const scores = params.map(({ name, cols }) => {
            const { scale, shift } = vectors.get(name)!;
            const gamma = at.weights.get(scale!)!.data;
            const own = layerScores(gamma, shift === undefined ? undefined : at.weights.get(shift)!.data);
            const mask = at.masks.get(name);
            // What is gone stays behind all that is not.
            const isGone = (c: number): boolean =>
              mask?.subarray(c * cols, (c + 1) * cols).every((bit) => bit === 0) ?? false;
            return own.map((score, c) => (isGone(c) ? -1 : score));
          });
          const kept = highestChannels(scores, keptCount(channels, sparsities[t]!));
          const next = params.flatMap((param, p) => {
            return masksOfRows({ param, kept: kept[p]!, vectors: vectors.get(param.name), masks: at.masks });
          });
          setMasks("stamp", new Map(next), at);
        },
      };
    },
  };
}

/** Expected activations of the channels of a layer, over their 2-norm; zeros where all are 0. */
function layerScores(gamma: Vec, beta: Vec | undefined): Float64Array {
  const activations = Float64Array.from(gamma, (scale, c) => expectedActivation(scale, beta?.[c] ?? 0));
  const norm = Math.hypot(...activations);
  return norm === 0 ? activations : activations.map((a) => a / norm);
}

/** E max(0, gamma x + beta) for a standard normal x. */
export function expectedActivation(gamma: number, beta: number): number {
  const spread = Math.abs(gamma);
  if (spread === 0) return Math.max(0, beta);
  const t = beta / spread;
  return Math.max(0, (spread * Math.exp((-t * t) / 2)) / Math.sqrt(2 * Math.PI) + beta * normalDistribution(t));
}

/** Phi(t). */
function normalDistribution(t: number): number {
  return (1 + erf(t / Math.SQRT2)) / 2;
}

/** The best channel of every layer, then the best of all others, ties to the lower layer and channel. @returns by layer */
function highestChannels(scores: readonly Float64Array[], keep: number): readonly ReadonlySet<number>[] {
  const kept = scores.map((own) => new Set([own.reduce((best, score, c) => (score > own[best]! ? c : best), 0)]));
  const others = scores.flatMap((own, p) => [...own.keys()].filter((c) => !kept[p]!.has(c)).map((c) => ({ p, c })));
  others.sort((a, b) => scores[b.p]![b.c]! - scores[a.p]![a.c]! || a.p - b.p || a.c - b.c);
  for (const { p, c } of others.slice(0, Math.max(0, keep - kept.length))) kept[p]!.add(c);
  return kept;
}
