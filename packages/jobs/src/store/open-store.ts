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

/** Removes the store in a folder with all that it holds; a folder that is none stays. @param place - absolute path */
export async function removeStore(place: string): Promise<void> {
  const isStore = await stat(join(place, storeMarker)).then(
    () => true,
    () => false,
  );
  if (isStore) await rm(place, { recursive: true, force: true });
}
