/**
 * The layout of torch.save before 1.6 (`_use_new_zipfile_serialization=False` later): pickles of a magic number, a protocol
 * version, the sizes of C types, the data, and the list of storage keys; then each storage in that order as its number of
 * elements (64 bits) and its elements, always little-endian.
 */
import { badPytorch } from "../errors.ts";
import { isPickleNode, type PickleValue } from "../pickle/pickle-value.ts";
import { readPickle } from "../pickle/read-pickle.ts";
import { quote } from "../text/quote.ts";
import type { PytorchFile } from "./pytorch-file.ts";
import { type StorageReference, storagesByKey } from "./pytorch-storage.ts";

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** Opens a file of the older layout. Walks over the sizes of all storages; touches no element. @throws ERR_PYTORCH */
export function openPytorchStream(bytes: Uint8Array, source: string): PytorchFile {
  const magic = readPickle(bytes, 0, source);
  if (magic.value !== MAGIC) throw badPytorch({ source, found: "another magic number", expected: "torch.save's" });
  const protocol = readPickle(bytes, magic.end, source);
  if (protocol.value !== PROTOCOL) {
    const found = `protocol version ${describe(protocol.value)}`;
    throw badPytorch({ source, found, expected: `${PROTOCOL}`, remedy: "load and save it again with torch" });
  }
  const system = readPickle(bytes, protocol.end, source);
  const pickle = readPickle(bytes, system.end, source);
  const keys = readPickle(bytes, pickle.end, source);
  const storages = storagesByKey(pickle.references, source);
  const places = storagePlaces({ bytes, start: keys.end, keys: keyList(keys.value, source), storages, source });
  return {
    pickle,
    littleEndian: true,
    storage({ key }) {
      const place = places.get(key);
      if (place === undefined)
        throw badPytorch({ source, found: `no storage ${quote(key)}`, expected: "every storage" });
      return place;
    },
  };
}

function keyList(value: PickleValue, source: string): readonly string[] {
  const items = isPickleNode(value) && value.kind === "list" ? value.items : undefined;
  if (!items?.every((key) => typeof key === "string")) {
    throw badPytorch({ source, found: "a list of storages that is none", expected: "a list of keys" });
  }
  return items;
}

function storagePlaces(spec: {
  bytes: Uint8Array;
  start: number;
  keys: readonly string[];
  storages: ReadonlyMap<string, StorageReference>;
  source: string;
}): ReadonlyMap<string, Uint8Array> {
  const { bytes, keys, storages, source } = spec;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const places = new Map<string, Uint8Array>();
  let at = spec.start;
  for (const key of keys) {
    const storage = storages.get(key);
    if (storage === undefined || places.has(key)) {
      const found = `the storage ${quote(key)} ${storage === undefined ? "that nothing refers to" : "twice"}`;
      throw badPytorch({ source, found, expected: "each storage of the data once" });
    }
    if (at + 8 > bytes.length) throw truncated(key, 8, bytes.length - at, source);
    const length = view.getBigInt64(at, true);
    if (length !== BigInt(storage.length)) {
      const found = `the storage ${quote(key)} with ${length} elements`;
      throw badPytorch({ source, found, expected: `the ${storage.length} that the data say` });
    }
    at += 8;
    const size = storage.length * storage.bytesPerElement;
    if (size > bytes.length - at) throw truncated(key, size, bytes.length - at, source);
    places.set(key, bytes.subarray(at, at + size));
    at += size;
  }
  return places;
}

function truncated(key: string, needed: number, left: number, source: string): Error {
  const found = `${left} bytes left for the storage ${quote(key)}`;
  return badPytorch({ source, found, expected: `at least ${needed} (truncated or damaged)` });
}

function describe(value: PickleValue): string {
  return typeof value === "number" ? String(value) : "of another kind";
}
