import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readNpy } from "../files/read-file.ts";
import { encodeNpy, encodeNpyHeader } from "./encode-npy.ts";
import { readNpyInto } from "./read-npy-into.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "secateur-npy-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(bytes: Uint8Array): string {
  const path = join(folder, "a.npy");
  writeFileSync(path, bytes);
  return path;
}

/** Shared memory, as a backend's is, with other numbers around what is handed out. */
function sharedRoom(): {
  room: (length: number, dtype: "f32" | "f64") => Float32Array | Float64Array;
  calls: number[];
} {
  const calls: number[] = [];
  return {
    calls,
    room(length, dtype) {
      calls.push(length);
      const size = dtype === "f64" ? 8 : 4;
      const buffer = new SharedArrayBuffer(64 + length * size + 64);
      return dtype === "f64" ? new Float64Array(buffer, 64, length) : new Float32Array(buffer, 64, length);
    },
  };
}

test.each(["f32", "f64"] as const)(
  "numbers of %s are read to where they are wanted, in several slices",
  async (dtype) => {
    // More than two slices of 8 MiB.
    const length = 5_000_001;
    const data = dtype === "f64" ? new Float64Array(length) : new Float32Array(length);
    for (let i = 0; i < length; i++) data[i] = Math.fround(Math.sin(i));
    const { room, calls } = sharedRoom();
    const found = await readNpyInto(fileOf(encodeNpy({ shape: [length], data })), room);
    expect(found.shape).toEqual([length]);
    expect(calls).toEqual([length]);
    expect(found.data.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(
      Buffer.compare(Buffer.from(Float64Array.from(found.data).buffer), Buffer.from(Float64Array.from(data).buffer)),
    ).toBe(0);
  },
);

test("other layouts are decoded and copied there", async () => {
  const plain = encodeNpy({ shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
  const text = Buffer.from(plain).toString("latin1").replace("'fortran_order': False", "'fortran_order': True ");
  const { room } = sharedRoom();
  const { shape, data } = await readNpyInto(fileOf(Buffer.from(text, "latin1")), room);
  expect([shape, [...data]]).toEqual([
    [2, 3],
    [1, 3, 5, 2, 4, 6],
  ]);
  expect(data.buffer).toBeInstanceOf(SharedArrayBuffer);
});

test("a file that readNpy refuses is refused in the same words, and no room is taken", async () => {
  const whole = encodeNpy({ shape: [3], data: new Float32Array(3) });
  const broken = [
    whole.subarray(0, 5),
    whole.subarray(0, whole.length - 1),
    encodeNpyHeader({ shape: [2 ** 40, 2 ** 40], dtype: "f32" }),
  ];
  for (const path of [...broken.map((bytes) => () => fileOf(bytes)), () => join(folder, "missing.npy"), () => folder]) {
    const at = path();
    const expected = await readNpy(at).catch((error: unknown) => error);
    const { room, calls } = sharedRoom();
    await expect(readNpyInto(at, room)).rejects.toThrow((expected as Error).message);
    expect(calls).toEqual([]);
  }
});
