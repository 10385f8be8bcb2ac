import { expect, test } from "vitest";
import { decodeSafetensors } from "../safetensors/decode-safetensors.ts";
import { detectFormat } from "./detect-format.ts";

/** A whole safetensors file of one f32 whose header is as long as asked. */
function withHeader(length: number): Uint8Array {
  const header = JSON.stringify({ w: { dtype: "F32", shape: [1], data_offsets: [0, 4] } }).padEnd(length);
  const bytes = new Uint8Array(8 + length + 4);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(new TextEncoder().encode(header), 8);
  return bytes;
}

test.each([
  ["a pickle of protocol 2", 0x0280],
  ["a pickle of protocol 5", 0x0580],
  ["gzip", 0x8b1f],
  ["a zip archive", 0x04034b50 % 65536],
  ["JSON", 0x7b],
  ["an ONNX model", 0x1208],
  ["HDF5", 0x4889],
  ["a web page", 0x683c],
])("a safetensors file whose header length begins as %s does is one", (_, length) => {
  const bytes = withHeader(length);
  expect(detectFormat(bytes)).toBe("safetensors");
  expect(decodeSafetensors(bytes, "net.safetensors").tensors).toHaveLength(1);
});

test("every header length up to 70,000 bytes is told from every other format", () => {
  const bytes = withHeader(70_000);
  const head = new DataView(bytes.buffer);
  for (let length = 2; length <= 70_000; length++) {
    head.setBigUint64(0, BigInt(length), true);
    expect(detectFormat(bytes)).toBe("safetensors");
  }
});
