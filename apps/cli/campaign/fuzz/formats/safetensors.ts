import assert from "node:assert/strict";
import { decodeCheckpoint, decodeSafetensors, encodeSafetensors, type NamedTensor } from "@secateur/formats";
import type { FuzzFormat } from "../fuzz-format.ts";
import { joined, oneOf } from "../mutate-bytes.ts";
import { mutateJson } from "../mutate-json.ts";

const tensors: readonly NamedTensor[] = [
  { name: "module.fc1.weight_orig", dtype: "f32", shape: [4, 3], data: Float32Array.from({ length: 12 }, (_, i) => i) },
  {
    name: "module.fc1.weight_mask",
    dtype: "bool",
    shape: [4, 3],
    data: Uint8Array.from({ length: 12 }, (_, i) => i % 2),
  },
  { name: "fc1.bias", dtype: "f16", shape: [4], data: Uint16Array.of(0x3c00, 0, 1, 0x7bff) },
  { name: "steps", dtype: "i64", shape: [], data: BigInt64Array.of(7n) },
];
const masked = encodeSafetensors({ tensors, metadata: { "secateur.architecture": "mlp:3-4", note: "x" } });
const plain = encodeSafetensors({ tensors: tensors.slice(2) });
const header = JSON.parse(new TextDecoder().decode(masked.subarray(8, 8 + headerBytes(masked)))) as unknown;

function headerBytes(file: Uint8Array): number {
  return Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
}

/** A header, its true length, and data that may or may not fit. */
function fileOf(json: string, data: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(json);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  return joined(length, text, data);
}

/** An independent reading of the format's description, as strict as it says and no more. */
function assertAsDescribed(file: Uint8Array): void {
  const length = headerBytes(file);
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(file.subarray(8, 8 + length));
  const fields = Object.entries(JSON.parse(text) as Record<string, { data_offsets: [number, number] }>);
  const spans = fields.filter(([name]) => name !== "__metadata__").map(([, { data_offsets }]) => data_offsets);
  spans.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let end = 0;
  for (const [from, to] of spans) {
    assert.equal(from, end);
    end = to;
  }
  assert.equal(end, file.length - 8 - length);
}

/** The header's JSON changed with its length kept true, and bytes changed. */
export const safetensors: FuzzFormat = {
  name: "safetensors",
  corpus: [masked, plain],
  mutate: (rng) => {
    const start = 8 + headerBytes(masked);
    const data = masked.subarray(start, rng.next() < 0.8 ? masked.length : start + rng.integer(masked.length - start));
    return fileOf(mutateJson(rng, oneOf(rng, [header, {}])), data);
  },
  read(bytes) {
    const stored = decodeSafetensors(bytes, "net.safetensors");
    assertAsDescribed(bytes);
    // What was accepted is written and read back as it is.
    const again = decodeSafetensors(encodeSafetensors(stored), "again");
    const byName = (list: readonly NamedTensor[]): unknown => new Map(list.map((tensor) => [tensor.name, tensor.data]));
    assert.deepEqual(byName(again.tensors), byName(stored.tensors));
    decodeCheckpoint(bytes, "net.safetensors");
    return bytes.length;
  },
};
