/**
 * @secateur/jobs: graphs of jobs, named by all that decides their results, run in one process, in threads, in shards, or on a queue.
 * @packageDocumentation
 */
export { isNoStore } from "./errors.ts";
export { canonicalJson, decodeJson, encodeJson, type Json } from "./job/canonical-json.ts";
export { type Hash, hashOf, type Job, type JobContent, type JobRecord, makeJob } from "./job/job.ts";
export {
  findRecord,
  type JobKind,
  type JobKinds,
  type JobSurroundings,
  performJob,
  readResult,
} from "./job/perform-job.ts";
export { joinMeeting } from "./meeting/join-meeting.ts";
export { type Brought, isMemberLost, type Meeting, type MeetingPlace, openMeeting } from "./meeting/open-meeting.ts";
export { inProcess } from "./plan/in-process.ts";
export { assertWholePlan, decodePart, encodePart, type Part, planHash, storePart } from "./plan/part-file.ts";
export { type Executor, type JobEvent, type JobOutcome, type PlanSpec, runPlan, startPlan } from "./plan/run-plan.ts";
export { jobsOfShard, parseShard, type Shard, shardText } from "./plan/shard.ts";
export { onQueue } from "./queue/on-queue.ts";
export { parseQueueAddress, type QueueAddress } from "./queue/queue-address.ts";
export { emptyQueue, type QueueStatus, queueStatus } from "./queue/queue-status.ts";
export { serveQueue, type WorkerEvent, type WorkerSpec } from "./queue/serve-queue.ts";
export { packagesDiffer, type WorkerRecord } from "./queue/worker-record.ts";
export { openFolderStore, storeMarker } from "./store/folder-store.ts";
export { openPassingStore, openStore, removePassingStore } from "./store/open-store.ts";
export type { Store } from "./store/store.ts";
export { inThreads } from "./threads/in-threads.ts";
export { serveJobs } from "./threads/serve-jobs.ts";
