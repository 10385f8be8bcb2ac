import { openBucketStore } from "./bucket-store.ts";
import { openFolderStore } from "./folder-store.ts";
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
