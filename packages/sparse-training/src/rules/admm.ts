/**
 * Pruning by the alternating direction method of multipliers (Zhang et al. 2018, section 3; structures and levels for memristor crossbars: Ma et al. 2020).
 * Minimise f(W) subject to W in S, with the projection Z onto S and the scaled dual U:
 *   W:  gradient descent on f(W) + rho / 2 |W - Z + U|^2;   every `interval` epochs  Z = P_S(W + U),  U = U + W - Z.
 * Departure: the first Z is that of the first update, so the first interval trains without a pull; the paper starts from Z = P_S(W_0), U = 0.
 * After `until` of training W is pruned to P_S(W), and what is kept trains on. S is one of
 *   - all W with floor((1 - sparsity) p) non-zeros over the whole network;
 *   - with `keep` and `of`: all W with at most `keep` non-zeros among `of` consecutive weights of an output;
 *   - with `levels` = 2 l + 1 either of them with every output's weights at k s / l, k a whole number from -l to l, s the largest of their magnitudes. P_S prunes and then rounds, which
 *     is near the nearest point of S and not always it. Masks cannot hold weights at levels, so the pull goes on to the end, over what is kept.
 */
import {
  badOption,
  checkNumber,
  type Kernels,
  keepOfEvery,
  keptCount,
  type Mask,
  type Mat,
  matrix,
  type TrainingRule,
} from "@secateur/core";
import { tooShort } from "../errors.ts";
import { largestOverall } from "../masks/global-masks.ts";
import { prunableParams, sizeOf } from "../masks/prunable.ts";
import { setMasks } from "../masks/set-masks.ts";

/** Options of {@link admm}. */
export interface AdmmOptions {
  /** The fraction of prunable weights removed at the end, in [0, 1); not with `keep` and `of`, which say how many there are. Default 0.9. */
  readonly sparsity?: number | undefined;
  /** Non-zeros in each group; needs `of`. */
  readonly keep?: number | undefined;
  /** Weights of a group, consecutive ones of an output's weights; needs `keep`. */
  readonly of?: number | undefined;
  /** Odd, >= 3: what is kept is pulled to as many levels, the same on both sides of 0; 15 are those of int4, 255 those of int8 in a packed file. Default: any number. */
  readonly levels?: number | undefined;
  /** > 0; default 0.01. How hard weights are pulled to the set. */
  readonly rho?: number | undefined;
  /** Epochs between updates of Z and U, >= 1; default 1. */
  readonly interval?: number | undefined;
  /** The part of training after which weights are pruned, in (0, 1]; default 0.7. */
  readonly until?: number | undefined;
}

/**
 * The rule. A step costs three passes over the prunable weights more, an update one selection. Z and U are kept: twice the prunable weights.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for no update before the pruning, or nothing to prune
 * @example
 * await train(network, { data, epochs: 10, rules: [admm({ sparsity: 0.9 })] }, createRunContext());
 */
export function admm(options: AdmmOptions = {}): TrainingRule {
  const { keep, of, levels, rho = 0.01, interval = 1, until = 0.7 } = options;
  const isPattern = keep !== undefined || of !== undefined;
  const { sparsity = isPattern ? undefined : 0.9 } = options;
  if (isPattern && (keep === undefined || of === undefined || options.sparsity !== undefined)) {
    throw badOption("admm", "give 'keep' with 'of' and without 'sparsity', or 'sparsity' alone", {
      keep,
      of,
      sparsity,
    });
  }
  if (sparsity !== undefined) checkNumber("admm", "sparsity", sparsity, { least: 0, most: 1, below: true });
  if (of !== undefined) checkNumber("admm", "of", of, { least: 1, whole: true });
  if (keep !== undefined) checkNumber("admm", "keep", keep, { least: 1, most: of!, whole: true });
  if (levels !== undefined) checkNumber("admm", "levels", levels, { least: 3, whole: true });
  if (levels !== undefined && levels % 2 === 0) {
    throw badOption(
      "admm",
      `option 'levels' is ${levels}; give an odd number: 0 is a level, and as many lie on each side of it`,
      { levels },
    );
  }
  checkNumber("admm", "rho", rho, { least: 0, above: true });
  checkNumber("admm", "interval", interval, { least: 1, whole: true });
  checkNumber("admm", "until", until, { least: 0, most: 1, above: true });
  return {
    name: "admm",
    masks: "prunes",
    settings: JSON.stringify({ sparsity, keep, of, levels, rho, interval, until }),
    begin(setup) {
      const { steps, stepsPerEpoch } = setup;
      const params = prunableParams("admm", setup);
      const epochs = Math.round(steps / stepsPerEpoch);
      const pruneAfter = Math.max(1, Math.floor(until * epochs));
      if (interval >= pruneAfter) {
        const needs = Math.ceil((interval + 1) / until);
        throw tooShort({ rule: "admm", interval, needs, found: epochs, unit: "epochs" });
      }
      const project = (weights: ReadonlyMap<string, Mat>, kernels: Kernels): ReadonlyMap<string, Mask> =>
        sparsity === undefined
          ? new Map(
              params.map(({ name, rows, cols }) => {
                const pattern = keepOfEvery({ count: rows * cols, cols, keep: keep!, of: of! });
                const start = setup.masks.get(name);
                const chosen = pattern.select(weights.get(name)!.data.map(Math.abs));
                return [name, start ? chosen.map((bit, i) => bit * start[i]!) : chosen] as const;
              }),
            )
          : largestOverall({ params, weights, masks: setup.masks, keep: keptCount(sizeOf(params), sparsity), kernels });
      const [z, u] = [zerosOf(setup.weights, params), zerosOf(setup.weights, params)];
      let isPruned = false;
      // Until the first update nothing is known of Z but W itself, towards which there is no pull.
      let hasTarget = false;
      return {
        penalty({ weights, gradients }) {
          if (!hasTarget || (isPruned && levels === undefined)) return 0;
          let sum = 0;
          for (const { name } of params) {
            const [w, g, Z, U] = [weights.get(name)!.data, gradients.get(name)!.data, z.get(name)!, u.get(name)!];
            for (let i = 0; i < w.length; i++) {
              const apart = w[i]! - Z[i]! + U[i]!;
              sum += apart * apart;
              g[i] = g[i]! + rho * apart;
            }
          }
          return (rho / 2) * sum;
        },
        afterStep(at) {
          const { step, weights } = at;
          const { kernels } = at.ctx;
          const epoch = step / stepsPerEpoch;
          if (!Number.isInteger(epoch) || (epoch > pruneAfter && levels === undefined)) return;
          if (epoch === pruneAfter) {
            isPruned = true;
            setMasks("admm", project(weights, kernels), at);
            if (levels === undefined) return;
            // Another set from here on. Of what is pruned w, Z and U are 0, so nothing pulls at it.
            for (const data of u.values()) data.fill(0);
          } else if (epoch % interval !== 0) return;
          const shifted = new Map(
            params.map(({ name, rows, cols }) => {
              const U = u.get(name)!;
              return [
                name,
                matrix(
                  rows,
                  cols,
                  Float64Array.from(weights.get(name)!.data, (w, i) => w + U[i]!),
                ),
              ];
            }),
          );
          for (const [name, mask] of isPruned ? at.masks : project(shifted, kernels)) {
            if (!z.has(name)) continue;
            const [w, Z, U] = [weights.get(name)!.data, z.get(name)!, u.get(name)!];
            const { cols, data } = shifted.get(name)!;
            data.forEach((value: number, i: number) => {
              Z[i] = mask[i] === 1 ? value : 0;
            });
            if (levels !== undefined) toLevels(Z, { cols, levels });
            for (let i = 0; i < Z.length; i++) U[i] = U[i]! + w[i]! - Z[i]!;
          }
          hasTarget = true;
        },
        state: () => [
          { name: "phase", shape: [2], data: Float64Array.of(Number(hasTarget), Number(isPruned)) },
          ...[...z].map(([name, data]) => ({ name: `z/${name}`, shape: [data.length], data: data.slice() })),
          ...[...u].map(([name, data]) => ({ name: `u/${name}`, shape: [data.length], data: data.slice() })),
        ],
        restore(state) {
          for (const { name, data } of state) {
            if (name === "phase") [hasTarget, isPruned] = [data[0] === 1, data[1] === 1];
            else (name.startsWith("z/") ? z : u).get(name.slice(2))!.set(data);
          }
        },
      };
    },
  };
}

function zerosOf(
  weights: ReadonlyMap<string, Mat>,
  params: readonly { readonly name: string }[],
): ReadonlyMap<string, Float64Array> {
  return new Map(params.map(({ name }) => [name, new Float64Array(weights.get(name)!.data.length)]));
}

/** Rounds the numbers of every row to the nearest of its levels, in place; the largest magnitude of a row is one of them. */
function toLevels(values: Float64Array, { cols, levels }: { cols: number; levels: number }): void {
  const most = (levels - 1) / 2;
  for (let start = 0; start < values.length; start += cols) {
    const row = values.subarray(start, start + cols);
    const scale = row.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) / most;
    if (scale === 0) continue;
    for (let i = 0; i < row.length; i++) row[i] = Math.round(row[i]! / scale) * scale;
  }
}
