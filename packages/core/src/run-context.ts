import type { Limit } from "./budget/budget.ts";
import { aborted } from "./errors.ts";
import type { Kernels } from "./kernels/kernels.ts";
import { referenceKernels } from "./kernels/reference-kernels.ts";
import type { SolveStatus } from "./problem/problem.ts";
import { createRng, type Rng } from "./rng.ts";

/** Everything that happens in a run, as plain data: feeds progress bars, a JSON-lines log and the report. */
export type RunEvent =
  | { readonly type: "run:start"; readonly stages: number; readonly sparsity: number; readonly prunable: number }
  | {
      readonly type: "stage:start";
      readonly index: number;
      readonly stages: number;
      readonly sparsity: number;
      /** Where other things than the number of single weights are limited. */
      readonly limits?: readonly Limit[];
    }
  | {
      readonly type: "stage:end";
      readonly index: number;
      readonly stages: number;
      readonly sparsity: number;
      readonly objective: number;
      readonly nonzeros: number;
      readonly gradientMs: number;
      readonly solveMs: number;
      readonly values: Readonly<Record<string, number>>;
    }
  | {
      readonly type: "progress";
      /** What is being done: "gradients", "solve", "evaluate", "train", ... */
      readonly task: string;
      readonly done: number;
      readonly total?: number;
      readonly values: Readonly<Record<string, number>>;
    }
  | { readonly type: "round:start"; readonly index: number; readonly rounds: number; readonly sparsity: number }
  | {
      /** One round of pruning and retraining is over. */
      readonly type: "round:end";
      readonly index: number;
      readonly rounds: number;
      readonly sparsity: number;
      readonly values: Readonly<Record<string, number>>;
    }
  | {
      readonly type: "epoch:end";
      /** Epochs done, of how many of this round. */
      readonly epoch: number;
      readonly epochs: number;
      readonly values: Readonly<Record<string, number>>;
    }
  | { readonly type: "solve:end"; readonly problem: string; readonly objective: number; readonly status: SolveStatus }
  | {
      readonly type: "note";
      readonly level: "debug" | "info" | "warn";
      readonly code: string;
      readonly message: string;
    };

/** What every long-running call receives. */
export interface RunContext {
  readonly signal: AbortSignal;
  readonly rng: Rng;
  readonly kernels: Kernels;
  /** Milliseconds of a monotonic clock; for timings in reports only, never for a decision. */
  now(): number;
  report(event: RunEvent): void;
  /** To be awaited in every outer round of a long loop: reports progress, lets other work run, throws ERR_ABORTED after an abort. */
  tick(progress: {
    task: string;
    done: number;
    total?: number;
    values?: Readonly<Record<string, number>>;
  }): Promise<void>;
}

/** Options of {@link createRunContext}; every one has a default. */
export interface RunContextOptions {
  /** Default 0. */
  readonly seed?: number;
  /** Default: the reference kernels (plain TypeScript, one thread). */
  readonly kernels?: Kernels;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
}

/** A run context from a seed, kernels, an abort signal and an event listener. */
export function createRunContext(options: RunContextOptions = {}): RunContext {
  const { seed = 0, kernels = referenceKernels, onEvent = () => {} } = options;
  const signal = options.signal ?? new AbortController().signal;
  const pause = occasionalPause();
  return {
    signal,
    rng: createRng(seed),
    kernels,
    now: () => performance.now(),
    report: onEvent,
    async tick({ task, done, total, values = {} }) {
      onEvent({ type: "progress", task, done, ...(total === undefined ? {} : { total }), values });
      await pause();
      throwIfAborted(signal);
    },
  };
}

/** The same context with its random numbers forked under a label. */
export function forkContext(ctx: RunContext, label: string): RunContext {
  return { ...ctx, rng: ctx.rng.fork(label) };
}

/** The same context without its events; it still aborts. */
export function quietContext(ctx: RunContext): RunContext {
  const pause = occasionalPause();
  return {
    ...ctx,
    report: () => {},
    async tick() {
      await pause();
      throwIfAborted(ctx.signal);
    },
  };
}

/** @throws ERR_ABORTED when the signal has fired */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw aborted(signal.reason);
}

/** A macrotask lets signals and timers in; a few dozen a second are enough, and each costs less than a millisecond. */
function occasionalPause(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last <= 20) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    last = performance.now();
  };
}
