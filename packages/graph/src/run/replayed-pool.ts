/** Pools that write down what a run takes, and hand it out again in the next one. */
import type { Pool, Vec } from "@secateur/core";

/** A pool of one run of those that follow each other. */
export interface RunPool extends Pool {
  /** Takes a vector whose numbers hold from run to run, as long as the recording is kept: no other unit of it ever has it. */
  takeLasting(length: number): Vec;
}

/** A pool that writes down what is taken from it. */
export interface Recorder extends RunPool {
  /** Every vector that was taken. */
  readonly all: ReadonlySet<Vec>;
  /** A unit of the run begins. */
  begin(): void;
  /** What was taken since, in this order. */
  taken(): readonly Vec[];
  /** Gives everything back to the pool behind it. */
  release(): void;
}

/** A pool that hands out what was taken before. */
export interface Repeater extends RunPool {
  /** A unit begins that took these. */
  begin(taken: readonly Vec[]): void;
  /** Whether all of it was taken, and nothing else. */
  isDone(): boolean;
  /** Gives back what was taken besides. */
  release(): void;
}

/** A pool that writes down what is taken from it, and keeps what it was given for itself until it is released. */
export function createRecorder(pool: Pool): Recorder {
  const free = new Map<number, Vec[]>();
  const all = new Set<Vec>();
  let now: Vec[] = [];
  const wrote = (vector: Vec): Vec => {
    all.add(vector);
    now.push(vector);
    return vector;
  };
  return {
    kernels: pool.kernels,
    dtype: pool.dtype,
    all,
    begin(): void {
      now = [];
    },
    taken: (): readonly Vec[] => now,
    take: (length: number): Vec => wrote(free.get(length)?.pop() ?? pool.take(length)),
    // One that is free now belongs to units before this one, which write to it in the next run.
    takeLasting: (length: number): Vec => wrote(pool.take(length)),
    give(vector: Vec): void {
      const list = free.get(vector.length);
      if (list) list.push(vector);
      else free.set(vector.length, [vector]);
    },
    close: () => pool.close(),
    release(): void {
      for (const vector of all) pool.give(vector);
      all.clear();
      free.clear();
    },
  };
}

/** A pool that hands out what was taken before, in the same order. */
export function createRepeater(pool: Pool): Repeater {
  let [left, next]: [readonly Vec[], number] = [[], 0];
  const other: Vec[] = [];
  const take = (length: number): Vec => {
    const vector = left[next++];
    if (vector?.length === length) return vector;
    // The run ends after this unit, which still has to have something to write to.
    const fresh = pool.take(length);
    other.push(fresh);
    return fresh;
  };
  return {
    kernels: pool.kernels,
    dtype: pool.dtype,
    begin(taken: readonly Vec[]): void {
      left = taken;
      next = 0;
    },
    isDone: (): boolean => other.length === 0 && next === left.length,
    release(): void {
      for (const vector of other) pool.give(vector);
      other.length = 0;
    },
    take,
    takeLasting: take,
    give(): void {},
    close: () => pool.close(),
  };
}
