/** Training between two epochs as named tensors, so that a run that was stopped goes on to the same bytes. */
import type { Mat, OptimizerMemory } from "@secateur/core";
import { stateMismatch } from "../errors.ts";
import type { Network, WeightTensor } from "../network.ts";
import type { Trained } from "./resident-network.ts";

/** What an epoch was, measured while the weights moved. */
export interface EpochReport {
  /** Mean training loss, without label smoothing, with what rules add. */
  readonly loss: number;
  /** Percent; NaN for tasks without one. */
  readonly accuracy: number;
  /** With rules: prunable weights that are not zero at its end. */
  readonly nonzeros?: number;
  /** With rules: the root of the mean over its steps of |g|^2, g the gradient of the kept weights with what rules made of it. */
  readonly gradientNorm?: number;
}

/** Everything a later epoch depends on besides the settings and the data. */
export interface TrainingState {
  /** Epochs done. */
  readonly epoch: number;
  /** What those were. */
  readonly epochs: readonly EpochReport[];
  /** The network's tensors under their names; what the optimizer remembers as "optimizer.KIND/NAME"; with rules theta, masks and what they remember. */
  readonly tensors: readonly WeightTensor[];
}

const prefix = (kind: string): string => `optimizer.${kind}/`;

/** The state after some epochs; tensors are copies. @param ofRules - what the training rules add */
export function captureState(
  network: Network,
  moments: OptimizerMemory,
  done: Pick<TrainingState, "epoch" | "epochs">,
  ofRules: readonly WeightTensor[] = [],
): TrainingState {
  const remembered = [...moments].flatMap(([kind, byName]) => {
    return [...byName].map(([name, { data }]): WeightTensor => {
      return { name: prefix(kind) + name, shape: [data.length], data: data.slice() };
    });
  });
  return { ...done, epochs: [...done.epochs], tensors: [...network.tensors(), ...remembered, ...ofRules] };
}

/** Puts a state back. @throws ERR_TRAINING_STATE when it is not this network's or optimizer's */
export function restoreState(network: Trained, moments: OptimizerMemory, state: TrainingState): void {
  const tensors = new Map(state.tensors.map((tensor) => [tensor.name, tensor]));
  const put = (name: string, target: Mat): void => {
    const found = tensors.get(name);
    if (found?.data.length !== target.data.length) {
      throw stateMismatch(network.name, name, found?.data.length, target.data.length);
    }
    target.data.set(found.data);
  };
  for (const [name, w] of network.weights) put(name, w);
  for (const [kind, byName] of moments) for (const [name, moment] of byName) put(prefix(kind) + name, moment);
}
