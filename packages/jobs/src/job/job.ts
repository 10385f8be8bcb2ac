/** A job: everything that decides its result, and the hash of that as its name. */
import { createHash } from "node:crypto";
import { decodeJson, encodeJson, type Json } from "./canonical-json.ts";

/** SHA-256, hexadecimal. */
export type Hash = string;

/** Everything that decides a result. Two jobs of the same content are one job. */
export interface JobContent {
  /** Which of a program's functions runs it. A message never carries code. */
  readonly kind: string;
  readonly settings: Json;
  /** Bytes in the store that it reads, by name. */
  readonly inputs: Readonly<Record<string, Hash>>;
  /** Ids of jobs whose results it reads, in the order in which it reads them. */
  readonly after: readonly Hash[];
  /** Name to version of every package that decides the result, plugins included. A worker has the same or leaves the job to another. */
  readonly packages: Readonly<Record<string, string>>;
}

/** A job with its name. */
export interface Job {
  /** SHA-256 of the content's bytes, which the store keeps under this very name. */
  readonly id: Hash;
  readonly content: JobContent;
  /** For people; decides nothing. */
  readonly label: string;
}

/** What is known of a finished job: where its result is, and what is no part of it. */
export interface JobRecord {
  /** Of the result's bytes. */
  readonly result: Hash;
  /** What was measured along the way, such as times: it differs between runs, so it is beside the result. */
  readonly measured: Json;
  /** Who computed it, for people. */
  readonly where: string;
  /** Milliseconds that it took. */
  readonly ms: number;
}

/** The SHA-256 of bytes. */
export function hashOf(bytes: Uint8Array): Hash {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Names a job. Its content is as whoever reads it from a store has it, in the order of keys too, on which results may depend. */
export function makeJob(content: JobContent, label: string): Job {
  const bytes = encodeJson(contentJson(content));
  return { id: hashOf(bytes), content: decodeJson(bytes) as unknown as JobContent, label };
}

/** The content as JSON, of whose bytes the id is the hash. */
export function contentJson({ kind, settings, inputs, after, packages }: JobContent): Json {
  return { kind, settings, inputs, after, packages };
}
