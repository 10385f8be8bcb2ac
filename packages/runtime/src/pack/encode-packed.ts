import { notPackable, quoted } from "../errors.ts";
import { crc32 } from "../file/crc32.ts";
import type { PackedHeader, TensorEntry } from "../file/packed-model.ts";
import { magic, packedFileVersion, prefixBytes } from "../file/prefix.ts";
import type { DenseTensor, PackGraph } from "./pack-graph.ts";
import { fileType, type PackedValues } from "./packed-values.ts";
import { smallTensor, storedType, storedValues } from "./quantize.ts";

/** How a file is written. */
export interface EncodeOptions {
  /** Of tensors of two or more extents; beside fewer bits than f32, biases and the like are f16 where it holds them. Default "f32". */
  readonly values?: PackedValues;
  /** Default "gzip"; "none" for hosts that compress, or to compress it otherwise. */
  readonly compression?: "gzip" | "none";
  /** Whether weights that are zero may be left out; default true. Without, a file tells what the dense network would take. */
  readonly masks?: boolean;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A mask costs a bit a weight: below this share of zeros it is not worth it. */
const leastZeros = 0.05;

/** The bytes of a .secateur file. The same graph and options give the same bytes. */
export async function encodePacked(graph: PackGraph, options: EncodeOptions = {}): Promise<Uint8Array> {
  const { values = "f32", compression = "gzip", masks: mayMask = true, metadata = {} } = options;
  const masks: Uint8Array[] = [];
  const streams: Uint8Array[] = [];
  const entries: TensorEntry[] = [];
  const small = smallTensor(graph.tensors.values());
  for (const [name, tensor] of graph.tensors) {
    assertFinite(name, tensor);
    const kept = mayMask ? keptIndices(tensor) : undefined;
    const type = storedType(tensor, { values, small });
    const mask = kept ? maskOf(kept, tensor.data.length) : new Uint8Array();
    const stored = storedValues(tensor, type, kept);
    masks.push(mask);
    streams.push(stored);
    entries.push({
      name,
      dims: tensor.dims,
      values: fileType(type),
      ...(kept ? { kept: kept.length } : {}),
      crc32: crc32(stored, crc32(mask)),
    });
  }
  const { inputs, outputs, operators, states } = graph;
  const bound = states?.length ? { states } : {};
  const header: PackedHeader = { inputs, outputs, operators, tensors: entries, ...bound, metadata };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const raw = joined([json, ...masks, ...streams]);
  const stored = compression === "gzip" ? await gzip(raw) : raw;
  const out = new Uint8Array(prefixBytes + stored.length);
  const view = new DataView(out.buffer);
  out.set(magic);
  view.setUint16(8, packedFileVersion, true);
  view.setUint8(10, compression === "gzip" ? 1 : 0);
  const total = (parts: readonly Uint8Array[]): number => parts.reduce((sum, { length }) => sum + length, 0);
  for (const [i, length] of [json.length, total(masks), total(streams), stored.length].entries()) {
    view.setUint32(12 + 4 * i, length, true);
  }
  view.setUint32(28, crc32(json, crc32(out.subarray(0, 28))), true);
  out.set(stored, prefixBytes);
  return out;
}

/** A reader refuses NaN and infinity: they are found where they are written. @throws ERR_PACKED_GRAPH */
function assertFinite(name: string, { data }: DenseTensor): void {
  const place = data.findIndex((value) => !Number.isFinite(value));
  if (place < 0) return;
  const problem = `its number ${place} is ${data[place]}; a file holds finite numbers`;
  throw notPackable(`tensor ${quoted(name)}`, problem, "look where the model got it");
}

/** Indices of what is not zero, where enough is. */
function keptIndices({ data, dims }: DenseTensor): Uint32Array | undefined {
  if (dims.length < 2) return undefined;
  let count = 0;
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) count++;
  if (count > (1 - leastZeros) * data.length) return undefined;
  const kept = new Uint32Array(count);
  let next = 0;
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) kept[next++] = i;
  return kept;
}

function maskOf(kept: Uint32Array, size: number): Uint8Array {
  const mask = new Uint8Array(Math.ceil(size / 8));
  for (const index of kept) mask[index >> 3]! |= 1 << (index & 7);
  return mask;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

async function gzip(raw: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const { process } = globalThis as { process?: NodeJS.Process };
  // Node's zlib can be told to try harder than the stream that browsers have.
  if (typeof process?.getBuiltinModule === "function")
    return process.getBuiltinModule("node:zlib").gzipSync(raw, { level: 9 });
  const stream = new Blob([raw]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
