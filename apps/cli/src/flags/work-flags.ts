/** Flags that say where the jobs of a command run, defined once for all that have some. */
import process from "node:process";
import { parseQueueAddress, parseShard, type Shard } from "@secateur/jobs";
import type { WorkFlags } from "@secateur/run/node/jobs/work-place";
import { type Command, Option } from "commander";
import { absolutePath } from "../run/absolute-path.ts";
import type { Terminal } from "../terminal.ts";
import { wholeParser } from "./number.ts";

/** What these flags add, as commander hands them over. */
export interface JobFlags {
  readonly store?: string;
  readonly workers?: number;
  readonly queue?: string;
  readonly shard?: Shard;
}

/** --queue and --store, of commands that serve or look at a queue too. */
export function addQueueFlags(command: Command): void {
  command
    .option(
      "--queue <url>",
      "redis://, rediss:// (TLS) or postgres://USER:PASSWORD@HOST:PORT, with ?name=NAME for a queue of that name (default: what SECATEUR_QUEUE says)",
    )
    .option(
      "--store <dir>",
      "folder, or s3://BUCKET/PREFIX, of data and results by content; with a queue all machines see it (default: what SECATEUR_STORE says)",
    );
}

/** --workers, --queue, --store, and --shard where `hasShards`. */
export function addWorkFlags(command: Command, { hasShards }: { hasShards: boolean }): void {
  command
    .optionsGroup("Where the work is done (results do not depend on it):")
    .addOption(
      new Option(
        "--workers <n>",
        "threads of this process, a run, a layer or a shard in each (default: one at a time)",
      ).argParser(wholeParser("--workers", 1, 256)),
    );
  addQueueFlags(command);
  if (!hasShards) return;
  command.addOption(
    new Option("--shard <i/n>", "make the i-th of n parts only, for secateur merge").argParser(parseShard),
  );
}

/** The flags with absolute paths, completed by the environment. @param isAlways - whether the command has jobs in any case */
export function workFlags(flags: JobFlags, terminal: Terminal, isAlways = false): WorkFlags {
  const { SECATEUR_QUEUE, SECATEUR_STORE } = process.env;
  const { workers, shard, queue = SECATEUR_QUEUE || undefined, store = SECATEUR_STORE || undefined } = flags;
  // A store that only the environment names decides nothing by itself.
  const isAsked = isAlways || [flags.store, workers, shard, queue].some((flag) => flag !== undefined);
  return { workers, shard, queue, store: isAsked ? storePlace(store, terminal) : undefined };
}

/** A folder as an absolute path; a bucket as it is. */
export function storePlace(store: string | undefined, terminal: Terminal): string | undefined {
  return store === undefined || store.startsWith("s3://") ? store : absolutePath(terminal, store);
}

/** Arguments as reports may show them: the address of a queue without its password. */
export function shownArguments(argv: readonly string[]): readonly string[] {
  const shown = (address: string): string => parseQueueAddress(address).shown;
  const own = (word: string): string => (word.startsWith("--queue=") ? `--queue=${shown(word.slice(8))}` : word);
  return argv.map((word, place) => (argv[place - 1] === "--queue" ? shown(word) : own(word)));
}
