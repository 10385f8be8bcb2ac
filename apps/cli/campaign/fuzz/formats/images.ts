import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import type { Rng } from "@secateur/core";
import { openDataset } from "@secateur/datasets";
import { bytesOf } from "../bytes-of.ts";
import type { FuzzFormat } from "../fuzz-format.ts";
import { joined, latin1, mutateBytes, oneOf } from "../mutate-bytes.ts";

/** A chunk of a PNG with a true checksum. */
function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(latin1(type), 4);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

function header(spec: {
  width: number;
  height: number;
  depth: number;
  colour: number;
  interlaced: number;
}): Uint8Array {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, spec.width);
  view.setUint32(4, spec.height);
  data.set([spec.depth, spec.colour, 0, 0, spec.interlaced], 8);
  return chunk("IHDR", data);
}

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const size = { width: 4, height: 4 };
const palette = chunk(
  "PLTE",
  Uint8Array.from({ length: 48 }, (_, i) => i * 5),
);
const rows = (bytes: number): Uint8Array => chunk("IDAT", deflateSync(new Uint8Array(4 * (1 + bytes)).fill(0)));
const end = chunk("IEND", new Uint8Array(0));

const pngs: readonly (readonly Uint8Array[])[] = [
  [header({ ...size, depth: 8, colour: 0, interlaced: 0 }), rows(4), end],
  [header({ ...size, depth: 16, colour: 6, interlaced: 0 }), rows(32), end],
  [header({ ...size, depth: 4, colour: 3, interlaced: 0 }), palette, rows(2), end],
];

/** Chunks of any PNG, made once: a megabyte is packed among them. */
const anyChunks = [
  palette,
  chunk("tRNS", new Uint8Array(3)),
  chunk("iCCP", deflateSync(new Uint8Array(1e6))),
  ...[0, 1, 3, 5, 64, 5000].map(rows),
];

/** Other data in a chunk, with a true checksum; pixels are changed before they are packed. */
function changedChunk(rng: Rng, whole: Uint8Array): Uint8Array {
  const type = String.fromCharCode(...whole.subarray(4, 8));
  const data = whole.slice(8, -4);
  if (type !== "IDAT" || rng.next() < 0.3)
    return chunk(type, data.length === 0 ? data : mutateBytes(rng, data, [data]));
  const pixels = new Uint8Array(4 * (1 + oneOf(rng, [2, 4, 32]))).map(() => (rng.next() < 0.3 ? rng.integer(6) : 0));
  return chunk(type, deflateSync(rng.next() < 0.5 ? pixels : mutateBytes(rng, pixels, [pixels])));
}

/** Chunks changed, left out, repeated and swapped, and headers that say something else of the same data. */
function mutatedPng(rng: Rng): Uint8Array {
  const chunks = [...oneOf(rng, pngs)];
  const spares = [
    ...anyChunks,
    header({
      width: oneOf(rng, [1, 4, 5, 60_000, 0]),
      height: oneOf(rng, [1, 4, 60_000]),
      depth: oneOf(rng, [1, 2, 4, 8, 16, 3, 0]),
      colour: oneOf(rng, [0, 2, 3, 4, 6, 1, 7]),
      interlaced: rng.integer(3),
    }),
  ];
  for (let i = 1 + rng.integer(3); i > 0; i--) {
    const at = rng.integer(chunks.length);
    if (rng.next() < 0.5) chunks[at] = changedChunk(rng, chunks[at]!);
    else chunks.splice(at, rng.integer(2), oneOf(rng, [...spares, ...chunks]));
  }
  return joined(signature, ...chunks);
}

/** 13 x 9 pixels that libjpeg wrote: grey, in colour, and progressive. */
const jpegs = [
  "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/wAALCAAJAA0BAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/AM/Svhn939x+ldHP4R0fRIYv7Wv7Gw87Pl/a50i34xnG4jOMjp6ivTtK/hr4xsv9TX//2Q==",
  "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/wAARCAAJAA0DASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwB2n690+erEtj4ZuIo/tOn2kW3O3yz5Oemc7SM/j0ritP7VXtf9VXXl+Fr5rVqtVnT5Lbbu9+t1a1vM684yvB5IqboQu531va1rdt9+6P/Z",
  "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/wgARCAAJAA0DASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAAAwEF/8QAFAEBAAAAAAAAAAAAAAAAAAAAA//aAAwDAQACEAMQAAABqYhqv//EABkQAAIDAQAAAAAAAAAAAAAAAAIDAAEEMf/aAAgBAQABBQJb5YZipcHn/8QAGREAAgMBAAAAAAAAAAAAAAAABBIAAQMx/9oACAEDAQE/ATBcQlSuz//EABoRAAICAwAAAAAAAAAAAAAAAAIEAAMREiL/2gAIAQIBAT8BXqNoi71xP//EABsQAAEEAwAAAAAAAAAAAAAAAAEAAgMQEiFx/9oACAEBAAY/AkMo2jmr/8QAGRAAAQUAAAAAAAAAAAAAAAAAABAhMWHh/9oACAEBAAE/IbRmCjFV/9oADAMBAAIAAwAAABA//8QAGREAAgMBAAAAAAAAAAAAAAAAAREAMVEh/9oACAEDAQE/EAJPL9aSWXeif//EABoRAAICAwAAAAAAAAAAAAAAAAERADEhQWH/2gAIAQIBAT8QJ4LDVlvbCS7P/8QAGxAAAgIDAQAAAAAAAAAAAAAAETEAIQEQQYH/2gAIAQEAAT8QRLitZZElg+qcaf/Z",
].map((text) => new Uint8Array(Buffer.from(text, "base64")));

/** Segments left out, repeated and swapped. */
function mutatedJpeg(rng: Rng): Uint8Array {
  const bytes = oneOf(rng, jpegs);
  const segments: Uint8Array[] = [];
  let at = 2;
  while (bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    const next = at + 2 + 256 * bytes[at + 2]! + bytes[at + 3]!;
    segments.push(bytes.subarray(at, next));
    at = next;
  }
  segments.push(bytes.subarray(at));
  for (let i = 1 + rng.integer(3); i > 0; i--) {
    const place = rng.integer(segments.length);
    const action = rng.integer(4);
    if (action === 0) segments.splice(place, 1);
    else if (action === 1)
      segments.splice(place, 0, ...Array.from({ length: 1 + rng.integer(80) }, () => oneOf(rng, segments)));
    else {
      // A byte of a segment: sizes, sampling, tables, scans.
      const changed = segments[place]?.slice();
      if (changed === undefined) continue;
      changed[2 + rng.integer(changed.length)] = rng.integer(256);
      segments[place] = changed;
    }
  }
  return joined(bytes.subarray(0, 2), ...segments);
}

/** A folder of one class whose only training and test image is the file. */
function imageFormat(spec: {
  name: "png" | "jpeg";
  corpus: readonly Uint8Array[];
  mutate: (rng: Rng) => Uint8Array;
}): FuzzFormat {
  const folder = mkdtempSync(join(tmpdir(), "secateur-fuzz-"));
  const paths = ["train", "test"].map((split) => join(folder, split, "a", `x.${spec.name}`));
  for (const path of paths) mkdirSync(join(path, ".."), { recursive: true });
  return {
    ...spec,
    async read(bytes) {
      for (const path of paths) writeFileSync(path, bytes);
      const { train } = await openDataset(`images:${folder}`);
      const batch = await train.batch(Uint32Array.of(0));
      return bytesOf(batch.inputs);
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export const png = (): FuzzFormat => {
  return imageFormat({ name: "png", corpus: pngs.map((chunks) => joined(signature, ...chunks)), mutate: mutatedPng });
};

export const jpeg = (): FuzzFormat => imageFormat({ name: "jpeg", corpus: jpegs, mutate: mutatedJpeg });
