/** What workers leave in the store for whoever wants to see them, and why one cannot run a job. */
import { decodeJson, encodeJson } from "../job/canonical-json.ts";
import type { Store } from "../store/store.ts";

/** A worker, as it says itself every few seconds. */
export interface WorkerRecord {
  readonly where: string;
  /** Of the queue that it serves, without the password. */
  readonly queue: string;
  readonly threads: number;
  readonly running: readonly string[];
  readonly done: number;
  readonly failed: number;
  readonly memoryBytes: number;
  readonly packages: Readonly<Record<string, string>>;
}

/** How often a worker says that it is there, and after how long without a word it counts as gone. */
export const sayMs = 2000;
const goneMs = 15_000;
/** Records of workers that were killed are swept away after a day. */
const sweptMs = 86_400_000;

/** Says that a worker is there. @param id - its own, of letters, digits and "-" */
export async function writeWorker(store: Store, id: string, record: WorkerRecord): Promise<void> {
  await store.write(`workers/${id}`, encodeJson({ ...record, packages: { ...record.packages } }));
}

/** The workers that are there, by the clock of the store. */
export async function listWorkers(store: Store): Promise<readonly WorkerRecord[]> {
  const found: WorkerRecord[] = [];
  for (const { name, ageMs } of await store.list("workers")) {
    if (ageMs > sweptMs) await store.remove(name);
    if (ageMs > goneMs) continue;
    const bytes = await store.read(name);
    if (bytes) found.push(decodeJson(bytes) as unknown as WorkerRecord);
  }
  return found.sort((a, b) => (a.where < b.where ? -1 : 1));
}

/** Takes a worker's record away. */
export async function removeWorker(store: Store, id: string): Promise<void> {
  await store.remove(`workers/${id}`);
}

/** Why packages cannot give a job's bytes, for a message; undefined where they can. */
export function packagesDiffer(
  needed: Readonly<Record<string, string>>,
  has: Readonly<Record<string, string>>,
): string | undefined {
  for (const [name, version] of Object.entries(needed)) {
    const own = Object.hasOwn(has, name) ? has[name] : undefined;
    if (own === undefined) return `has no ${name} (${version} is needed)`;
    if (own !== version) return `has ${name} ${own} (${version} is needed)`;
  }
  return undefined;
}
