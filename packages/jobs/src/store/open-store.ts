import { openFolderStore } from "./folder-store.ts";
import type { Store } from "./store.ts";

/** The store at a place: an absolute path, or s3://BUCKET/PREFIX. */
export async function openStore(place: string): Promise<Store> {
  return await openFolderStore(place);
}
