/** The loop of a campaign: damages files, reads them, and judges each verdict. */
import { createRng, isPruneError } from "@secateur/core";
import type { FuzzFormat } from "./fuzz-format.ts";
import { mutateBytes, oneOf } from "./mutate-bytes.ts";

/** A small file may take so much processor time; larger ones do not occur here. */
const MAX_MS = 1000;
/** Beside ten times the larger of the file and its content. */
const MAX_EXTRA_BYTES = 64 * 2 ** 20;

/** A case that broke a promise. */
export interface Fault {
  /** which promise: "untyped", "slow", "memory", "message" */
  readonly kind: string;
  readonly format: string;
  readonly seed: number;
  /** number of the case, counted from 0: the same seed and number give the same file */
  readonly index: number;
  readonly detail: string;
  readonly file: Uint8Array;
}

/** What a campaign found. */
export interface FuzzReport {
  readonly format: string;
  readonly seed: number;
  readonly cases: number;
  /** how often each verdict came: "accepted" or the code of an error */
  readonly verdicts: ReadonlyMap<string, number>;
  readonly faults: readonly Fault[];
  /** processor time of the slowest case; 0 where time is not judged */
  readonly slowestMs: number;
}

/**
 * Reads damaged files until one of the limits is reached.
 *
 * @param spec.cases - number of cases; @param spec.until - a time of performance.now(), in ms
 * @param spec.isTimed - judge time and memory too, which only means something on a machine that does nothing else
 */
export async function runFuzz(spec: {
  format: FuzzFormat;
  seed: number;
  cases: number;
  until: number;
  isTimed: boolean;
}): Promise<FuzzReport> {
  const { format, seed, cases, until, isTimed } = spec;
  const verdicts = new Map<string, number>();
  const faults: Fault[] = [];
  let slowestMs = 0;
  let index = 0;
  // What is loaded and compiled once is no cost of a file.
  const warmUp = async (file: Uint8Array): Promise<number> => await format.read(file);
  for (const file of isTimed ? format.corpus : []) await warmUp(file).catch(() => 0);
  for (; index < cases && performance.now() < until; index++) {
    const file = damagedFile(format, seed, index);
    const report = (kind: string, detail: string): number =>
      faults.push({ kind, detail, format: format.name, seed, index, file });
    const before = isTimed ? process.memoryUsage.rss() : 0;
    const start = isTimed ? process.cpuUsage() : undefined;
    let verdict = "accepted";
    let decoded = 0;
    try {
      decoded = await format.read(file);
    } catch (error) {
      if (isPruneError(error)) {
        verdict = error.code;
        if (error.fault !== "input") report("untyped", `fault ${error.fault}: ${error.message}`);
        if (/[\p{Cc}\p{Cf}]/u.test(error.message)) report("message", "control characters");
        if (error.message.length > 2200) report("message", `${error.message.length} characters`);
      } else {
        verdict = "untyped";
        report("untyped", error instanceof Error ? (error.stack ?? error.message).slice(0, 1000) : String(error));
      }
    }
    if (start !== undefined) {
      // Time of the processor: what else the machine does must not count.
      const { user, system } = process.cpuUsage(start);
      const ms = (user + system) / 1000;
      slowestMs = Math.max(slowestMs, ms);
      if (ms > MAX_MS) report("slow", `${ms.toFixed(0)} ms`);
      const grown = process.memoryUsage.rss() - before;
      if (grown > MAX_EXTRA_BYTES + 10 * Math.max(file.length, decoded)) report("memory", `${grown} bytes`);
    }
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
  }
  return { format: format.name, seed, cases: index, verdicts, faults, slowestMs };
}

/** The file of one case. Each has a generator of its own, so that a fault is repeated without all cases before it. */
function damagedFile(format: FuzzFormat, seed: number, index: number): Uint8Array {
  const rng = createRng(seed).fork(`${format.name} ${index}`);
  const { mutate, corpus } = format;
  const isStructured = mutate !== undefined && rng.next() < 0.6;
  const file = isStructured ? mutate(rng) : oneOf(rng, corpus);
  return isStructured && rng.next() < 0.7 ? file : mutateBytes(rng, file, corpus);
}
