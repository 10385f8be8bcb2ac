import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
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

/** A file of version 2.0 with any descr and data. */
function withDescr(descr: string, shape: string, data: Uint8Array, padding = 0): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }${" ".repeat(padding)}\n`;
  const head = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 0, 0, 0, 0);
  new DataView(head.buffer).setUint32(8, text.length, true);
  return Buffer.concat([head, Buffer.from(text), data]);
}

test.each([
  [">f4", "(2,)", Uint8Array.of(0x3f, 0x80, 0, 0, 0x40, 0, 0, 0), [1, 2]],
  ["<f2", "(2,)", Uint8Array.of(0, 0x3c, 0, 0x40), [1, 2]],
  ["|i1", "(2,)", Uint8Array.of(1, 254), [1, -2]],
  ["<f4", "(0, 5)", new Uint8Array(0), []],
])("numbers of %s in shape %s are those of readNpy", async (descr, shape, bytes, numbers) => {
  const path = fileOf(withDescr(descr, shape, bytes));
  const { room } = sharedRoom();
  const found = await readNpyInto(path, room);
  expect([...found.data]).toEqual(numbers);
  expect(found.shape).toEqual((await readNpy(path)).shape);
});

test("a file that readNpy refuses is refused in the same words, and no room is taken", async () => {
  const whole = encodeNpy({ shape: [3], data: new Float32Array(3) });
  const broken = [
    whole.subarray(0, 5),
    whole.subarray(0, whole.length - 1),
    encodeNpyHeader({ shape: [2 ** 40, 2 ** 40], dtype: "f32" }),
    withDescr("<f4", "(1,)", new Uint8Array(4), 100_000),
    withDescr("<c8", "(1,)", new Uint8Array(8)),
    withDescr("|O", "(1,)", new Uint8Array(8)),
  ];
  for (const path of [...broken.map((bytes) => () => fileOf(bytes)), () => join(folder, "missing.npy"), () => folder]) {
    const at = path();
    const expected = await readNpy(at).catch((error: unknown) => error);
    const { room, calls } = sharedRoom();
    await expect(readNpyInto(at, room)).rejects.toThrow((expected as Error).message);
    expect(calls).toEqual([]);
  }
});

test("a file that becomes shorter while it is read is refused, and what the room throws is thrown", async () => {
  const path = fileOf(encodeNpy({ shape: [1000], data: new Float32Array(1000) }));
  const { room } = sharedRoom();
  const cut = (length: number, dtype: "f32" | "f64") => {
    truncateSync(path, 1000);
    return room(length, dtype);
  };
  await expect(readNpyInto(path, cut)).rejects.toThrow(/truncated/);
  const full = () => {
    throw new RangeError("no room");
  };
  await expect(readNpyInto(fileOf(encodeNpy({ shape: [1], data: new Float32Array(1) })), full)).rejects.toThrow(
    "no room",
  );
});
