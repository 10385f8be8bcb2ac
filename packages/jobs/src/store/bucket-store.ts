/** A store in a bucket of an S3-compatible service, by s3mini. Objects appear whole or not at all, as the service promises. */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { isPruneError } from "@secateur/core";
import type { S3mini } from "s3mini";
import { badBucket, blobDamaged, blobMissing, bucketNotInstalled, noStore, notAStore, storeFailed } from "../errors.ts";
import { encodeJson } from "../job/canonical-json.ts";
import { type Hash, hashOf } from "../job/job.ts";
import { loadPackage } from "../load-package.ts";
import { storeMarker } from "./folder-store.ts";
import { safeParts } from "./safe-parts.ts";
import type { Store } from "./store.ts";

/**
 * Opens the store below a prefix of a bucket, or makes one. Who may and where it is come from the environment, as for other programs: AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL_S3 for a service of one's own. Every blob is held in memory once when it is read or written.
 *
 * @param place - s3://BUCKET/PREFIX
 * @param how.make - whether one is made; default true
 * @throws ERR_STORE
 */
export async function openBucketStore(place: string, { make = true }: { make?: boolean } = {}): Promise<Store> {
  const [, bucket, prefix = ""] = /^s3:\/\/([a-z0-9][a-z0-9.-]*)(?:\/([\w./-]*?))?\/?$/.exec(place) ?? [];
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION = "us-east-1", AWS_ENDPOINT_URL_S3 } = process.env;
  if (!bucket) throw badBucket(place, "it is no s3://BUCKET/PREFIX");
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
    throw badBucket(place, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set");
  }
  const { S3mini: Client } = await loadPackage<typeof import("s3mini")>("s3mini", process.cwd()).catch((cause) => {
    throw bucketNotInstalled(cause);
  });
  const endpoint = `${(AWS_ENDPOINT_URL_S3 ?? `https://s3.${AWS_REGION}.amazonaws.com`).replace(/\/$/, "")}/${bucket}`;
  const keys = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY, region: AWS_REGION };
  const client = new Client({ ...keys, endpoint });
  const key = (name: string): string => (prefix === "" ? name : `${prefix}/${name}`);
  const tried = async <T>(what: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (cause) {
      throw isPruneError(cause) ? cause : storeFailed({ place, what, cause });
    }
  };
  const read = (name: string): Promise<Uint8Array | undefined> =>
    tried("read", async () => {
      const bytes = await client.getObjectArrayBuffer(key(name));
      return bytes ? new Uint8Array(bytes) : undefined;
    });
  const write = (name: string, bytes: Uint8Array): Promise<void> =>
    tried("written", async () => void (await client.putObject(key(name), bytes)));
  const blob = (hash: Hash): string => `blobs/${hash.slice(0, 2)}/${hash}`;
  const put = async (bytes: Uint8Array): Promise<Hash> => {
    const hash = hashOf(bytes);
    if ((await tried("read", () => client.objectExists(key(blob(hash))))) !== true) await write(blob(hash), bytes);
    return hash;
  };
  const get = async (hash: Hash): Promise<Uint8Array> => {
    const bytes = await read(blob(hash));
    if (!bytes) throw blobMissing(place, hash);
    if (hashOf(bytes) === hash) return bytes;
    await tried("written", () => client.deleteObject(key(blob(hash))));
    throw blobDamaged(place, hash);
  };
  const id = await storeId({ client, place, make, key, read });
  return {
    ...{ place, id, put, get, read, write },
    putFile: async (path) => put(await readFile(path)),
    linkFile: async () => undefined,
    async putPieces(pieces) {
      const all: Uint8Array[] = [];
      for await (const piece of pieces) all.push(piece.slice());
      return await put(Buffer.concat(all));
    },
    view: (files) => downloaded({ id, files, get }),
    list: (folder) =>
      tried("read", async () => {
        const found = (await client.listObjects("/", key(`${folder}/`))) ?? [];
        if (found.length === 0) return [];
        const now = await serviceTime(client, key);
        const start = key("").length;
        return found.map(({ Key, LastModified }) => ({
          name: Key.slice(start),
          ageMs: Math.max(0, now - new Date(LastModified).getTime()),
        }));
      }),
    remove: (name) => tried("written", async () => void (await client.deleteObject(key(name)))),
  };
}

/** Of two processes that make a store at the same time, one wins where the service has conditions; else the later, before any work. */
async function storeId(spec: {
  client: S3mini;
  place: string;
  make: boolean;
  key: (name: string) => string;
  read: (name: string) => Promise<Uint8Array | undefined>;
}): Promise<string> {
  const { client, place, make, key, read } = spec;
  let bytes = await read(storeMarker);
  if (!bytes && !make) throw noStore(place);
  if (!bytes) {
    const content = JSON.stringify({ secateurStore: 1, id: randomUUID() });
    const condition = { "If-None-Match": "*" };
    await client.putObject(key(storeMarker), content, "application/json", undefined, condition).catch(() => {});
    bytes = await read(storeMarker);
  }
  if (!bytes) throw storeFailed({ place, what: "written", cause: new Error("the bucket took nothing") });
  try {
    const { secateurStore, id } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    if (secateurStore === 1 && typeof id === "string") return id;
  } catch {
    // Said below.
  }
  throw notAStore(place);
}

/** Files of a view in this machine's temporary folder, where views of an earlier process are found again and checked. */
async function downloaded(spec: {
  id: string;
  files: Readonly<Record<string, Hash>>;
  get: (hash: Hash) => Promise<Uint8Array>;
}): Promise<string> {
  const { id, files, get } = spec;
  const folder = join(tmpdir(), `secateur-store-${id}`, hashOf(encodeJson(files)));
  for (const [name, hash] of Object.entries(files)) {
    const path = join(folder, ...safeParts(name));
    const isThere = await stat(path).catch(() => undefined);
    if (isThere && hashOf(await readFile(path)) === hash) continue;
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${randomUUID()}`;
    try {
      await writeFile(temporary, await get(hash));
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  }
  await mkdir(folder, { recursive: true });
  return folder;
}

/** What the service says the time is: when it says that it just took something. */
async function serviceTime(client: S3mini, key: (name: string) => string): Promise<number> {
  const name = key(`clock/${randomUUID()}`);
  await client.putObject(name, "");
  const [found] = (await client.listObjects("/", name)) ?? [];
  await client.deleteObject(name);
  return new Date(found?.LastModified ?? 0).getTime();
}
