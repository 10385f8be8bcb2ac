/**
 * SynFlow (Tanaka et al. 2020, equation 2 and algorithm 1): score |w| dR/d|w|, R the sum of the outputs of the network of magnitudes for inputs of 1. The score that
 * enters a layer leaves it, so that pruned a little at a time, with scores of what is left, no layer is emptied before another (stages, geometric). No data.
 */
import type { Saliency } from "@secateur/core";

/** The saliency of one round. Costs a forward and a backward pass of one example. @throws on scoring ERR_INCOMPATIBLE for a problem without such a model */
export const synapticFlow: Saliency = {
  needs: { model: ["synapticFlow"] },
  async score({ w, source }, ctx) {
    const flow = await source!.model.synapticFlow!({ params: source!.params, at: w.data }, ctx);
    return Float64Array.from(w.data, (value, i) => Math.abs(value) * flow[i]!);
  },
};
