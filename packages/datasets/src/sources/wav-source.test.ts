import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openDataset } from "../open-dataset.ts";

const folder = mkdtempSync(join(tmpdir(), "wav-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A RIFF file: a chunk that nobody knows, the format, the samples. */
function wav(samples: Uint8Array, { kind = 1, channels = 1, rate = 16000, bits = 16 } = {}): Uint8Array {
  const out = Buffer.alloc(12 + 10 + 24 + 8 + samples.length);
  out.write("RIFF", 0);
  out.write("WAVE", 8);
  out.write("LIST", 12);
  out.writeUInt32LE(1, 16);
  out.write("fmt ", 22);
  out.writeUInt32LE(16, 26);
  out.writeUInt16LE(kind, 30);
  out.writeUInt16LE(channels, 32);
  out.writeUInt32LE(rate, 34);
  out.writeUInt16LE(bits, 44);
  out.write("data", 46);
  out.writeUInt32LE(samples.length, 50);
  out.set(samples, 54);
  return out;
}

const bytesOf = (array: Int16Array | Int32Array | Float32Array): Uint8Array => new Uint8Array(array.buffer);

let count = 0;
function recordings(files: Readonly<Record<string, Uint8Array>>): string {
  const own = join(folder, `${++count}`);
  mkdirSync(own);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(own, name), bytes);
  return `wav:${own}`;
}

test("recordings are cut into windows by name, channels become their mean, and what fills no window is left out", async () => {
  const spec = recordings({
    "b.wav": wav(bytesOf(Int16Array.of(0x4000, 0, -0x8000, -0x4000)), { channels: 2 }),
    "a.WAV": wav(bytesOf(Int16Array.of(1, 2, 3, 4, 5))),
    "notes.txt": new Uint8Array(1),
  });
  const { train, test: other } = await openDataset(spec, { windowLength: 2, inputNames: ["sound"] });
  expect(other).toBe(train);
  const { inputs } = await train.batch(Uint32Array.of(0, 1, 2));
  const small = [1, 2, 3, 4].map((value) => value / 32768);
  expect([...inputs["sound"]!.data]).toEqual([...small, 0.25, -0.75]);
  expect(train.targets).toBeUndefined();
});

test.each([
  [8, 1, Uint8Array.of(0, 128, 192), [-1, 0, 0.5]],
  [24, 1, Uint8Array.of(0, 0, 0x40, 0, 0, 0x80, 1, 0, 0), [0.5, -1, 2 ** -23]],
  [32, 1, bytesOf(Int32Array.of(-(2 ** 31), 2 ** 30)), [-1, 0.5]],
  [32, 3, bytesOf(Float32Array.of(0.25, -2)), [0.25, -2]],
])("samples of %d bits, kind %d, are what they mean", async (bits, kind, samples, wanted) => {
  const { train } = await openDataset(recordings({ "a.wav": wav(samples, { bits, kind }) }), { windowLength: 1 });
  const { inputs } = await train.batch(Uint32Array.from(wanted, (_, i) => i));
  expect([...Object.values(inputs)[0]!.data]).toEqual(wanted);
});

test.each([
  ["no recording", { "a.wav": new Uint8Array(20) }, /no RIFF header/],
  ["a truncated one", { "a.wav": wav(new Uint8Array(4)).slice(0, 48) }, /no samples/],
  ["another code", { "a.wav": wav(new Uint8Array(4), { kind: 2 }) }, /format 2 of 16 bits/],
  [
    "two rates",
    { "a.wav": wav(new Uint8Array(4)), "b.wav": wav(new Uint8Array(4), { rate: 8000 }) },
    /8000 samples a second, expected 16000/,
  ],
  ["what is no number", { "a.wav": wav(bytesOf(Float32Array.of(Number.NaN)), { kind: 3, bits: 32 }) }, /sample 0/],
])("is refused: %s", async (_what, files, says) => {
  await expect(openDataset(recordings(files), { windowLength: 1 })).rejects.toThrow(says);
});

test("a model that does not say how long its input is is asked for it", async () => {
  await expect(openDataset(recordings({}))).rejects.toThrow(/--input-shape NAME=batch,512/);
});
