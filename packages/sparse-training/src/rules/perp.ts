/**
 * Retraining of few parameters after pruning (PERP, Zimmer et al. 2023, section 3): the weights W_0 of a pruned layer [out, in] stay, and of them trains a product of
 * rank r on the mask M,
 *   W = M (W_0 + B A / sqrt(r)),   B [out, r] = 0 at the start, A [r, in] normal / sqrt(in);
 * biases and the scales and shifts of normalisation train as usual. r = 0 trains these alone. After training W is an ordinary pruned layer: nothing has to be kept of A and B.
 *   dL/dB = (M G) A' / sqrt(r),   dL/dA = B'(M G) / sqrt(r),   G = dL/dW.
 * Departure: the authors scale by alpha / r and train A and B with adam; here the scale is 1 / sqrt(r), and any optimizer.
 */
import {
  checkNumber,
  createRng,
  dtypeOf,
  type Mask,
  type ParamInfo,
  type Rng,
  type TrainingRule,
  type Vec,
  zeros,
} from "@secateur/core";
import { prunableParams } from "../masks/prunable.ts";

/** Options of {@link perp}. */
export interface PerpOptions {
  /** r, >= 0; default 16. */
  readonly rank?: number | undefined;
}

/**
 * The rule. Trains r (out + in) numbers a layer in place of out in; a step costs three small products a layer more. Weight decay acts on A and B.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for nothing to prune
 * @example
 * await train(network, { data, epochs: 1, masks, rules: [perp()] }, createRunContext());
 */
export function perp({ rank = 16 }: PerpOptions = {}): TrainingRule {
  checkNumber("perp", "rank", rank, { least: 0, whole: true });
  return {
    name: "perp",
    settings: JSON.stringify({ rank }),
    begin(setup) {
      prunableParams("perp", setup);
      let rng = createRng("perp");
      const fixed = new Map(setup.params.map(({ name }) => [name, setup.weights.get(name)!.data.slice()]));
      return {
        // Asked before the parameters are: what is drawn is of the run's seed, and masks stay as they are.
        initialMasks(ctx) {
          rng = ctx.rng;
          return new Map();
        },
        reparameterize(param) {
          if (!param.prunable) return undefined;
          return lowRank({
            param,
            rank,
            mask: setup.masks.get(param.name),
            fixed: fixed.get(param.name)!,
            rng: rng.fork(param.name),
          });
        },
        // A training that goes on may be given a network of a later epoch.
        state: () => [...fixed].map(([name, data]) => ({ name, shape: [data.length], data: data.slice() })),
        restore(state) {
          for (const { name, data } of state) fixed.get(name)!.set(data);
        },
      };
    },
  };
}

/** theta = [B, A]. */
function lowRank(spec: { param: ParamInfo; rank: number; mask: Mask | undefined; fixed: Vec; rng: Rng }) {
  const { param, rank, mask, fixed, rng } = spec;
  const { rows, cols } = param;
  const scale = rank === 0 ? 0 : 1 / Math.sqrt(rank);
  const keeps = (i: number): boolean => mask === undefined || mask[i] === 1;
  return {
    shape: [rank * (rows + cols)],
    initial(w: Vec): Vec {
      const theta = zeros(rank * (rows + cols), dtypeOf(w));
      for (let i = rank * rows; i < theta.length; i++) theta[i] = rng.normal() / Math.sqrt(cols);
      return theta;
    },
    toWeights(theta: Vec, out: Vec): void {
      const A = rank * rows;
      for (let o = 0; o < rows; o++) {
        for (let i = 0; i < cols; i++) {
          let sum = 0;
          for (let r = 0; r < rank; r++) sum += theta[o * rank + r]! * theta[A + r * cols + i]!;
          out[o * cols + i] = keeps(o * cols + i) ? fixed[o * cols + i]! + scale * sum : 0;
        }
      }
    },
    toGradient(theta: Vec, gradient: Vec, out: Vec): void {
      const A = rank * rows;
      out.fill(0);
      for (let o = 0; o < rows; o++) {
        for (let i = 0; i < cols; i++) {
          if (!keeps(o * cols + i)) continue;
          const g = scale * gradient[o * cols + i]!;
          for (let r = 0; r < rank; r++) {
            out[o * rank + r] = out[o * rank + r]! + g * theta[A + r * cols + i]!;
            out[A + r * cols + i] = out[A + r * cols + i]! + g * theta[o * rank + r]!;
          }
        }
      }
    },
  };
}
