/** What the parts of one run share: kernels, seed, signal, and who listens to its events. */
import type { Kernels, RunContext, RunEvent } from "@secateur/core";

/** The kernels that a run chooses among. */
export const kernelChoices = ["wasm", "reference"] as const;

/** One of {@link kernelChoices}. */
export type KernelChoice = (typeof kernelChoices)[number];

/** A run's surroundings, alive as long as the run. */
export interface Session {
  readonly kernels: Kernels;
  readonly kernelChoice: KernelChoice;
  readonly seed: number;
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
  /** A context with the session's seed, kernels, signal and listeners. */
  context(): RunContext;
}
