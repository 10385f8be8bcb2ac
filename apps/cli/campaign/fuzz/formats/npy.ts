import assert from "node:assert/strict";
import { decodeNpy, elementCount, encodeNpy, toVec } from "@secateur/formats";
import type { FuzzFormat } from "../fuzz-format.ts";
import { joined, latin1, oneOf } from "../mutate-bytes.ts";

const data = encodeNpy({ shape: [3, 4], data: Float32Array.from({ length: 12 }, (_, i) => i / 3) });

/** A file of version 1 with any header; the data are 48 bytes. */
function fileOf(header: string): Uint8Array {
  const length = String.fromCharCode(header.length & 255, (header.length >> 8) & 255);
  return joined(latin1(`\x93NUMPY\x01\x00${length}${header}`), data.subarray(data.length - 48));
}

/** Python literals with parts that do not belong together. */
export const npy: FuzzFormat = {
  name: "npy",
  corpus: [data, fileOf("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }\n")],
  mutate: (rng) => {
    const descr = oneOf(rng, [
      "'<f4'",
      "'>f4'",
      "'<f2'",
      "'|b1'",
      "'=i8'",
      "'|O'",
      "'<U4'",
      "'<c8'",
      "[('a', '<f4')]",
      "5",
    ]);
    const order = oneOf(rng, ["True", "False", "None", "1", "'C'"]);
    const shapes = [
      "(3, 4)",
      "(12,)",
      "()",
      "(4, 3, 1)",
      "(12)",
      "(-1,)",
      "(99999999999, 99999999999)",
      "(3L, 4L)",
      "[3, 4]",
    ];
    const shape = oneOf(rng, [...shapes, `(${"1, ".repeat(rng.integer(200))}12)`, "(".repeat(rng.integer(100))]);
    const extra = oneOf(rng, ["", "", "", "'x': 1, ", "'descr': '<f4', "]);
    const padding = " ".repeat(rng.integer(80));
    return fileOf(`{${extra}'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }${padding}\n`);
  },
  read(bytes) {
    const tensor = decodeNpy(bytes, "x.npy");
    assert.equal(elementCount(tensor.shape), tensor.data.length);
    const values = toVec(tensor);
    // What is written of it is read as the same numbers; numpy has at most 32 dimensions there.
    if (tensor.shape.length <= 32) {
      assert.deepEqual(decodeNpy(encodeNpy({ shape: tensor.shape, data: values })).data, values);
    }
    return values.byteLength;
  },
};
