import type { FlatParam, Problem, RunContext } from "@secateur/core";

/** The gradients of a network at its present weights. */
export interface NetworkGradients {
  readonly params: readonly FlatParam[];
  /** Flat weights [p] at which they were taken, in the order of `params`. */
  readonly weights: Float32Array;
  readonly rows: number;
  /** Damping that every problem gets, >= 0: the whole network's automatic one unless it was given. */
  readonly ridge: number;
  readonly gradientMs: number;
  /**
   * The problem of keeping exactly `keep` weights of the named layers, all others left alone.
   *
   * @param names - in the network's order
   */
  problem(names: readonly string[], keep: number, ctx: RunContext): Problem;
}
