/**
 * AC/DC (Peste et al. 2021, algorithm 1): phases of d epochs in turn with the k largest weights of the whole network alone (compressed) and with all
 * (decompressed), after a dense beginning of b epochs and with a compressed end. A pruned weight starts again from 0, without momentum, when a
 * decompressed phase begins. Of n epochs, m = floor((n - b) / d) phases are made: compressed, decompressed, ...; what is left over, and a last
 * phase that would be decompressed, lengthen the compressed end.
 * Departure: the paper's ImageNet runs lengthen the last dense phase too.
 */
import { checkNumber, keptCount, type TrainingRule } from "@secateur/core";
import { tooShort } from "../errors.ts";
import { largestOverall } from "../masks/global-masks.ts";
import { regrowableParams, sizeOf } from "../masks/prunable.ts";
import { setMasks } from "../masks/set-masks.ts";

/** Options of {@link acDc}. */
export interface AcDcOptions {
  /** The fraction of prunable weights that is 0 in compressed phases and at the end, in [0, 1). */
  readonly sparsity: number;
  /** d, epochs of a phase, >= 1; default: a twentieth of training, at least 1. */
  readonly interval?: number | undefined;
  /** b, dense epochs at the beginning, >= 0; default: a tenth of training, at least 1. */
  readonly warmUp?: number | undefined;
}

/**
 * The rule. A compressed phase begins with one selection over all weights; other steps cost nothing.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for fewer than b + d epochs, nothing to prune, or masks that must stay
 * @example
 * await train(network, { data, epochs: 10, rules: [acDc({ sparsity: 0.9 })] }, createRunContext());
 */
export function acDc({ sparsity, interval, warmUp }: AcDcOptions): TrainingRule {
  checkNumber("ac-dc", "sparsity", sparsity, { least: 0, most: 1, below: true });
  if (interval !== undefined) checkNumber("ac-dc", "interval", interval, { least: 1, whole: true });
  if (warmUp !== undefined) checkNumber("ac-dc", "warmUp", warmUp, { least: 0, whole: true });
  return {
    name: "ac-dc",
    masks: "regrows",
    settings: JSON.stringify({ sparsity, interval, warmUp }),
    begin(setup) {
      const { steps, stepsPerEpoch } = setup;
      const params = regrowableParams("ac-dc", setup);
      const keep = keptCount(sizeOf(params), sparsity);
      const epochs = Math.round(steps / stepsPerEpoch);
      const span = interval ?? Math.max(1, Math.floor(epochs / 20));
      const begin = warmUp ?? Math.max(1, Math.floor(epochs / 10));
      const phases = Math.floor((epochs - begin) / span);
      if (phases < 1)
        throw tooShort({ rule: "ac-dc", interval: span, needs: begin + span, found: epochs, unit: "epochs" });
      // Of an even number of phases the last would be dense, and is left to the compressed one before it.
      const switches = phases % 2 === 1 ? phases : phases - 1;
      return {
        ...(begin === 0
          ? { initialMasks: ({ kernels }) => largestOverall({ params, weights: setup.weights, keep, kernels }) }
          : {}),
        afterStep(at) {
          const { step, weights } = at;
          const phase = (step / stepsPerEpoch - begin) / span;
          if (!Number.isInteger(phase) || phase < 0 || phase >= switches) return;
          const isCompressed = phase % 2 === 0;
          const masks = isCompressed
            ? largestOverall({ params, weights, keep, kernels: at.ctx.kernels })
            : new Map(params.map(({ name, rows, cols }) => [name, new Uint8Array(rows * cols).fill(1)]));
          setMasks("ac-dc", masks, at);
        },
      };
    },
  };
}
