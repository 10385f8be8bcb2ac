/** Entries of an ONNX file's metadata (`metadata_props`) set, or outputs added to its graph, and every other byte as it was. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ModelProtoSchema,
  type StringStringEntryProto,
  StringStringEntryProtoSchema,
  ValueInfoProtoSchema,
} from "./onnx-schema.ts";
import { eachField } from "./wire.ts";

/** The field of ModelProto. */
const metadataProps = 14;

/**
 * Sets entries. One that is there with that value stays where it is; others of its key go, and the new ones stand at the end of the file.
 *
 * @param bytes - the file; not changed, and returned where nothing is new
 * @throws ERR_ONNX for bytes that are no protobuf
 */
export function withOnnxMetadata(
  bytes: Uint8Array,
  entries: Readonly<Record<string, string>>,
  source: string,
): Uint8Array {
  const missing = new Map(Object.entries(entries));
  const kept: Uint8Array[] = [];
  let from = 0;
  eachField({ bytes, source }, { from: 0, end: bytes.length }, (field) => {
    if (field.number !== metadataProps || field.type !== 2) return;
    const { key, value } = entryOf(bytes.subarray(field.from, field.end));
    if (!Object.hasOwn(entries, key)) return;
    if (entries[key] === value && missing.delete(key)) return;
    kept.push(bytes.subarray(from, field.start));
    from = field.end;
  });
  if (from === 0 && missing.size === 0) return bytes;
  const added = create(ModelProtoSchema, {
    metadataProps: [...missing].map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
  });
  const parts = [...kept, bytes.subarray(from), toBinary(ModelProtoSchema, added)];
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * The file with further values of its graph as outputs, whose types a runtime infers. O(bytes).
 *
 * @param bytes - a file that was read before
 * @param names - values of the graph; those that are outputs already must not be among them
 */
export function withOnnxOutputs(bytes: Uint8Array, names: readonly string[]): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  model.graph?.output.push(...names.map((name) => create(ValueInfoProtoSchema, { name })));
  return toBinary(ModelProtoSchema, model);
}

function entryOf(bytes: Uint8Array): StringStringEntryProto {
  return fromBinary(StringStringEntryProtoSchema, bytes);
}
