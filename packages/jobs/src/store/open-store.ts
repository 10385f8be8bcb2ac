import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { openBucketStore } from "./bucket-store.ts";
import { openFolderStore, storeMarker } from "./folder-store.ts";
import type { Store } from "./store.ts";

/**
 * The store at a place.
 *
 * @param place - an absolute path, or s3://BUCKET/PREFIX
 * @param how.make - whether one is made where there is none; default true
 * @throws ERR_STORE
 */
export async function openStore(place: string, how: { readonly make?: boolean } = {}): Promise<Store> {
  return place.startsWith("s3://") ? await openBucketStore(place, how) : await openFolderStore(place, how);
}

/** Says within a store that it was made for one command, and goes with its work. */
const passingRecord = "passing/mark";

/** The store of one command in a folder of its own: where there is none one is made, and marked as made for it. @param place - absolute path. @throws ERR_STORE */
export async function openPassingStore(place: string): Promise<Store> {
  const isNew = (await stat(join(place, storeMarker)).catch(() => undefined)) === undefined;
  const store = await openStore(place);
  if (isNew) await store.write(passingRecord, new Uint8Array(0));
  return store;
}

/** Removes a store that was made so, with all that it holds; every other store and folder stays. */
export async function removePassingStore(place: string): Promise<void> {
  const isPassing = (await stat(join(place, passingRecord)).catch(() => undefined)) !== undefined;
  if (isPassing) await rm(place, { recursive: true, force: true });
}
