import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isPruneError } from "@secateur/core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeFolder } from "./files/make-folder.ts";
import { checkOutput } from "./files/output-path.ts";
import { readCheckpoint } from "./files/read-checkpoint.ts";
import { readFileBytes, readNpy, readNpyNumbers } from "./files/read-file.ts";
import { writeFileAtomic } from "./files/write-file-atomic.ts";
import { encodeNpy } from "./npy/encode-npy.ts";
import { encodeSafetensors } from "./safetensors/encode-safetensors.ts";
import type { NamedTensor } from "./tensor.ts";

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), "secateur-formats-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  fs.rmSync(folder, { recursive: true, force: true });
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (isPruneError(error)) return error.code;
    throw error;
  }
  return "nothing thrown";
}

const isRoot = process.getuid?.() === 0;
const bytes = Uint8Array.of(1, 2, 3);
const overwrite = { overwrite: true };

describe("reading a file", () => {
  test("gives its very bytes", async () => {
    const path = join(folder, "a");
    const content = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7);
    fs.writeFileSync(path, content);
    expect(await readFileBytes(path)).toEqual(content);
  });

  test("reads a network and an array", async () => {
    const tensors: NamedTensor[] = [{ name: "w", dtype: "f32", shape: [1], data: Float32Array.of(5) }];
    fs.writeFileSync(join(folder, "net"), encodeSafetensors({ tensors, metadata: { a: "b" } }));
    fs.writeFileSync(join(folder, "w.npy"), encodeNpy({ shape: [2], data: Float64Array.of(1, 2) }));
    expect(await readCheckpoint(join(folder, "net"))).toEqual({ format: "safetensors", tensors, metadata: { a: "b" } });
    expect(await readNpy(join(folder, "w.npy"))).toEqual({ dtype: "f64", shape: [2], data: Float64Array.of(1, 2) });
  });

  test("gives the numbers of an array: bytes as bytes, anything else as f32 or f64", async () => {
    const path = join(folder, "x.npy");
    const header = (descr: string): string => `{'descr': '${descr}', 'fortran_order': False, 'shape': (2,), }`;
    const write = (descr: string, data: Uint8Array): void => {
      const text = new TextEncoder().encode(header(descr));
      fs.writeFileSync(path, Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length, 0, ...text, ...data));
    };
    write("|u1", Uint8Array.of(0, 255));
    expect(await readNpyNumbers(path)).toEqual({ shape: [2], data: Uint8Array.of(0, 255) });
    write("|b1", Uint8Array.of(0, 1));
    expect(await readNpyNumbers(path)).toEqual({ shape: [2], data: Float32Array.of(0, 1) });
    write("<i8", new Uint8Array(BigInt64Array.of(3n, -4n).buffer));
    expect(await readNpyNumbers(path)).toEqual({ shape: [2], data: Float64Array.of(3, -4) });
  });

  test("names the file in what is wrong with its content", async () => {
    const path = join(folder, "w.npy");
    fs.writeFileSync(path, "");
    await expect(readNpy(path)).rejects.toThrow(`${path}: not a valid .npy file: found an empty file`);
  });

  test("tells a missing file, a folder and a device apart", async () => {
    expect(await codeOf(readFileBytes(join(folder, "missing")))).toBe("ERR_FILE_NOT_FOUND");
    fs.writeFileSync(join(folder, "file"), "");
    expect(await codeOf(readFileBytes(join(folder, "file", "below")))).toBe("ERR_FILE_NOT_FOUND");
    expect(await codeOf(readFileBytes(folder))).toBe("ERR_NOT_A_FILE");
    expect(await codeOf(readFileBytes("a\0b"))).toBe("ERR_FILE_NOT_READABLE");
    if (process.platform !== "win32") expect(await codeOf(readFileBytes("/dev/zero"))).toBe("ERR_NOT_A_FILE");
  });

  test.skipIf(process.platform === "win32")("reads a pipe to its end", async () => {
    const path = join(folder, "pipe");
    execFileSync("mkfifo", [path]);
    const [read] = await Promise.all([readFileBytes(path), fs.promises.writeFile(path, new Uint8Array(200_000))]);
    expect(read).toEqual(new Uint8Array(200_000));
  });
});

describe("writing a file", () => {
  test("puts the whole content there and nothing else", async () => {
    await writeFileAtomic(join(folder, "out"), bytes, { overwrite: false });
    await writeFileAtomic(join(folder, "text"), "Schere ✂", { overwrite: false });
    await writeFileAtomic(join(folder, "empty"), new Uint8Array(0), { overwrite: false });
    expect(new Uint8Array(fs.readFileSync(join(folder, "out")))).toEqual(bytes);
    expect(fs.readFileSync(join(folder, "text"), "utf8")).toBe("Schere ✂");
    expect(fs.readFileSync(join(folder, "empty")).length).toBe(0);
    expect(fs.readdirSync(folder).sort()).toEqual(["empty", "out", "text"]);
  });

  test("refuses what exists, and replaces it only when told to, keeping its permissions", async () => {
    const path = join(folder, "out");
    fs.writeFileSync(path, "old");
    // Bits that the usual umask takes from new files.
    fs.chmodSync(path, 0o666);
    expect(await codeOf(writeFileAtomic(path, bytes, { overwrite: false }))).toBe("ERR_OUTPUT_EXISTS");
    expect(fs.readFileSync(path, "utf8")).toBe("old");
    await writeFileAtomic(path, bytes, { overwrite: true });
    expect(new Uint8Array(fs.readFileSync(path))).toEqual(bytes);
    if (process.platform !== "win32") expect(fs.statSync(path).mode & 0o777).toBe(0o666);
    expect(fs.readdirSync(folder)).toEqual(["out"]);
  });

  test("does not replace a file that appears while it writes", async () => {
    const path = join(folder, "out");
    const open = fs.promises.open;
    vi.spyOn(fs.promises, "open").mockImplementation((...args) => {
      fs.writeFileSync(path, "someone else's");
      return open(...args);
    });
    expect(await codeOf(writeFileAtomic(path, bytes, { overwrite: false }))).toBe("ERR_OUTPUT_EXISTS");
    expect(fs.readFileSync(path, "utf8")).toBe("someone else's");
    expect(fs.readdirSync(folder)).toEqual(["out"]);
  });

  test("works on file systems without links", async () => {
    vi.spyOn(fs.promises, "link").mockRejectedValue(Object.assign(new Error("not supported"), { code: "ENOTSUP" }));
    await writeFileAtomic(join(folder, "out"), bytes, { overwrite: false });
    expect(new Uint8Array(fs.readFileSync(join(folder, "out")))).toEqual(bytes);
    expect(fs.readdirSync(folder)).toEqual(["out"]);
  });

  test.skipIf(process.platform === "win32")("writes through a symbolic link and leaves the link", async () => {
    fs.writeFileSync(join(folder, "real"), "old");
    fs.symlinkSync("real", join(folder, "link"));
    await writeFileAtomic(join(folder, "link"), bytes, { overwrite: true });
    expect(fs.lstatSync(join(folder, "link")).isSymbolicLink()).toBe(true);
    expect(new Uint8Array(fs.readFileSync(join(folder, "real")))).toEqual(bytes);
  });

  test("refuses a missing folder, a file as folder, a folder as file, a device and a name that is none", async () => {
    fs.writeFileSync(join(folder, "file"), "");
    fs.mkdirSync(join(folder, "sub"));
    const refusals: readonly (readonly [path: string, code: string, message: RegExp])[] = [
      [join(folder, "missing", "out"), "ERR_OUTPUT_FOLDER", /missing does not exist; create/],
      [join(folder, "file", "out"), "ERR_OUTPUT_FOLDER", /file is a file and not a folder/],
      [join(folder, "sub"), "ERR_OUTPUT_NOT_WRITABLE", /a folder of that name/],
      [`${folder}/`, "ERR_OUTPUT_NOT_WRITABLE", /names no file/],
      ["", "ERR_OUTPUT_NOT_WRITABLE", /names no file/],
      [join(folder, "x".repeat(1000)), "ERR_OUTPUT_NOT_WRITABLE", /ENAMETOOLONG|too long/],
    ];
    for (const [path, code, message] of refusals) {
      for (const attempt of [() => writeFileAtomic(path, bytes, overwrite), () => checkOutput(path, overwrite)]) {
        await expect(attempt()).rejects.toThrow(
          expect.objectContaining({ code, message: expect.stringMatching(message) }),
        );
      }
    }
    if (process.platform !== "win32") {
      expect(await codeOf(writeFileAtomic("/dev/null", bytes, { overwrite: true }))).toBe("ERR_OUTPUT_NOT_WRITABLE");
    }
    expect(fs.readdirSync(folder).sort()).toEqual(["file", "sub"]);
  });

  test.skipIf(process.platform === "win32")("refuses a folder that may not be written", async () => {
    fs.chmodSync(folder, 0o555);
    // Permission bits do not hold for root, so root steps down while writing.
    if (isRoot) process.seteuid?.(65534);
    try {
      const writing = writeFileAtomic(join(folder, "out"), bytes, { overwrite: false });
      await expect(writing).rejects.toThrow(
        expect.objectContaining({
          code: "ERR_OUTPUT_NOT_WRITABLE",
          message: expect.stringContaining("change the permissions"),
        }),
      );
    } finally {
      if (isRoot) process.seteuid?.(0);
      fs.chmodSync(folder, 0o755);
    }
  });

  test("makes a folder and those above it, and ends where the system refuses them", async () => {
    const deep = join(folder, "a", "b", "c");
    await makeFolder(deep);
    await makeFolder(deep);
    expect(fs.statSync(deep).isDirectory()).toBe(true);
    fs.writeFileSync(join(folder, "file"), "");
    expect(await codeOf(makeFolder(join(folder, "file")))).toBe("ERR_OUTPUT_NOT_WRITABLE");
    expect(await codeOf(makeFolder(join(folder, "file", "x")))).toBe("ERR_OUTPUT_NOT_WRITABLE");
    // Here Node's own recursive mkdir never returns.
    if (process.platform === "linux") expect(await codeOf(makeFolder("/proc/a/b"))).toBe("ERR_OUTPUT_NOT_WRITABLE");
  });

  test("ends where not even the root of a folder is there, as of a drive that is not", async () => {
    const missing = Object.assign(new Error("ENOENT: no such drive"), { code: "ENOENT" });
    vi.spyOn(fs.promises, "mkdir").mockRejectedValue(missing);
    vi.spyOn(fs.promises, "stat").mockRejectedValue(missing);
    expect(await codeOf(makeFolder("/x/y"))).toBe("ERR_OUTPUT_NOT_WRITABLE");
    vi.restoreAllMocks();
  });

  test("says that a folder is not writable when the system says so", async () => {
    const denied = Object.assign(new Error("EACCES: permission denied"), { code: "EACCES" });
    vi.spyOn(fs.promises, "access").mockRejectedValue(denied);
    await expect(checkOutput(join(folder, "out"), { overwrite: false })).rejects.toThrow(
      expect.objectContaining({ code: "ERR_OUTPUT_NOT_WRITABLE", message: expect.stringContaining("is not writable") }),
    );
    vi.restoreAllMocks();
    vi.spyOn(fs.promises, "open").mockRejectedValue(denied);
    // Permission bits may allow what the file system refuses.
    await expect(checkOutput(join(folder, "out"), { overwrite: false })).rejects.toThrow(
      /no file can be made in .*EACCES/,
    );
    expect(await codeOf(writeFileAtomic(join(folder, "out"), bytes, { overwrite: false }))).toBe(
      "ERR_OUTPUT_NOT_WRITABLE",
    );
  });

  test("leaves nothing behind, and the old file as it was, when the disk is full", async () => {
    const path = join(folder, "out");
    fs.writeFileSync(path, "old");
    const open = fs.promises.open;
    vi.spyOn(fs.promises, "open").mockImplementation(async (...args) => {
      const handle = await open(...args);
      const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      vi.spyOn(handle, "sync").mockRejectedValue(full);
      return handle;
    });
    await expect(writeFileAtomic(path, bytes, { overwrite: true })).rejects.toThrow(
      expect.objectContaining({
        code: "ERR_OUTPUT_FAILED",
        fault: "runtime",
        message: expect.stringContaining("ENOSPC"),
      }),
    );
    expect(fs.readFileSync(path, "utf8")).toBe("old");
    expect(fs.readdirSync(folder)).toEqual(["out"]);
  });

  test("stops at an abort in the middle and leaves nothing behind", async () => {
    const controller = new AbortController();
    const large = new Uint8Array(2 ** 25);
    const open = fs.promises.open;
    let seen: string[] = [];
    vi.spyOn(fs.promises, "open").mockImplementation(async (...args) => {
      const handle = await open(...args);
      const write = handle.write.bind(handle) as (
        ...args: unknown[]
      ) => Promise<{ bytesWritten: number; buffer: Uint8Array }>;
      vi.spyOn(handle, "write").mockImplementation((async (...args: unknown[]) => {
        const result = await write(...args);
        seen = fs.readdirSync(folder);
        controller.abort();
        return result;
      }) as typeof handle.write);
      return handle;
    });
    const writing = writeFileAtomic(join(folder, "out"), large, { overwrite: false, signal: controller.signal });
    expect(await codeOf(writing)).toBe("ERR_ABORTED");
    expect(seen).toHaveLength(1);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test("leaves nothing behind when the process exits in the middle", async () => {
    const before = process.listeners("exit");
    vi.resetModules();
    const fresh = await import("./files/write-file-atomic.ts");
    const open = fs.promises.open;
    let during: string[] = [];
    let afterExit: string[] = [];
    vi.spyOn(fs.promises, "open").mockImplementation(async (...args) => {
      const handle = await open(...args);
      vi.spyOn(handle, "sync").mockImplementation(async () => {
        during = fs.readdirSync(folder);
        for (const listener of process.listeners("exit")) if (!before.includes(listener)) listener(0);
        afterExit = fs.readdirSync(folder);
        throw new Error("the process is gone");
      });
      return handle;
    });
    await expect(fresh.writeFileAtomic(join(folder, "out"), bytes, { overwrite: false })).rejects.toThrow();
    expect(during).toHaveLength(1);
    expect(afterExit).toEqual([]);
  });

  test("side by side gives every file its own content", async () => {
    const names = Array.from({ length: 8 }, (_, i) => `out${i}`);
    await Promise.all(
      names.map((name, i) => writeFileAtomic(join(folder, name), Uint8Array.of(i), { overwrite: false })),
    );
    expect(names.map((name) => fs.readFileSync(join(folder, name))[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(fs.readdirSync(folder).length).toBe(8);
  });
});
