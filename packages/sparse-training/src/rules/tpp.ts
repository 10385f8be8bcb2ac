/**
 * Trainability preserving pruning (TPP, Wang and Fu 2023, arXiv 2207.12534, equations 3, 5 and 6): the rows (filters) that are to go are chosen when training begins,
 * by their sums of magnitudes, and taken out of use before they are pruned. With the rows W of a layer, S those to go, m_j = 0 for j in S and 1 else,
 *   lambda / 2 ( sum over layers |W W' o (1 - m m')|^2  +  sum over j in S of gamma_j^2 + beta_j^2 ),
 * o entry by entry, gamma and beta of the normalisation behind the layer: what remains is made orthogonal to what goes, so that what it has learnt does not lean on it. The
 * gradient in W is 2 lambda (W W' o (1 - m m')) W. After `until` of training the rows are pruned, and what is kept trains on.
 * Departures: lambda grows with every step, up to `strength` after three quarters of the time until the pruning, where the paper adds a fixed amount every few steps; `strength` is
 * 0.01 where the paper has 1, because the paper takes steps of rate 0.001 meanwhile and trainings here of about 0.1. The last layer's rows are the outputs, and stay.
 */
import { checkNumber, keptCount, type Mat, type ParamInfo, type TrainingRule, type Vec } from "@secateur/core";
import { tooFewLayers, tooShort } from "../errors.ts";
import { prunableParams } from "../masks/prunable.ts";
import { highestRows, rowSums } from "../masks/row-masks.ts";
import { masksOfRows, rowVectors } from "../masks/row-vectors.ts";
import { setMasks } from "../masks/set-masks.ts";

/** Options of {@link tpp}. */
export interface TppOptions {
  /** The fraction of the rows of every layer but the last that is removed, in [0, 1). Each layer keeps a row at least. */
  readonly sparsity: number;
  /** lambda at its largest, >= 0; default 0.01. */
  readonly strength?: number | undefined;
  /** The part of training after which the rows are pruned, in (0, 1]; default 0.7. */
  readonly until?: number | undefined;
}

/** The part of the time until the pruning in which lambda grows. */
const growing = 0.75;

/**
 * The rule. Until the pruning, a step costs two products of the rows that go with all rows of their layer.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for a network of one layer or a training without a step
 * @example
 * await train(network, { data, epochs: 10, rules: [tpp({ sparsity: 0.5 })] }, createRunContext());
 */
export function tpp({ sparsity, strength = 0.01, until = 0.7 }: TppOptions): TrainingRule {
  checkNumber("tpp", "sparsity", sparsity, { least: 0, most: 1, below: true });
  checkNumber("tpp", "strength", strength, { least: 0 });
  checkNumber("tpp", "until", until, { least: 0, most: 1, above: true });
  return {
    name: "tpp",
    masks: "prunes",
    settings: JSON.stringify({ sparsity, strength, until }),
    begin(setup) {
      const params = prunableParams("tpp", setup).slice(0, -1);
      if (params.length === 0) throw tooFewLayers("tpp");
      if (setup.steps < 1) throw tooShort({ rule: "tpp", interval: 1, needs: 1, found: 0, unit: "steps" });
      const pruneAfter = Math.max(1, Math.floor(until * setup.steps));
      const vectors = rowVectors(setup.params);
      const kept = new Map(
        params.map((param) => {
          const keep = Math.max(1, keptCount(param.rows, sparsity));
          return [param.name, highestRows(rowSums(param, setup.weights.get(param.name)!), keep)];
        }),
      );
      return {
        penalty({ step, weights, gradients }) {
          if (step >= pruneAfter) return 0;
          const lambda = strength * Math.min(1, (step + 1) / (growing * pruneAfter));
          let sum = 0;
          for (const param of params) {
            const stays = kept.get(param.name)!;
            const [w, g] = [weights.get(param.name)!, gradients.get(param.name)!];
            sum += decorrelate({ param, stays, w, g, factor: 2 * lambda });
            const { scale, shift } = vectors.get(param.name) ?? {};
            for (const name of [scale, shift]) {
              if (name === undefined) continue;
              sum += pullOut({ stays, w: weights.get(name)!.data, g: gradients.get(name)!.data, lambda });
            }
          }
          return (lambda / 2) * sum;
        },
        afterStep(at) {
          if (at.step !== pruneAfter) return;
          const next = params.flatMap((param) => {
            const { name } = param;
            return masksOfRows({ param, kept: kept.get(name)!, vectors: vectors.get(name), masks: at.masks });
          });
          setMasks("tpp", new Map(next), at);
        },
        state: () =>
          params.map(({ name, rows }) => ({
            name: `kept/${name}`,
            shape: [rows],
            data: Float32Array.from({ length: rows }, (_, r) => Number(kept.get(name)!.has(r))),
          })),
        restore(state) {
          for (const { name, data } of state) {
            const rows = [...data.keys()].filter((r) => data[r] === 1);
            kept.set(name.slice("kept/".length), new Set(rows));
          }
        },
      };
    },
  };
}

/**
 * Adds `factor` (W W' o (1 - m m')) W to the gradient. Each product of a row that goes and another is taken once, and counts for both.
 *
 * @returns |W W' o (1 - m m')|^2
 */
function decorrelate(spec: {
  param: Pick<ParamInfo, "rows" | "cols">;
  stays: ReadonlySet<number>;
  w: Mat;
  g: Mat;
  factor: number;
}): number {
  const { param, stays, factor } = spec;
  const { rows, cols } = param;
  const [w, g] = [spec.w.data, spec.g.data];
  let sum = 0;
  for (let s = 0; s < rows; s++) {
    if (stays.has(s)) continue;
    for (let r = 0; r < rows; r++) {
      // Of two that go, the pair comes up twice.
      if (!stays.has(r) && r < s) continue;
      let dot = 0;
      for (let c = 0; c < cols; c++) dot += w[s * cols + c]! * w[r * cols + c]!;
      sum += (r === s ? 1 : 2) * dot * dot;
      for (let c = 0; c < cols; c++) {
        const [i, j] = [s * cols + c, r * cols + c];
        g[i] = g[i]! + factor * dot * w[j]!;
        if (r !== s) g[j] = g[j]! + factor * dot * w[i]!;
      }
    }
  }
  return sum;
}

/** Adds lambda times the entries of rows that go to their gradient. @returns the sum of their squares */
function pullOut(spec: { stays: ReadonlySet<number>; w: Vec; g: Vec; lambda: number }): number {
  const { stays, w, g, lambda } = spec;
  let sum = 0;
  for (let r = 0; r < w.length; r++) {
    if (stays.has(r)) continue;
    sum += w[r]! * w[r]!;
    g[r] = g[r]! + lambda * w[r]!;
  }
  return sum;
}
