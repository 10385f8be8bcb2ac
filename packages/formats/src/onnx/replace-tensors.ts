/**
 * An ONNX file with some tensors changed and every other byte as it was: order of fields, unknown ones and all. Where the new bytes are as
 * many as the old ones they are overwritten; else the tensor is written anew and the lengths of the messages around it follow.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { putElements } from "../dtype.ts";
import { badOnnx, badTensor } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { onnxDtypeNumber } from "./onnx-dtype.ts";
import { type MessagePlace, onnxLayout } from "./onnx-layout.ts";
import { TensorProtoSchema } from "./onnx-schema.ts";
import { eachField, varintBytes, type WireField } from "./wire.ts";

/** Field numbers of TensorProto that say where and what its elements are. */
const DATA_FIELDS: ReadonlySet<number> = new Set([1, 2, 4, 5, 6, 7, 9, 10, 11, 13, 14]);

/**
 * Replaces tensors of an ONNX file.
 *
 * @param bytes - the file; not changed
 * @param changes - new tensors by place ("graph/initializer[3]", see `OnnxTensor`); names stay as they are in the file
 * @returns a new file; equal to `bytes` where what is written is what was there
 * @throws ERR_ONNX for a place that the file does not have, ERR_TENSOR
 */
export function replaceOnnxTensors(
  bytes: Uint8Array,
  changes: ReadonlyMap<string, Tensor>,
  source: string,
): Uint8Array {
  const file = { bytes, source };
  const places = onnxLayout(bytes, source);
  const edits: Edit[] = [];
  for (const [name, tensor] of changes) {
    const place = places.get(name);
    if (!place) throw badOnnx({ source, found: `no tensor at ${name}`, expected: "a place that the file has" });
    edits.push(...editsOf(file, place, { name, tensor }));
  }
  return applied(bytes, withLengths(file, edits));
}

/** New bytes for [from, end) of the file. */
interface Edit {
  readonly from: number;
  readonly end: number;
  readonly bytes: Uint8Array;
  /** The message whose length it changes. */
  readonly inside: MessagePlace;
}

function editsOf(
  file: { bytes: Uint8Array; source: string },
  place: MessagePlace,
  { name, tensor }: { name: string; tensor: Tensor },
): readonly Edit[] {
  const raw = new Uint8Array(tensor.data.byteLength);
  putElements(tensor.data, raw, 0);
  const fields: WireField[] = [];
  eachField(file, place, (field) => fields.push(field));
  const stored = fields.filter(({ number }) => [4, 5, 7, 9, 10, 11, 13].includes(number));
  const header = fields.filter(({ number }) => number === 1 || number === 2);
  const type = onnxDtypeNumber(tensor.dtype);
  if (type < 0) throw badTensor({ name, found: `the dtype ${tensor.dtype}`, expected: "a dtype that ONNX has" });
  const [only] = stored;
  // raw_data, and packed floats and doubles, which are stored alike.
  const isPlain = stored.length === 1 && only!.type === 2 && [4, 9, 10].includes(only!.number);
  if (isPlain && only!.end - only!.from === raw.length && hasHeader(file, header, { tensor, type })) {
    return [{ from: only!.from, end: only!.end, bytes: raw, inside: place }];
  }
  const proto = create(TensorProtoSchema, { dims: tensor.shape.map(BigInt), dataType: type, rawData: raw });
  const written = toBinary(TensorProtoSchema, proto);
  // Other fields stay where they are; what is new follows them.
  const dropped = fields.filter(({ number }) => DATA_FIELDS.has(number));
  return [
    ...dropped.map(({ start, end }) => ({ from: start, end, bytes: new Uint8Array(0), inside: place })),
    { from: place.end, end: place.end, bytes: written, inside: place },
  ];
}

/** Whether the file says the same shape and type already. */
function hasHeader(
  { bytes }: { bytes: Uint8Array },
  header: readonly WireField[],
  { tensor, type }: { tensor: Tensor; type: number },
): boolean {
  const dims: number[] = [];
  let found = 0;
  for (const { number, from, end } of header) {
    const values = varints(bytes, from, end);
    if (number === 1) dims.push(...values);
    else found = values.at(-1)!;
  }
  return found === type && dims.length === tensor.shape.length && dims.every((extent, i) => extent === tensor.shape[i]);
}

function varintLength(bytes: Uint8Array, from: number): number {
  let length = 1;
  while (bytes[from + length - 1]! >= 0x80) length++;
  return length;
}

function varints(bytes: Uint8Array, from: number, end: number): readonly number[] {
  const values: number[] = [];
  for (let at = from; at < end; ) {
    const length = varintLength(bytes, at);
    let value = 0;
    for (let i = 0; i < length; i++) value += (bytes[at + i]! & 0x7f) * 2 ** (7 * i);
    values.push(value);
    at += length;
  }
  return values;
}

/** The edits, and those of the lengths of all messages that become longer or shorter. */
function withLengths({ bytes }: { bytes: Uint8Array }, edits: readonly Edit[]): readonly Edit[] {
  const growth = new Map<MessagePlace, number>();
  for (const { from, end, bytes: written, inside } of edits) {
    growth.set(inside, (growth.get(inside) ?? 0) + written.length - (end - from));
  }
  const byStart = new Map<number, MessagePlace>();
  const total = new Map<number, number>();
  for (const place of growth.keys()) {
    for (let at: MessagePlace | undefined = place; at?.parent; at = at.parent) byStart.set(at.start, at);
  }
  // Inner messages start later, so that from last to first each length is known before the one around it.
  for (const [place, by] of growth) total.set(place.start, (total.get(place.start) ?? 0) + by);
  const lengths: Edit[] = [];
  for (const place of [...byStart.values()].sort((a, b) => b.start - a.start)) {
    const by = total.get(place.start) ?? 0;
    if (by === 0) continue;
    const tagEnd = place.start + varintLength(bytes, place.start);
    const length = varintBytes(place.end - place.from + by);
    lengths.push({ from: tagEnd, end: place.from, bytes: length, inside: place });
    const parent = place.parent!;
    if (!parent.parent) continue;
    total.set(parent.start, (total.get(parent.start) ?? 0) + by + length.length - (place.from - tagEnd));
  }
  return [...edits, ...lengths];
}

function applied(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  const ordered = [...edits].sort((a, b) => a.from - b.from || a.end - b.end);
  const size = edits.reduce((sum, { from, end, bytes: written }) => sum + written.length - (end - from), bytes.length);
  const out = new Uint8Array(size);
  let [read, wrote] = [0, 0];
  for (const { from, end, bytes: written } of ordered) {
    out.set(bytes.subarray(read, from), wrote);
    wrote += from - read;
    out.set(written, wrote);
    wrote += written.length;
    read = end;
  }
  out.set(bytes.subarray(read), wrote);
  return out;
}
