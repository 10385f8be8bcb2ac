import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readNpy } from "../files/read-file.ts";
import { readNpyHeader } from "./read-npy-header.ts";

test("a header longer than what is read of a file is refused as readNpy refuses it, with the file's own size", async () => {
  const folder = mkdtempSync(join(tmpdir(), "secateur-npy-header-"));
  try {
    const path = join(folder, "long.npy");
    // Version 2: a length of four bytes. What the header says does not matter.
    const bytes = new Uint8Array(12 + 100_000);
    bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0]);
    new DataView(bytes.buffer).setUint32(8, 100_000, true);
    writeFileSync(path, bytes);
    const whole = await readNpy(path).catch((error: Error) => error);
    await expect(readNpyHeader(path)).rejects.toThrow((whole as Error).message);
    expect((whole as Error).message).toMatch(/a header of 100000 bytes, expected at most 65535/);
    new DataView(bytes.buffer).setUint32(8, 200_000, true);
    writeFileSync(path, bytes);
    await expect(readNpyHeader(path)).rejects.toThrow(/larger than the file of 100012 bytes/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
