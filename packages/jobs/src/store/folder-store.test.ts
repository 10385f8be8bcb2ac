import { execFileSync } from "node:child_process";
import type { PathLike } from "node:fs";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, onTestFinished, test } from "vitest";
import { hashOf } from "../job/job.ts";
import { testFolder, testStore } from "../testing.test-support.ts";
import { openFolderStore } from "./folder-store.ts";
import { openPassingStore, removePassingStore } from "./open-store.ts";
import { writeWhole } from "./write-whole.ts";

const bytes = new TextEncoder().encode("some bytes");

/** Whether a small disk can be made here: Linux, as root. */
const canMount = await (async () => {
  const disk = await mkdtemp(join(tmpdir(), "secateur-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], { stdio: "ignore" });
    execFileSync("umount", [disk], { stdio: "ignore" });
    return true;
  } catch {
    process.stderr.write("test of a full disk skipped: it mounts one, which only root on Linux may\n");
    return false;
  } finally {
    await rmdir(disk);
  }
})();

describe("a folder store", () => {
  test("gives back what was put, under its hash", async () => {
    const store = await testStore();
    const hash = await store.put(bytes);
    expect(hash).toBe(hashOf(bytes));
    expect(Buffer.from(await store.get(hash))).toEqual(Buffer.from(bytes));
    const folder = await store.view({ "a/b.txt": hash, c: hash });
    expect(await readFile(join(folder, "a", "b.txt"), "utf8")).toBe("some bytes");
    expect(await store.view({ c: hash, "a/b.txt": hash })).toBe(folder);
    await expect(store.view({ "../x": hash })).rejects.toMatchObject({ code: "ERR_STORE" });
  });

  test("keeps a file as it keeps its bytes", async () => {
    const store = await testStore();
    const path = join(await testFolder(), "file");
    await writeFile(path, bytes);
    expect(await store.putFile(path)).toBe(hashOf(bytes));
    expect(Buffer.from(await store.get(hashOf(bytes)))).toEqual(Buffer.from(bytes));
  });

  test("keeps a file where it lies, and notices that it was changed there", async () => {
    const store = await testStore();
    const path = join(await testFolder(), "file");
    await writeFile(path, bytes);
    const hash = await store.linkFile(path);
    expect(hash).toBe(hashOf(bytes));
    expect((await stat(path)).nlink).toBe(2);
    expect(await store.linkFile(path)).toBe(hash);
    const view = { file: hash! };
    await store.view(view);
    await writeFile(path, "other bytes");
    // Also by who has checked it before.
    await expect(store.view(view)).rejects.toMatchObject({ code: "ERR_BLOB_DAMAGED" });
    // The same bytes at another place mend it.
    const again = join(await testFolder(), "again");
    await writeFile(again, bytes);
    expect(await store.linkFile(again)).toBe(hash);
    await writeFile(again, "other bytes");
    const third = join(await testFolder(), "third");
    await writeFile(third, bytes);
    expect(await store.linkFile(third)).toBe(hash);
    expect(await readFile(join(await store.view(view), "file"), "utf8")).toBe("some bytes");
    // Bytes that a worker of another user could not read are copied.
    await chmod(third, 0o600);
    expect(await store.linkFile(third)).toBeUndefined();
    // Another name for a file is not the file.
    await symlink(path, `${path}-2`);
    expect(await store.linkFile(`${path}-2`)).toBeUndefined();
    expect((await readdir(store.place)).filter((name) => name.startsWith("tmp-"))).toEqual([]);
  });

  test("keeps what comes in pieces as it keeps it whole, and nothing of what breaks off", async () => {
    const store = await testStore();
    const pieces = async function* (fails: boolean): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 3);
      if (fails) throw new Error("no more");
      yield bytes.subarray(3);
    };
    for (const _ of [1, 2]) expect(await store.putPieces(pieces(false))).toBe(hashOf(bytes));
    expect(Buffer.from(await store.get(hashOf(bytes)))).toEqual(Buffer.from(bytes));
    await expect(store.putPieces(pieces(true))).rejects.toThrow("no more");
    expect((await readdir(store.place)).filter((name) => name.startsWith("tmp-"))).toEqual([]);
  });

  test("keeps large files, which are hashed in threads, as small ones", async () => {
    const store = await testStore();
    const folder = await testFolder();
    const large = new Uint8Array(2 ** 26 + 1).fill(3);
    const paths = ["a", "b", "c"].map((name) => join(folder, name));
    await Promise.all(paths.map((path) => writeFile(path, large)));
    expect(new Set(await Promise.all(paths.map((path) => store.linkFile(path))))).toEqual(new Set([hashOf(large)]));
    await expect(store.linkFile(join(folder, "none"))).rejects.toMatchObject({ code: "ERR_STORE" });
    const stop = new AbortController();
    const called = store.putFile(paths[0]!, { signal: stop.signal });
    stop.abort();
    await expect(called).rejects.toMatchObject({ code: "ERR_ABORTED" });
    expect(await readdir(join(store.place, "blobs", hashOf(large).slice(0, 2)))).toEqual([hashOf(large)]);
  });

  test("goes with the work of the command that it was made for, and with nothing else", async () => {
    const folder = await testFolder();
    const [passing, lasting] = [join(folder, "passing"), join(folder, "lasting")];
    await openPassingStore(passing);
    await openFolderStore(lasting);
    await (await openPassingStore(lasting)).put(bytes);
    await writeFile(join(folder, "file"), bytes);
    for (const place of [passing, lasting, folder, join(folder, "none")]) await removePassingStore(place);
    expect((await readdir(folder)).sort()).toEqual(["file", "lasting"]);
  });

  test("gives bytes whose slices are copies", async () => {
    const store = await testStore();
    const got = await store.get(await store.put(bytes));
    got.slice().fill(0);
    expect(hashOf(got)).toBe(hashOf(bytes));
  });

  test("refuses damaged bytes, and takes the right ones in their place", async () => {
    const store = await testStore();
    const hash = await store.put(bytes);
    const path = join(store.place, "blobs", hash.slice(0, 2), hash);
    await writeFile(path, "other bytes");
    await expect(store.get(hash)).rejects.toMatchObject({ code: "ERR_BLOB_DAMAGED" });
    await expect(store.get(hash)).rejects.toMatchObject({ code: "ERR_BLOB_MISSING" });
    await store.put(bytes);
    expect(Buffer.from(await store.get(hash))).toEqual(Buffer.from(bytes));
    const again = await openFolderStore(store.place);
    await writeFile(path, "other bytes");
    await expect(again.view({ a: hash })).rejects.toMatchObject({ code: "ERR_BLOB_DAMAGED" });
    // What a view linked to is not what the view gives once the bytes are right again.
    await store.put(bytes);
    const folder = await again.view({ b: hash });
    await writeFile(join(folder, "b"), "other bytes");
    const third = await openFolderStore(store.place);
    await expect(third.view({ b: hash })).rejects.toMatchObject({ code: "ERR_BLOB_DAMAGED" });
    await store.put(bytes);
    expect(await readFile(join(await third.view({ b: hash }), "b"), "utf8")).toBe("some bytes");
    await writeFile(path, "other bytes");
    await expect((await openFolderStore(store.place)).view({ c: hash })).rejects.toMatchObject({
      code: "ERR_BLOB_DAMAGED",
    });
  });

  test("is the same store for all that open it at once, and another in another folder", async () => {
    const place = join(await testFolder(), "store");
    const ids = (await Promise.all(Array.from({ length: 8 }, () => openFolderStore(place)))).map(({ id }) => id);
    expect(new Set(ids).size).toBe(1);
    expect((await testStore()).id).not.toBe(ids[0]);
  });

  test("is not made among other files", async () => {
    const folder = await testFolder();
    await writeFile(join(folder, "letter.txt"), "Dear");
    await expect(openFolderStore(folder)).rejects.toMatchObject({ code: "ERR_STORE" });
    expect(await readdir(folder)).toEqual(["letter.txt"]);
    for (const place of [join(folder, "letter.txt"), join(folder, "letter.txt", "x"), "/proc/secateur/x"]) {
      await expect(openFolderStore(place)).rejects.toMatchObject({ code: "ERR_STORE", fault: "input" });
    }
    expect((await openFolderStore(join(folder, "a", "b", "c"))).id).toBeTypeOf("string");
  });

  test("leaves nothing where writing fails", async () => {
    const store = await testStore();
    await mkdir(join(store.place, "results", "x"), { recursive: true });
    // A folder stands in the place of the record.
    await expect(store.write("results/x", bytes)).rejects.toMatchObject({ code: "ERR_STORE" });
    expect(await readdir(join(store.place, "results"))).toEqual(["x"]);
  });

  test("that is full says so, and leaves nothing", async () => {
    const store = await testStore();
    const path = join(store.place, "blobs", "x");
    const fill = async (temporary: string): Promise<void> => {
      await mkdir(join(store.place, "blobs"), { recursive: true });
      await writeFile(temporary, bytes);
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    };
    const full = { code: "ERR_STORE_FULL", fault: "runtime" };
    await expect(writeWhole({ path, place: store.place, fill })).rejects.toMatchObject(full);
    expect(await readdir(join(store.place, "blobs"))).toEqual([]);
  });

  test("replaces a file that cannot be replaced for a moment, and gives up where it never can", async () => {
    const store = await testStore();
    const path = join(store.place, "results", "x");
    const fill = (temporary: string): Promise<void> => writeFile(temporary, bytes, { flag: "wx" });
    let tries = 0;
    const held = (code: string, times: number) => async (from: PathLike, to: PathLike) => {
      if (tries++ < times) throw Object.assign(new Error("it is in use"), { code });
      await rename(from, to);
    };
    await mkdir(join(store.place, "results"));
    for (const code of ["EPERM", "EEXIST", "EBUSY", "EACCES"]) {
      tries = 0;
      await writeWhole({ path, place: store.place, fill, move: held(code, 2) });
      expect(tries).toBe(3);
    }
    tries = 0;
    const lost = writeWhole({ path, place: store.place, fill, move: held("EXDEV", 1) });
    await expect(lost).rejects.toMatchObject({ code: "ERR_STORE" });
    expect(tries).toBe(1);
    expect(await readdir(join(store.place, "results"))).toEqual(["x"]);
  });

  test.runIf(canMount)(
    "on a disk that is really full says so, leaves nothing, and goes on when there is room",
    async () => {
      const disk = await testFolder();
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]);
      onTestFinished(() => void execFileSync("umount", [disk]));
      const store = await openFolderStore(join(disk, "store"));
      const large = new Uint8Array(200 * 1024).fill(7);
      await store.put(large);
      const other = new Uint8Array(200 * 1024).fill(8);
      const full = { code: "ERR_STORE_FULL", fault: "runtime" };
      await expect(store.put(other)).rejects.toMatchObject(full);
      const path = join(await testFolder(), "file");
      await writeFile(path, other);
      await expect(store.putFile(path)).rejects.toMatchObject(full);
      const hash = hashOf(other).slice(0, 2);
      expect(await readdir(join(store.place, "blobs", hash)).catch(() => [])).toEqual([]);
      await rm(join(store.place, "blobs", hashOf(large).slice(0, 2)), { recursive: true });
      expect(await store.put(other)).toBe(hashOf(other));
    },
  );

  test("lists records with their ages", async () => {
    const store = await testStore();
    expect(await store.list("workers")).toEqual([]);
    await store.write("workers/a", bytes);
    const [found] = await store.list("workers");
    expect(found).toMatchObject({ name: "workers/a" });
    expect(found!.ageMs).toBeLessThan(60_000);
    await store.remove("workers/a");
    expect(await store.list("workers")).toEqual([]);
  });
});
