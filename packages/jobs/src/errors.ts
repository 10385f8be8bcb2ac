/** Every error this package raises, one factory each. Codes are stable; messages may improve. */
import { isPruneError, PruneError } from "@secateur/core";

/** A folder that holds other things than a store. */
export function notAStore(place: string): PruneError {
  return new PruneError(
    "ERR_STORE",
    `${place}: this folder has files in it and is no store of secateur; name an empty or a new folder for --store`,
    { details: { place } },
  );
}

/** A place without a store, where none is to be made. */
export function noStore(place: string): PruneError {
  return new PruneError(
    "ERR_STORE",
    `${place}: there is no store here; give --store as the workers and the commands that hand work out have it`,
    { details: { place, isMissing: true } },
  );
}

/** Whether an error says that there is no store at a place. */
export function isNoStore(error: unknown): boolean {
  return isPruneError(error) && error.details["isMissing"] === true;
}

/** The store cannot be read or written. @param spec.what - "written", "read", "made" */
export function storeFailed(spec: { place: string; what: string; cause: unknown }): PruneError {
  const { place, what, cause } = spec;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PruneError(
    "ERR_STORE",
    `${place}: the store cannot be ${what} (${reason}); check the folder and its rights`,
    {
      fault: "runtime",
      cause,
      details: { place, what },
    },
  );
}

/** A place where no store can be made. */
export function storeNotMade(place: string, cause: unknown): PruneError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PruneError(
    "ERR_STORE",
    `${place}: no store can be made here (${reason}); name another folder for --store`,
    {
      cause,
      details: { place, reason },
    },
  );
}

/** No room is left where results go. */
export function storeFull(place: string, cause: unknown): PruneError {
  return new PruneError(
    "ERR_STORE_FULL",
    `${place}: the store is full, so the result was not kept; make room and repeat the command: what is finished is not done again`,
    { fault: "runtime", cause, details: { place } },
  );
}

/** Bytes that were named and are not there. */
export function blobMissing(place: string, hash: string): PruneError {
  return new PruneError(
    "ERR_BLOB_MISSING",
    `${place}: the store has no bytes of hash ${hash}; name the store that the jobs were submitted with`,
    { details: { place, hash } },
  );
}

/** Bytes whose hash is another one than their name. */
export function blobDamaged(place: string, hash: string): PruneError {
  return new PruneError(
    "ERR_BLOB_DAMAGED",
    `${place}: the bytes of hash ${hash} are damaged and were moved aside; repeat the command, which writes them again`,
    { fault: "runtime", details: { place, hash } },
  );
}

/** A bucket that cannot be opened. */
export function badBucket(place: string, reason: string): PruneError {
  return new PruneError(
    "ERR_STORE",
    `--store ${place}: ${reason}; name it as s3://BUCKET/PREFIX, and say who you are by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (where, by AWS_REGION or AWS_ENDPOINT_URL_S3)`,
    { details: { place, reason } },
  );
}

/** The package for buckets, which nobody installed. */
export function bucketNotInstalled(cause: unknown): PruneError {
  return new PruneError(
    "ERR_STORE",
    "stores in buckets need s3mini, which is not installed here; run npm install s3mini",
    {
      cause,
    },
  );
}

/** A file's name, from another machine, that is none. */
export function badName(name: string): PruneError {
  return new PruneError(
    "ERR_STORE",
    `the store's list of files has the name '${name}', which leads elsewhere; it was not made by secateur`,
    {
      details: { name },
    },
  );
}

/** A job of a kind that this program does not know. */
export function unknownKind(kind: string, known: readonly string[]): PruneError {
  return new PruneError(
    "ERR_JOB_KIND",
    `a job is of the kind '${kind}', and known here are ${known.join(", ")}; let submitter and worker be of one version`,
    { details: { kind, known } },
  );
}

/** A plan whose jobs wait for each other, or for a job that is not in it. */
export function badPlan(job: string, missing: string): PruneError {
  return new PruneError("ERR_PLAN", `the job '${job}' waits for ${missing}, which cannot come before it in the plan`, {
    details: { job, missing },
  });
}

/** The work was called off. */
export function cancelled(): PruneError {
  return new PruneError("ERR_ABORTED", "called off; finished work is kept, and the same command goes on from it", {
    fault: "runtime",
  });
}

/** A job whose like gave other bytes before. */
export function notReproduced(spec: { label: string; before: string; now: string }): PruneError {
  return new PruneError(
    "ERR_NOT_REPRODUCED",
    `${spec.label}: two workers gave different bytes for it (${spec.before.slice(0, 12)} and ${spec.now.slice(0, 12)}); one of the machines, or of the methods, is not deterministic: this is worth a report`,
    { fault: "runtime", details: spec },
  );
}

/** The thread of a job ended under it. */
export function threadDied(label: string, reason: string): PruneError {
  return new PruneError(
    "ERR_JOB_THREAD",
    `${label}: the thread that computed it ended (${reason}); if it ran out of memory, give it more, or fewer jobs at a time`,
    {
      fault: "runtime",
      details: { label, reason },
    },
  );
}

/** A worker's memory grew beyond what it may take. */
export function memoryExceeded(spec: { label: string; bytes: number; limit: number }): PruneError {
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  return new PruneError(
    "ERR_JOB_MEMORY",
    `${spec.label}: the worker's memory reached ${gib(spec.bytes)} while it was computed, and --memory allows ${gib(spec.limit)}; allow more, or fewer jobs at a time (--jobs)`,
    { fault: "runtime", details: spec },
  );
}

/** A text that names no part of a plan. */
export function badShard(found: string): PruneError {
  return new PruneError("ERR_USAGE", `--shard: found '${found}', allowed is I/N, the I-th of N parts, such as 3/16`, {
    details: { found },
  });
}

/** A file that is no part of a plan. */
export function notAPart(path: string, reason: string): PruneError {
  return new PruneError("ERR_PART", `${path}: ${reason}; parts are what a command writes with --shard I/N --out FILE`, {
    details: { path, reason },
  });
}

/** Parts that do not belong together. */
export function partsOfOtherPlans(paths: readonly [string, string], reason: string): PruneError {
  return new PruneError(
    "ERR_PART",
    `${paths[1]} is of another plan than ${paths[0]} (${reason}); merge the parts of one command, each with the same arguments but for --shard`,
    { details: { paths, reason } },
  );
}

/** The same part twice. */
export function partTwice(paths: readonly [string, string], shard: string): PruneError {
  return new PruneError("ERR_PART", `${paths[0]} and ${paths[1]} are both part ${shard}; give each part once`, {
    details: { paths, shard },
  });
}

/** Parts that are not there. */
export function partsMissing(missing: readonly string[], count: number): PruneError {
  return new PruneError(
    "ERR_PART",
    `of ${count} parts ${missing.slice(0, 8).join(", ")}${missing.length > 8 ? ` and ${missing.length - 8} more` : ""} ${missing.length === 1 ? "is" : "are"} missing; run ${missing.length === 1 ? "it" : "them"} and merge all together`,
    { details: { missing, count } },
  );
}

/** A queue's address that cannot be understood. Its password is never shown. */
export function badAddress(shown: string): PruneError {
  return new PruneError(
    "ERR_QUEUE",
    `--queue: '${shown}' is no address of a queue; allowed is redis://HOST:PORT, rediss://USER:PASSWORD@HOST:PORT (TLS), or postgres://USER:PASSWORD@HOST:PORT/DATABASE`,
    { details: { shown } },
  );
}

/** A package that queues need and nobody installed. */
export function queueNotInstalled(packages: readonly string[], cause: unknown): PruneError {
  return new PruneError(
    "ERR_QUEUE",
    `queues need ${packages.join(" and ")}, which ${packages.length === 1 ? "is" : "are"} not installed here; run npm install ${packages.join(" ")}`,
    { cause, details: { packages } },
  );
}

/** A server that does not answer, refuses, or is no queue server. @param reason - what it said, without the password */
export function queueUnreachable(shown: string, reason: string, remedy: string): PruneError {
  return new PruneError("ERR_QUEUE", `${shown}: ${reason}; ${remedy}`, { details: { shown, reason, remedy } });
}

/** A queue in which other programs have jobs. */
export function foreignQueue(shown: string, found: string): PruneError {
  return new PruneError(
    "ERR_QUEUE",
    `${shown}: the queue holds jobs of another program ('${found}'), which are left alone; take another name with --queue '${shown}?name=NAME'`,
    { details: { shown, found } },
  );
}

/** Submitter and worker look at two stores. */
export function storeNotShared(spec: { own: string; other: string; place: string }): PruneError {
  return new PruneError(
    "ERR_STORE_NOT_SHARED",
    `${spec.place}: this store is not the one that the jobs' bytes are in (${spec.own} here, ${spec.other} there); give submitter and workers the same --store, for example one folder that all machines mount`,
    { details: spec },
  );
}

/** No worker that is there can run a job. */
export function workersDiffer(spec: { label: string; worker: string; reason: string }): PruneError {
  return new PruneError(
    "ERR_WORKER_DIFFERS",
    `no worker can run '${spec.label}': ${spec.worker} ${spec.reason}; install the same versions and plugins on both sides`,
    { details: spec },
  );
}

/** No meeting can be opened, or reached. */
export function noMeeting(place: string, cause: unknown): PruneError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PruneError(
    "ERR_MEETING",
    `${place}: no connection between the process that leads and those that it asks (${reason}); give --listen HOST:PORT as workers reach the leading machine, and let that port in`,
    { fault: "runtime", cause, details: { place, reason } },
  );
}

/** A member that went away. @param where - as it called itself */
export function memberLost(where: string): PruneError {
  const shown = where.slice(0, 100) || "a worker";
  return new PruneError(
    "ERR_MEMBER_LOST",
    `${shown}: it is gone, and with it what it held; let another take its place`,
    {
      fault: "runtime",
      details: { where: shown },
    },
  );
}

/** A connection to the host that broke: to be tried again, which tells whether the host is there. */
export function meetingLeft(place: string): PruneError {
  return new PruneError(
    "ERR_MEETING_LOST",
    `${place}: the connection to the leading process was lost; it is tried again`,
    {
      fault: "runtime",
      details: { place },
    },
  );
}

/** A message of a meeting that is too long. */
export function frameTooLong(bytes: number, most: number): PruneError {
  return new PruneError(
    "ERR_FRAME",
    `a message of ${bytes} bytes between workers, and at most ${most} go in one; cut the work into more shards`,
    { details: { bytes, most } },
  );
}
