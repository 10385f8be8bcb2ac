/**
 * Sparse model soups (Zimmer, Spiegel and Pokutta 2024): after a pruning, m copies of the pruned network are trained that differ in the order of their examples
 * (and in what else is drawn), and the network goes on as their mean, which has their zeros:
 *   theta = (1 / m) sum over i of theta_i.
 * Running statistics of batch normalisation are averaged too; they may be measured anew afterwards.
 */
import { checkNumber, forkContext, type Retrainer, type RetrainingState, type StateTensor } from "@secateur/core";
import { masksMove } from "../errors.ts";
import { createMean, namesUnder, withoutPrefix } from "./tensor-mean.ts";

const prefix = "soup/";

/**
 * A retrainer whose every training is that of `members` copies, one after the other, and leaves their mean. Takes m times as long, and the memory of two
 * networks more. States of an interrupted training hold the mean so far and the start, and go on to the same bytes.
 *
 * Stopped after an epoch, it leaves the mean of the members so far and of that one as it is then.
 *
 * @param members - m, a whole number >= 2
 * @throws ERR_OPTION; on training ERR_IMPOSSIBLE with rules, whose masks could differ between members
 * @example
 * const retrainer = soup(createRetrainer(network, { data }), 3);
 */
export function soup(retrainer: Retrainer, members: number): Retrainer {
  checkNumber("soup", "members", members, { least: 2, whole: true });
  return {
    ...retrainer,
    examples: members * retrainer.examples,
    settings: JSON.stringify({ soup: members, of: retrainer.settings }),
    async retrain(request, ctx) {
      if (request.rules && request.rules.length > 0) throw masksMove("soup");
      const { resume, onEpoch, ...rest } = request;
      const saved = resume && namesUnder(prefix, resume.tensors);
      const start = saved ? namesUnder("start/", saved) : retrainer.capture();
      const mean = createMean(saved ? namesUnder("mean/", saved) : []);
      const first = saved?.find(({ name }) => name === "member")?.data[0] ?? 0;
      let last: RetrainingState | undefined;
      let isStopped = false;
      for (let member = first; member < members && !isStopped; member++) {
        const goesOn = resume !== undefined && member === first;
        if (!goesOn) await retrainer.restore(start);
        const extra = (): readonly StateTensor[] =>
          [
            { name: "member", shape: [1], data: Float64Array.of(member) },
            ...start.map((tensor) => ({ ...tensor, name: `start/${tensor.name}` })),
            ...mean.sums().map((tensor) => ({ ...tensor, name: `mean/${tensor.name}` })),
          ].map((tensor) => ({ ...tensor, name: prefix + tensor.name }));
        last = await retrainer.retrain(
          {
            ...rest,
            ...(goesOn ? { resume: { ...resume, tensors: withoutPrefix(prefix, resume.tensors) } } : {}),
            ...(onEpoch
              ? {
                  async onEpoch(state: RetrainingState) {
                    const answer = await onEpoch({ ...state, tensors: [...state.tensors, ...extra()] });
                    isStopped = answer === "stop";
                    return answer;
                  },
                }
              : {}),
          },
          forkContext(ctx, `soup ${member}`),
        );
        mean.add(retrainer.capture());
      }
      await retrainer.restore(mean.mean());
      const { tensors, ...report } = last!;
      const own = new Map(mean.mean().map((tensor) => [tensor.name, tensor]));
      return { ...report, tensors: tensors.map((tensor) => own.get(tensor.name) ?? tensor) };
    },
  };
}
