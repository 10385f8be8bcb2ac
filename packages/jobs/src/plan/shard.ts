/** Parts of a plan: which jobs one machine of many runs that share nothing, and how its results travel. */
import { badShard } from "../errors.ts";
import type { Job } from "../job/job.ts";

/** The `index`-th of `count` parts, from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** From "3/16". @throws ERR_USAGE */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (!(shard.index >= 1 && shard.index <= shard.count)) throw badShard(text);
  return shard;
}

/** "3/16" again. */
export function shardText({ index, count }: Shard): string {
  return `${index}/${count}`;
}

/**
 * The jobs of a part: every count-th, so that long and short ones, which stand in blocks, are spread; with those that they wait for, which a machine
 * that shares nothing has to run itself.
 */
export function jobsOfShard(jobs: readonly Job[], { index, count }: Shard): readonly Job[] {
  const own = new Set(jobs.filter((_job, place) => place % count === index - 1).map(({ id }) => id));
  // Predecessors stand before those that wait for them.
  for (const { id, content } of [...jobs].reverse()) {
    if (own.has(id)) for (const before of content.after) own.add(before);
  }
  return jobs.filter(({ id }) => own.has(id));
}
