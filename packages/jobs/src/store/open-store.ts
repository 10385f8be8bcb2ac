import { openBucketStore } from "./bucket-store.ts";
import { openFolderStore } from "./folder-store.ts";
import type { Store } from "./store.ts";

/**
 * The store at a place.
 *
 * @param place - an absolute path, or s3://BUCKET/PREFIX
 * @throws ERR_STORE
 */
export async function openStore(place: string): Promise<Store> {
  return place.startsWith("s3://") ? await openBucketStore(place) : await openFolderStore(place);
}
