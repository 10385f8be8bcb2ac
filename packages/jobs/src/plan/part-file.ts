/** A part's results as bytes, and many parts put together in a store: what `--shard` writes and `merge` reads. */
import { isPruneError } from "@secateur/core";
import { notAPart, notReproduced, partsMissing, partsOfOtherPlans, partTwice } from "../errors.ts";
import { canonicalJson, decodeJson, encodeInOrder, encodeJson, type Json } from "../job/canonical-json.ts";
import { contentJson, hashOf, type Job, type JobRecord } from "../job/job.ts";
import { findRecord, readResult, recordName } from "../job/perform-job.ts";
import type { Store } from "../store/store.ts";
import { type Shard, shardText } from "./shard.ts";

/** A part of a plan. */
export interface Part {
  /** Where it was read from, for messages. */
  readonly path: string;
  readonly shard: Shard;
  /** Hash of all the plan's jobs. */
  readonly plan: string;
  /** What the command was asked for: whoever merges goes on from it. */
  readonly request: Json;
  readonly results: readonly { readonly id: string; readonly record: JobRecord; readonly result: Json }[];
}

/** Names a plan by all that its jobs are. */
export function planHash(jobs: readonly Job[]): string {
  return hashOf(encodeJson(jobs.map(({ content }) => contentJson(content))));
}

/**
 * The results of a part's jobs, all of which are finished.
 *
 * @param spec.jobs - of the whole plan; @param spec.own - of this part
 */
export async function encodePart(spec: {
  store: Store;
  jobs: readonly Job[];
  own: readonly Job[];
  shard: Shard;
  request: Json;
}): Promise<Uint8Array> {
  const { store, jobs, own, shard, request } = spec;
  const results: Part["results"][number][] = [];
  for (const { id } of own) {
    const record = (await findRecord(store, id))!;
    results.push({ id, record, result: await readResult(store, id, record) });
  }
  const content = { secateurPart: 1, shard: { ...shard }, plan: planHash(jobs), request, results };
  return encodeInOrder(content as unknown as Json);
}

/** @throws ERR_PART */
export function decodePart(bytes: Uint8Array, path: string): Part {
  let json: Json;
  try {
    json = decodeJson(bytes);
  } catch (error) {
    if (isPruneError(error)) throw error;
    throw notAPart(path, "it is no JSON");
  }
  const { secateurPart, shard, plan, results, request } = (json ?? {}) as unknown as Part & { secateurPart?: number };
  if (typeof secateurPart === "number" && secateurPart !== 1)
    throw notAPart(path, "another version of secateur wrote it");
  const isWhole = isShard(shard) && isHash(plan) && Array.isArray(results) && results.every(isResult);
  if (secateurPart !== 1 || !isWhole || request === undefined) throw notAPart(path, "it is no part of a plan");
  const damaged = results.find(({ record, result }) => hashOf(encodeInOrder(result)) !== record.result);
  if (damaged) throw notAPart(path, `the result of job ${damaged.id.slice(0, 12)} is damaged`);
  return { path, shard, plan, request, results };
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

function isShard(value: unknown): value is Shard {
  const { index, count } = (value ?? {}) as Partial<Shard>;
  const isPlace = (number: unknown): boolean => Number.isSafeInteger(number) && (number as number) >= 1;
  return isPlace(index) && isPlace(count) && index! <= count! && count! < 1_000_000;
}

function isResult(value: unknown): value is Part["results"][number] {
  const { id, record, result } = (value ?? {}) as Partial<Part["results"][number]>;
  const { result: hash, where, ms, measured } = (record ?? {}) as Partial<JobRecord>;
  const isRecord = isHash(hash) && typeof where === "string" && typeof ms === "number" && measured !== undefined;
  return isHash(id) && isRecord && result !== undefined;
}

/** Every part of one plan once. @throws ERR_PART for what is twice, missing, or of another plan */
export function assertWholePlan(parts: readonly Part[]): void {
  const [first] = parts;
  const seen = new Map<number, Part>();
  for (const part of parts) {
    const paths = [first!.path, part.path] as const;
    if (part.shard.count !== first!.shard.count) {
      throw partsOfOtherPlans(paths, `${part.shard.count} parts, not ${first!.shard.count}`);
    }
    if (part.plan !== first!.plan) throw partsOfOtherPlans(paths, "its jobs are others");
    if (canonicalJson(part.request) !== canonicalJson(first!.request)) {
      throw partsOfOtherPlans(paths, "the arguments of its command, or the versions of packages and Node, are others");
    }
    const twice = seen.get(part.shard.index);
    if (twice) throw partTwice([twice.path, part.path], shardText(part.shard));
    seen.set(part.shard.index, part);
  }
  const { count } = first!.shard;
  const missing = Array.from({ length: count }, (_, place) => place + 1).filter((index) => !seen.has(index));
  if (missing.length > 0)
    throw partsMissing(
      missing.map((index) => shardText({ index, count })),
      count,
    );
}

/** Puts the results of a part into a store, as if its jobs had been run there. @throws ERR_NOT_REPRODUCED where a job gave other bytes there */
export async function storePart(store: Store, { path, results }: Part): Promise<void> {
  for (const { id, record, result } of results) {
    const before = await findRecord(store, id);
    if (before && before.result !== record.result) {
      throw notReproduced({ label: `${path}, job ${id.slice(0, 12)}`, before: before.result, now: record.result });
    }
    if (before) continue;
    await store.put(encodeInOrder(result));
    await store.write(recordName(id), encodeJson(record as unknown as Json));
  }
}
