/** A network and how to train it, as core's {@link Retrainer}: what schedules of pruning and retraining work with. */
import type { Retrainer, RetrainingState } from "@secateur/core";
import { stateMismatch } from "../errors.ts";
import type { Network } from "../network.ts";
import { type TrainOptions, train } from "./train.ts";
import { assertTrainOptions } from "./train-options.ts";

/** How a network trains between prunings: {@link TrainOptions} without what the schedule decides. */
export type RetrainerOptions = Omit<TrainOptions, "epochs" | "learningRate" | "masks" | "rules" | "onEpoch" | "resume">;

/**
 * Makes a retrainer. Every training starts with an empty optimizer unless the schedule says otherwise.
 *
 * @throws ERR_OPTION
 * @example
 * const retrainer = createRetrainer(network, { data, batchSize: 64, momentum: 0.9 });
 */
export function createRetrainer(network: Network, options: RetrainerOptions): Retrainer {
  assertTrainOptions(options);
  const { data, task, batchSize = 64, ...rest } = options;
  const trained = task && task.name !== "classification" ? { task: task.name, taskOptions: task.options } : {};
  return {
    stepsPerEpoch: Math.ceil(data.size / batchSize),
    examples: data.size,
    settings: JSON.stringify({ data: data.name, examples: data.size, batchSize, ...trained, ...rest }),
    capture: () => network.tensors(),
    restore(tensors) {
      const given = new Map(tensors.map((tensor) => [tensor.name, tensor.data]));
      for (const [name, { data: target }] of network.weights) {
        const found = given.get(name);
        if (found?.length !== target.length) {
          throw stateMismatch(network.name, name, found?.length, target.length);
        }
        target.set(found);
      }
    },
    async retrain({ epochs, learningRate, masks, rules, resume, after, onEpoch }, ctx) {
      let last: Omit<RetrainingState, "masks"> | undefined;
      const start = resume ?? (after ? takenOver(network, after) : undefined);
      const { masks: kept } = await train(
        network,
        {
          ...options,
          epochs,
          masks,
          ...(rules ? { rules } : {}),
          learningRate: (step) => learningRate(step),
          ...(start ? { resume: start } : {}),
          onEpoch: (state) => {
            last = state;
            return onEpoch?.(state);
          },
        },
        ctx,
      );
      const end = last ?? { epoch: resume?.epoch ?? 0, epochs: resume?.epochs ?? [], tensors: network.tensors() };
      return rules && rules.length > 0 ? { ...end, masks: kept } : end;
    },
  };
}

/** The network as it is now with the optimizer's memory of then. */
function takenOver(network: Network, { tensors }: RetrainingState): RetrainingState {
  const remembered = tensors.filter(({ name }) => name.startsWith("optimizer."));
  return { epoch: 0, epochs: [], tensors: [...network.tensors(), ...remembered] };
}
