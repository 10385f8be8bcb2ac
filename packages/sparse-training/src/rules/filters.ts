/**
 * Pruning filters while training (Roy et al. 2020, arXiv 2003.02800): after every d epochs of n, in every layer but the last, the rows (the weights of one output, a
 * filter of a convolution) of smallest sum of magnitudes go whole, with their biases, scales and shifts, until the fraction of rows that are gone is
 *   s_t = s (1 - (1 - t / N)^3),   t = 1 .. N,   N = floor(n / d) - 1,
 * and each layer keeps max(1, floor((1 - s_t) rows)). The last layer's rows are the network's outputs. What is pruned stays pruned, and `secateur cut` takes it out of the network.
 * Departure: the paper lowers the number of filters by a fixed step; here it is the cubic schedule of gmp.
 */
import { checkNumber, keptCount, sparsitySchedule, type TrainingRule } from "@secateur/core";
import { tooFewLayers, tooShort } from "../errors.ts";
import { prunableParams } from "../masks/prunable.ts";
import { highestRows, rowSums } from "../masks/row-masks.ts";
import { masksOfRows, rowVectors } from "../masks/row-vectors.ts";
import { setMasks } from "../masks/set-masks.ts";

/** Options of {@link filters}. */
export interface FiltersOptions {
  /** s, the fraction of the rows of every layer but the last that is removed at the end, in [0, 1). */
  readonly sparsity: number;
  /** d, epochs between prunings, >= 1; default 1. */
  readonly interval?: number | undefined;
}

/**
 * The rule. Between prunings a step costs nothing; a pruning costs one pass over the prunable weights.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for fewer than 2 d epochs, or a network of one layer
 * @example
 * await train(network, { data, epochs: 10, rules: [filters({ sparsity: 0.5 })] }, createRunContext());
 */
export function filters({ sparsity, interval = 1 }: FiltersOptions): TrainingRule {
  checkNumber("filters", "sparsity", sparsity, { least: 0, most: 1, below: true });
  checkNumber("filters", "interval", interval, { least: 1, whole: true });
  return {
    name: "filters",
    masks: "prunes",
    settings: JSON.stringify({ sparsity, interval }),
    begin(setup) {
      const { steps, stepsPerEpoch } = setup;
      const params = prunableParams("filters", setup).slice(0, -1);
      const vectors = rowVectors(setup.params);
      if (params.length === 0) throw tooFewLayers("filters");
      const epochs = Math.round(steps / stepsPerEpoch);
      const prunings = Math.floor(epochs / interval) - 1;
      if (prunings < 1) {
        throw tooShort({ rule: "filters", interval, needs: 2 * interval, found: epochs, unit: "epochs" });
      }
      const sparsities = sparsitySchedule({ name: "poly", stages: prunings + 1, target: sparsity, from: 0 });
      return {
        afterStep(at) {
          const t = at.step / (interval * stepsPerEpoch);
          if (!Number.isInteger(t) || t > prunings) return;
          const next = params.flatMap((param) => {
            const keep = Math.max(1, keptCount(param.rows, sparsities[t]!));
            const kept = highestRows(rowSums(param, at.weights.get(param.name)!), keep);
            return masksOfRows({ param, kept, vectors: vectors.get(param.name), masks: at.masks });
          });
          setMasks("filters", new Map(next), at);
        },
      };
    },
  };
}
