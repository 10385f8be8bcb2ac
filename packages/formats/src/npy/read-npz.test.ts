import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { zipFile } from "../pytorch/pytorch.test-support.ts";
import { encodeNpy } from "./encode-npy.ts";
import { readNpzNumbers } from "./read-npz.ts";

/** By numpy 2.4: np.savez_compressed("c.npz", x=np.arange(6, dtype=np.float32).reshape(2, 3), y=np.zeros(300, np.uint8)). */
const compressed =
  "UEsDBC0AAAAIAAAAIQBP6QAq//////////8FABQAeC5ucHkBABAAmAAAAAAAAABVAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TZqKuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6CsaaOgq1CmQDLgYwaLAHEg5ABMQNQLzAAQBQSwMELQAAAAgAAAAhANIUQQ7//////////wUAFAB5Lm5weQEAEACsAQAAAAAAAEsAAAAAAAAAm+wX6hsQychQxlCtnpJanFykbqWgXlNqqK6joJ6WX1RSlJgXn1+UkgoSd0vMKU4FihdnJBakAvkaxgYGOpo6CrUKZAMuhlFANAAAUEsBAi0DLQAAAAgAAAAhAE/pACpVAAAAmAAAAAUAAAAAAAAAAAAAAIABAAAAAHgubnB5UEsBAi0DLQAAAAgAAAAhANIUQQ5LAAAArAEAAAUAAAAAAAAAAAAAAIABjAAAAHkubnB5UEsFBgAAAAACAAIAZgAAAA4BAAAAAA==";

const folder = mkdtempSync(join(tmpdir(), "secateur-npz-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "a.npz");
const read = (bytes: Uint8Array) => {
  writeFileSync(path, bytes);
  return readNpzNumbers(path);
};

test("the arrays of an archive come by their names, and a damaged one is refused", async () => {
  const entries = { "x.npy": encodeNpy({ shape: [2], data: Float32Array.of(1, 2) }), "notes.txt": new Uint8Array(1) };
  const archive = zipFile(entries);
  expect([...(await read(archive))]).toEqual([["x", { shape: [2], data: Float32Array.of(1, 2) }]]);
  await expect(read(archive.slice(0, -9))).rejects.toThrow(/a\.npz: not a usable \.npz archive/);
});

test("compressed arrays are unpacked as numpy packed them", async () => {
  expect([...(await read(Buffer.from(compressed, "base64")))]).toEqual([
    ["x", { shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) }],
    ["y", { shape: [300], data: new Uint8Array(300) }],
  ]);
});

test("what unpacks to another size than the directory says, or to more than the archive justifies, is refused", async () => {
  const archive = new Uint8Array(Buffer.from(compressed, "base64"));
  // The directory's size of x: 24 bytes into its first record.
  const directory = Buffer.from(archive).indexOf("PK\u0001\u0002");
  const lying = (size: number): Uint8Array => {
    const copy = archive.slice();
    new DataView(copy.buffer).setUint32(directory + 24, size, true);
    return copy;
  };
  await expect(read(lying(140))).rejects.toThrow(/'x\.npy' that unpacks to more than the 140 bytes/);
  await expect(read(lying(153))).rejects.toThrow(/of 153 bytes that unpacks to 152/);
  await expect(read(lying(2 ** 27))).rejects.toThrow(/at most 67108864 are unpacked.*save it with np\.savez, which/);
  await expect(read(new TextEncoder().encode("not an archive"))).rejects.toThrow(/found no zip archive/);
  const damaged = archive.slice();
  damaged[80]! ^= 0xff;
  await expect(read(damaged)).rejects.toThrow(/not a usable \.npz archive/);
});
