/** A store in a folder, which may be on a disk that many machines mount. */
import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, link, lstat, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isPruneError } from "@secateur/core";
import { blobDamaged, blobMissing, noStore, notAStore, storeFailed, storeNotMade } from "../errors.ts";
import { encodeJson } from "../job/canonical-json.ts";
import { type Hash, hashOf } from "../job/job.ts";
import { hashFile } from "./hash-file.ts";
import { safeParts } from "./safe-parts.ts";
import type { Store } from "./store.ts";
import { explainWrite, writeWhole } from "./write-whole.ts";

/** Files that are looked at at a time. */
const atOnce = 16;

/** The file that says that a folder is a store, and which. */
export const storeMarker = "secateur-store.json";

/**
 * Opens the store in a folder, or makes one where the folder is new or empty.
 *
 * @param place - absolute path
 * @param how.make - whether one is made; default true
 * @throws ERR_STORE for a folder of other files, or one that cannot be written
 */
export async function openFolderStore(place: string, { make = true }: { make?: boolean } = {}): Promise<Store> {
  const id = await storeId(place, make);
  /** Of views whose files were checked, what the disk said of them before. */
  const checked = new Map<string, string>();
  const blob = (hash: Hash): string => join(place, "blobs", hash.slice(0, 2), hash);
  const keep = async (hash: Hash, fill: (temporary: string) => Promise<void>): Promise<Hash> => {
    if (!(await isThere(blob(hash)))) await writeWhole({ path: blob(hash), place, fill });
    return hash;
  };
  const refuse = async (hash: Hash): Promise<never> => {
    // Whoever puts the same bytes again must not find these in their place.
    await rename(blob(hash), join(place, "blobs", hash.slice(0, 2), `damaged-${hash}`)).catch(() => {});
    throw blobDamaged(place, hash);
  };
  /** What the system says of a file that it does not let one read, in words. */
  const readable = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw isPruneError(error) ? error : storeFailed({ place, what: "read for", cause: error });
    }
  };
  return {
    ...{ place, id },
    put: (bytes) => keep(hashOf(bytes), (temporary) => writeFile(temporary, bytes, { flag: "wx" })),
    putFile: async (path, how) => keep(await readable(hashFile(path, how)), (temporary) => copyFile(path, temporary)),
    linkFile: (path, how) => readable(linkBlob({ path, place, blob, refuse, ...how })),
    putPieces: (pieces) => keepPieces({ pieces, place, blob }),
    async get(hash) {
      const bytes = await readOrNothing(blob(hash), place);
      if (bytes === undefined) throw blobMissing(place, hash);
      return hashOf(bytes) === hash ? bytes : await refuse(hash);
    },
    async view(files) {
      const folder = join(place, "views", hashOf(encodeJson(files)));
      // A file that was linked into the store may be written to by whoever owns it.
      const before = checked.get(folder);
      if (before !== undefined && before === (await stateOf(folder, files))) return folder;
      let state: string | undefined;
      for (let tries = 0; ; tries++) {
        await linkFolder({ place, folder, files, blob });
        state = await stateOf(folder, files);
        const damaged = await firstDamaged(folder, files);
        if (damaged === undefined) break;
        // A view that was made before may hold what was damaged and put right since.
        await rm(folder, { recursive: true, force: true });
        if (tries > 0) await refuse(damaged);
      }
      checked.set(folder, state ?? "");
      return folder;
    },
    write: (name, record) =>
      writeWhole({ path: join(place, name), place, fill: (temporary) => writeFile(temporary, record, { flag: "wx" }) }),
    read: (name) => readOrNothing(join(place, name), place),
    async list(folder) {
      const names = await readdir(join(place, folder)).catch(() => []);
      const whole = names.filter((name) => !name.startsWith("tmp-"));
      // Ages by one clock, that of the disk: clocks of machines differ.
      const now = whole.length === 0 ? 0 : await diskTime(place);
      const found = await Promise.all(
        whole.map(async (name) => {
          const file = await stat(join(place, folder, name)).catch(() => undefined);
          return file ? [{ name: `${folder}/${name}`, ageMs: Math.max(0, now - file.mtimeMs) }] : [];
        }),
      );
      return found.flat();
    },
    remove: (name) => rm(join(place, name), { force: true }),
  };
}

/** The id in the folder's marker; of two processes that make one at the same time, one wins. */
async function storeId(place: string, make: boolean): Promise<string> {
  try {
    const path = join(place, storeMarker);
    const found = await readOrNothing(path, place);
    if (found !== undefined) return readMarker(found, place);
    if (!make) throw noStore(place);
    const others = await readdir(place).catch(() => []);
    if (others.some((name) => !name.startsWith("tmp-"))) {
      // Another process may have made it since.
      const again = await readOrNothing(path, place);
      if (again === undefined) throw notAStore(place);
      return readMarker(again, place);
    }
    await makeFolder(place);
    const temporary = join(place, `tmp-${randomUUID()}`);
    await writeFile(temporary, `${JSON.stringify({ secateurStore: 1, id: randomUUID() })}\n`, { flag: "wx" });
    // Some disks have no hard links.
    await link(temporary, path).catch(() => copyFile(temporary, path, constants.COPYFILE_EXCL).catch(() => {}));
    await rm(temporary);
    return readMarker((await readOrNothing(path, place)) ?? new Uint8Array(0), place);
  } catch (error) {
    throw isPruneError(error) ? error : storeNotMade(place, error);
  }
}

/** A folder and those above it. Node's own recursion never ends where a folder cannot be made although the one above is there, as in /proc. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path || (await isThere(dirname(path)))) throw error;
    await makeFolder(dirname(path));
    await mkdir(path);
  }
}

function readMarker(bytes: Uint8Array, place: string): string {
  try {
    const { secateurStore, id } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    if (secateurStore === 1 && typeof id === "string") return id;
  } catch {
    // Said below.
  }
  throw notAStore(place);
}

async function readOrNothing(path: string, place: string): Promise<Uint8Array | undefined> {
  try {
    const { buffer, byteOffset, byteLength } = await readFile(path);
    // A Buffer would give views where a Uint8Array gives copies.
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw storeFailed({ place, what: "read", cause: error });
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** A folder of links to blobs, where it is not there: made by renaming the whole folder. @throws ERR_BLOB_MISSING, ERR_STORE */
async function linkFolder(spec: {
  place: string;
  folder: string;
  files: Readonly<Record<string, Hash>>;
  blob: (hash: Hash) => string;
}): Promise<void> {
  const { place, folder, files, blob } = spec;
  if (await isThere(folder)) return;
  const temporary = join(place, "views", `tmp-${randomUUID()}`);
  try {
    await mkdir(temporary, { recursive: true });
    for (const [name, hash] of Object.entries(files)) {
      const path = join(temporary, ...safeParts(name));
      if (!(await isThere(blob(hash)))) throw blobMissing(place, hash);
      await mkdir(dirname(path), { recursive: true });
      // Some disks have no hard links.
      await link(blob(hash), path).catch(() => copyFile(blob(hash), path));
    }
    await rename(temporary, folder).catch(async (error) => {
      if (!(await isThere(folder))) throw error; // else another process made it
    });
  } catch (error) {
    throw isPruneError(error) ? error : explainWrite(place, error);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Gives a file's inode the name of its hash. @returns undefined where that cannot be, or not all that read the store could read it */
async function linkBlob(spec: {
  path: string;
  place: string;
  blob: (hash: Hash) => string;
  refuse: (hash: Hash) => Promise<never>;
  signal?: AbortSignal | undefined;
}): Promise<Hash | undefined> {
  const { path, place, blob, refuse, signal } = spec;
  // Asked first: hashing a large file takes its time. A symbolic link would be linked as such, and points elsewhere on other machines.
  const [file, own] = [await lstat(path), await stat(place)];
  const isForAll = (file.mode & 0o444) === 0o444;
  if (!file.isFile() || file.dev !== own.dev || !isForAll) return undefined;
  const hash = await hashFile(path, { signal });
  const there = await stat(blob(hash)).catch(() => undefined);
  if (there?.ino === file.ino) return hash;
  // What was linked before may have been written to since.
  if (there && there.nlink > 1 && (await hashFile(blob(hash), { signal })) !== hash) await refuse(hash).catch(() => {});
  else if (there) return hash;
  try {
    await mkdir(dirname(blob(hash)), { recursive: true });
    await link(path, blob(hash));
    return hash;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EEXIST" ? hash : undefined;
  }
}

/** What the disk says of the files of a view; undefined where one is not there. */
async function stateOf(folder: string, files: Readonly<Record<string, Hash>>): Promise<string | undefined> {
  const names = Object.keys(files);
  const states: string[] = [];
  for (let from = 0; from < names.length; from += atOnce) {
    const some = names.slice(from, from + atOnce);
    const found = await Promise.all(
      some.map((name) => stat(join(folder, ...safeParts(name)), { bigint: true }).catch(() => undefined)),
    );
    if (found.includes(undefined)) return undefined;
    states.push(...found.map((one) => `${one!.ino} ${one!.size} ${one!.mtimeNs}`));
  }
  return states.join();
}

/** Writes pieces as they come; only then their hash is known, and so the blob's name. */
async function keepPieces(spec: {
  pieces: AsyncIterable<Uint8Array>;
  place: string;
  blob: (hash: Hash) => string;
}): Promise<Hash> {
  const { pieces, place, blob } = spec;
  const temporary = join(place, `tmp-${randomUUID()}`);
  const hash = createHash("sha256");
  try {
    const file = await open(temporary, "wx").catch((error) => Promise.reject(explainWrite(place, error)));
    try {
      for await (const piece of pieces) {
        hash.update(piece);
        await file.writeFile(piece).catch((error) => Promise.reject(explainWrite(place, error)));
      }
    } finally {
      await file.close();
    }
    const name = hash.digest("hex");
    if (!(await isThere(blob(name))))
      await writeWhole({ path: blob(name), place, fill: (other) => rename(temporary, other) });
    return name;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** The first of a view's files that is not what its name says. */
async function firstDamaged(folder: string, files: Readonly<Record<string, Hash>>): Promise<Hash | undefined> {
  const all = Object.entries(files);
  for (let from = 0; from < all.length; from += atOnce) {
    const some = all.slice(from, from + atOnce);
    const found = await Promise.all(
      some.map(([name]) => hashFile(join(folder, ...safeParts(name))).catch(() => undefined)),
    );
    const place = some.findIndex(([, hash], one) => found[one] !== hash);
    if (place >= 0) return some[place]![1];
  }
  return undefined;
}

/** What the disk that holds a folder says the time is. */
async function diskTime(place: string): Promise<number> {
  const path = join(place, `tmp-${randomUUID()}`);
  try {
    await writeFile(path, "");
    return (await stat(path)).mtimeMs;
  } finally {
    await rm(path, { force: true });
  }
}
