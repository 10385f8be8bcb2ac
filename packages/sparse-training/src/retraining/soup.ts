/**
 * Sparse model soups (Zimmer, Spiegel and Pokutta 2024): after a pruning, m copies of the pruned network are trained that differ in the order of their examples
 * (and in what else is drawn), and the network goes on as their mean, which has their zeros:
 *   theta = (1 / m) sum over i of theta_i.
 * Running statistics of batch normalisation are averaged too; they may be measured anew afterwards.
 */
import {
  checkNumber,
  forkContext,
  type Retrainer,
  type RetrainingState,
  type RetrainRequest,
  type RunContext,
  type StateTensor,
} from "@secateur/core";
import { masksMove } from "../errors.ts";
import { createMean, namesUnder, withoutPrefix } from "./tensor-mean.ts";

const prefix = "soup/";

/** One member of a soup, and what it is trained from. */
export interface SoupMember {
  /** Its place, from 0. */
  readonly member: number;
  readonly start: readonly StateTensor[];
  readonly request: Omit<RetrainRequest, "rules" | "resume" | "onEpoch">;
  /** Its own random numbers. */
  readonly ctx: RunContext;
}

/** Trains a member somewhere, as the retrainer of the soup would. @returns the tensors of its model, and the state at the end */
export type TrainMember = (
  member: SoupMember,
) => Promise<{ readonly model: readonly StateTensor[]; readonly state: RetrainingState }>;

/**
 * A retrainer whose every training is that of `members` copies, one after the other, and leaves their mean. Takes m times as long, and the memory of two
 * networks more. States of an interrupted training hold the mean so far and the start, and go on to the same bytes.
 *
 * Stopped after an epoch, it leaves the mean of the members so far and of that one as it is then.
 *
 * @param members - m, a whole number >= 2
 * @param how.trainMember - trains the members somewhere else, all at a time; default: here, one after the other. Epochs of theirs are not told; what is continued from a state is trained here, which a note says
 * @throws ERR_OPTION; on training ERR_IMPOSSIBLE with rules, whose masks could differ between members
 * @example
 * const retrainer = soup(createRetrainer(network, { data }), 3);
 */
export function soup(
  retrainer: Retrainer,
  members: number,
  { trainMember }: { readonly trainMember?: TrainMember } = {},
): Retrainer {
  checkNumber("soup", "members", members, { least: 2, whole: true });
  return {
    ...retrainer,
    examples: members * retrainer.examples,
    settings: JSON.stringify({ soup: members, of: retrainer.settings }),
    async retrain(request, ctx) {
      if (request.rules && request.rules.length > 0) throw masksMove("soup");
      const { resume, onEpoch, rules: _, ...rest } = request;
      if (trainMember && resume) {
        const message = `a soup that was interrupted within a member's training goes on in this process, member after member`;
        ctx.report({ type: "note", level: "info", code: "soup-here", message });
      }
      if (trainMember && !resume) {
        return await trainApart(retrainer, { members, request: rest, trainMember }, ctx);
      }
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
      return await leaveMean(retrainer, mean.mean(), last!);
    },
  };
}

/** The members somewhere else; their mean in their order, whichever is trained first. */
async function trainApart(
  retrainer: Retrainer,
  spec: { members: number; request: SoupMember["request"]; trainMember: TrainMember },
  ctx: RunContext,
): Promise<RetrainingState> {
  const { members, request, trainMember } = spec;
  const start = retrainer.capture();
  // One that fails ends the others, wherever they are.
  const stop = new AbortController();
  const signal = AbortSignal.any([ctx.signal, stop.signal]);
  let failure: { readonly error: unknown } | undefined;
  const training = Array.from({ length: members }, async (_, member) => {
    try {
      return await trainMember({ member, start, request, ctx: { ...forkContext(ctx, `soup ${member}`), signal } });
    } catch (error) {
      failure ??= { error };
      stop.abort();
      return undefined;
    }
  });
  const all = await Promise.all(training);
  if (failure) throw failure.error;
  const trained = all.flatMap((one) => one ?? []);
  const mean = createMean([]);
  for (const { model } of trained) mean.add(model);
  return await leaveMean(retrainer, mean.mean(), trained.at(-1)!.state);
}

/** The mean in the model, and in the state of the last member. */
async function leaveMean(
  retrainer: Retrainer,
  mean: readonly StateTensor[],
  { tensors, ...report }: RetrainingState,
): Promise<RetrainingState> {
  await retrainer.restore(mean);
  const own = new Map(mean.map((tensor) => [tensor.name, tensor]));
  return { ...report, tensors: tensors.map((tensor) => own.get(tensor.name) ?? tensor) };
}
