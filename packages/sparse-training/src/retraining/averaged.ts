/**
 * Stochastic weight averaging (Izmailov et al. 2018, algorithm 1): the network that a training leaves is the mean of what it was at the end of each of its last
 * k epochs. Zeros of the mask stay zeros. Running statistics of batch normalisation are averaged too; they may be measured anew afterwards.
 */
import { checkNumber, type Retrainer, type RetrainingState } from "@secateur/core";
import { masksMove } from "../errors.ts";
import { createMean, namesUnder, withoutPrefix } from "./tensor-mean.ts";

const prefix = "averaged/";

/**
 * A retrainer whose trainings leave the mean over their last epochs. Takes the memory of one network more. States of an interrupted training
 * hold the mean so far, and go on to the same bytes.
 *
 * @param last - k >= 1; a training with fewer epochs is averaged over all of them
 * @throws ERR_OPTION; on training ERR_IMPOSSIBLE with rules, whose masks could differ between epochs
 * @example
 * const retrainer = averaged(createRetrainer(network, { data }), 3);
 */
export function averaged(retrainer: Retrainer, last: number): Retrainer {
  checkNumber("averaged", "last", last, { least: 1, whole: true });
  return {
    ...retrainer,
    settings: JSON.stringify({ averaged: last, of: retrainer.settings }),
    async retrain(request, ctx) {
      if (request.rules && request.rules.length > 0) throw masksMove("averaging");
      const { resume, epochs, onEpoch } = request;
      const mean = createMean(resume ? namesUnder(prefix, resume.tensors) : []);
      const end = await retrainer.retrain(
        {
          ...request,
          ...(resume ? { resume: { ...resume, tensors: withoutPrefix(prefix, resume.tensors) } } : {}),
          async onEpoch(state: RetrainingState) {
            if (state.epoch > epochs - last) mean.add(retrainer.capture());
            const more = mean.sums().map((tensor) => ({ ...tensor, name: prefix + tensor.name }));
            return (await onEpoch?.({ ...state, tensors: [...state.tensors, ...more] })) ?? "go on";
          },
        },
        ctx,
      );
      // No epoch of those ran, or the training was stopped before them: what there is stays.
      if (mean.mean().length === 0) return end;
      await retrainer.restore(mean.mean());
      const own = new Map(mean.mean().map((tensor) => [tensor.name, tensor]));
      return { ...end, tensors: end.tensors.map((tensor) => own.get(tensor.name) ?? tensor) };
    },
  };
}
