/**
 * Rules that act while a network trains: gradual pruning, dynamic sparsity, penalties, reparameterisations. A rule is a value that can be
 * used for any number of trainings; what it remembers during one belongs to the hooks that `begin` returns, and is saved with
 * the weights and the optimizer, so that a training that was stopped goes on to the same bytes.
 *
 * One step, in this order, over the weights w of all parameters:
 *   1. gradients of the mean loss of the mini-batch in w, of pruned weights too;
 *   2. every rule's `penalty`, then every rule's `onGradients`, in the order of the rules;
 *   3. the optimizer moves the kept weights (or, of a reparameterised parameter, theta; then w = f(theta));
 *   4. every rule's `afterStep`, which may change masks.
 */
import type { ParamInfo } from "../data/model.ts";
import type { Mask, Mat, Vec } from "../problem/matrix.ts";
import type { StateTensor } from "../retraining/retrainer.ts";
import type { RunContext } from "../run-context.ts";

/** A rule by name. */
export interface TrainingRule {
  /** For messages, states and reports, for example "gmp". Rules of one training have different names. */
  readonly name: string;
  /** Everything that decides what the rule does, as JSON: a training is resumed only under the same settings. */
  readonly settings: string;
  /**
   * Whether it changes masks, and whether weights come back by that. Rules that cannot go together are refused before the first step; absent: it
   * changes none, or that is told when it happens.
   */
  readonly masks?: "prunes" | "regrows";
  /** Starts the rule for one training. Must not change what it is given. */
  begin(training: TrainingSetup): RuleHooks;
}

/** What is known before the first step. */
export interface TrainingSetup {
  /** All trainable parameters, those that pruning does not touch included. */
  readonly params: readonly ParamInfo[];
  /** The weights that training starts from, canonical, by parameter. */
  readonly weights: ReadonlyMap<string, Mat>;
  /** Steps of the whole training, >= 0. */
  readonly steps: number;
  /** Steps of an epoch, >= 1. */
  readonly stepsPerEpoch: number;
  /** The masks that training starts with, 1 = keep, by parameter; a parameter without one is dense. What they prune stays pruned. */
  readonly masks: ReadonlyMap<string, Mask>;
}

/** What a rule does during one training; every hook may be left out. */
export interface RuleHooks {
  /**
   * Masks of the first step, by parameter, for rules that are sparse from the start; asked once, before `reparameterize`. A parameter that is left out keeps
   * what it has. Weights that a mask leaves out become 0. At most one rule a parameter.
   *
   * @param ctx - random numbers forked by rule
   */
  initialMasks?(ctx: RunContext): ReadonlyMap<string, Mask>;
  /** Trains theta with w = f(theta) in place of w; undefined: this parameter is trained as it is. At most one rule a parameter. */
  reparameterize?(param: ParamInfo): Reparameterization | undefined;
  /** Returns a value that is added to the loss, and adds its gradient to `at.gradients` in place. Must be finite. */
  penalty?(at: TrainingStep): number;
  /** May change `at.gradients` in place. They must stay finite. */
  onGradients?(at: TrainingStep): void;
  /** May change masks, with `at.setMask`. `at.step` counts the step that was just made. */
  afterStep?(at: TrainingStep): void | Promise<void>;
  /** What the rule remembers, as tensors named within the rule; copies. Absent: nothing. */
  state?(): readonly StateTensor[];
  /** Puts tensors of `state` back. */
  restore?(state: readonly StateTensor[]): void;
}

/** w = f(theta), with the backward rule. Neither function may keep or change its inputs; `out` is overwritten. */
export interface Reparameterization {
  /** The shape of theta, in which `initial` and the gradient are laid out, row-major. */
  readonly shape: readonly number[];
  /** theta whose weights are `w`; new array. */
  initial(w: Vec): Vec;
  /** out = f(theta), canonical, in the order of the parameter's matrix. */
  toWeights(theta: Vec, out: Vec): void;
  /** out = dL/dtheta for `gradient` = dL/dw. */
  toGradient(theta: Vec, gradient: Vec, out: Vec): void;
}

/** A moment of training, for the hooks. Valid during the call only. */
export interface TrainingStep {
  /** Steps made so far; in `afterStep` the one just made counts. */
  readonly step: number;
  /** Steps of the whole training. */
  readonly steps: number;
  readonly stepsPerEpoch: number;
  /** The learning rate of this step. */
  readonly rate: number;
  readonly params: readonly ParamInfo[];
  /** Weights by parameter, canonical; not to be changed: use masks, penalties or a reparameterisation. */
  readonly weights: ReadonlyMap<string, Mat>;
  /** Gradients of the mean loss of the mini-batch by parameter, canonical; in `afterStep` those that the step was made with. */
  readonly gradients: ReadonlyMap<string, Mat>;
  /** Masks by parameter, 1 = keep; a parameter without one is dense. */
  readonly masks: ReadonlyMap<string, Mask>;
  /**
   * Gives a parameter a mask (copied). Weights that it prunes become 0 and are forgotten by the optimizer; weights that it brings back start
   * at 0 without momentum. In `afterStep` only; at most one rule changes the masks of a parameter, and none brings back what the masks of the setup prune.
   *
   * @param mask - [rows * cols] of the canonical matrix, 0 or 1
   * @throws ERR_TRAINING_RULE for a parameter that is not there, another length, other values, or outside `afterStep`
   */
  setMask(param: string, mask: Mask): void;
  /** Random numbers forked by rule and step, so that a resumed training draws the same; kernels; the signal. */
  readonly ctx: RunContext;
}
