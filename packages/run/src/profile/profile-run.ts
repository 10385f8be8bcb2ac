/** Where the time of a run goes, seen from outside: which task the time before each of its reports belongs to, and which kernels it was spent in. */
import type { Kernels, RunEvent } from "@secateur/core";

/** Time of one task or kernel. */
export interface ProfiledPart {
  readonly name: string;
  /** Milliseconds of the clock. */
  readonly ms: number;
  /** Reports of the task, or calls of the kernel. */
  readonly calls: number;
}

/** A run under watch. */
export interface RunProfile {
  /** The same kernels, timed. A call inside another counts for the outer one. */
  readonly kernels: Kernels;
  /** To be told of every event. */
  onEvent(event: RunEvent): void;
  /** What was spent so far, the longest first; the tasks add up to all time since the profile began. */
  parts(): { readonly tasks: readonly ProfiledPart[]; readonly kernels: readonly ProfiledPart[] };
}

/** The task of time after which nothing was reported: opening and writing files, among others. */
export const unreported = "everything else";

/**
 * Begins to watch. Costs a look at the clock for each call of a kernel and each event.
 *
 * @param now - milliseconds of a clock that never goes back
 * @example
 * const profile = profileRun(kernels, () => performance.now());
 * await prune({ ...request, kernels: profile.kernels, onEvent: profile.onEvent });
 * console.error(profile.parts().tasks);
 */
export function profileRun(kernels: Kernels, now: () => number): RunProfile {
  const tasks = new Map<string, Spent>();
  const calls = new Map<string, Spent>();
  let isInside = false;
  let last = now();
  const timed = <A extends readonly unknown[], R>(name: string, call: (...args: A) => R): ((...args: A) => R) => {
    return (...args) => {
      if (isInside) return call(...args);
      isInside = true;
      const started = now();
      try {
        return call(...args);
      } finally {
        isInside = false;
        add(calls, name, now() - started);
      }
    };
  };
  const watched = Object.entries(kernels).map(([name, part]) => [
    name,
    typeof part === "function" ? timed(name, part.bind(kernels)) : part,
  ]);
  return {
    kernels: Object.fromEntries(watched) as Kernels,
    onEvent(event) {
      if (event.type !== "progress") return;
      const at = now();
      // A report comes when a piece of its task is done: what went before it is the task's.
      add(tasks, event.task, at - last);
      last = at;
    },
    parts() {
      const others = { ms: now() - last, calls: 1 };
      const before = tasks.get(unreported);
      const all = new Map(tasks).set(unreported, before ? { ms: before.ms + others.ms, calls: before.calls } : others);
      return { tasks: sorted(all), kernels: sorted(calls) };
    },
  };
}

interface Spent {
  ms: number;
  calls: number;
}

function add(to: Map<string, Spent>, name: string, ms: number): void {
  const spent = to.get(name);
  if (spent) {
    spent.ms += ms;
    spent.calls++;
  } else to.set(name, { ms, calls: 1 });
}

function sorted(parts: ReadonlyMap<string, Spent>): readonly ProfiledPart[] {
  return [...parts].map(([name, spent]) => ({ name, ...spent })).sort((a, b) => b.ms - a.ms);
}
