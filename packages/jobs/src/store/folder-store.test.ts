import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hashOf } from "../job/job.ts";
import { testFolder, testStore } from "../testing.test-support.ts";
import { openFolderStore } from "./folder-store.ts";
import { writeWhole } from "./write-whole.ts";

const bytes = new TextEncoder().encode("some bytes");

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
