import assert from "node:assert/strict";
import { readModelFiles } from "@secateur/backends-tfjs";
import type { FuzzFormat } from "../fuzz-format.ts";
import { joined } from "../mutate-bytes.ts";
import { mutateJson } from "../mutate-json.ts";

const layer = (name: string, units: number): object => ({
  class_name: "Dense",
  config: { name, units, use_bias: true },
});

const model = {
  format: "layers-model",
  modelTopology: {
    class_name: "Sequential",
    keras_version: "tfjs-layers 4.22.0",
    config: { name: "s", layers: [layer("d1", 3), layer("d2", 2)] },
  },
  weightsManifest: [
    {
      paths: ["a.bin", "b.bin"],
      weights: [
        { name: "d1/kernel", shape: [4, 3], dtype: "float32" },
        { name: "d1/bias", shape: [3], dtype: "float32" },
        {
          name: "d2/kernel",
          shape: [3, 2],
          dtype: "float32",
          quantization: { dtype: "uint8", scale: 0.01, min: -1, original_dtype: "float32" },
        },
        { name: "names", shape: [2], dtype: "string" },
      ],
    },
  ],
};

const shards: ReadonlyMap<string, Uint8Array> = new Map([
  ["a.bin", new Uint8Array(48)],
  ["b.bin", joined(new Uint8Array(12 + 6), Uint8Array.of(1, 0, 0, 0, 65, 0, 0, 0, 0))],
]);

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** model.json with anything in any place; the weights files stay. */
export const tfjs: FuzzFormat = {
  name: "tfjs",
  corpus: [encode(JSON.stringify(model))],
  mutate: (rng) => encode(mutateJson(rng, model)),
  async read(bytes) {
    const files = await readModelFiles({
      source: "net/model.json",
      read: async (name) => {
        if (name === "") return bytes;
        const shard = shards.get(name);
        if (shard === undefined) throw new Error("there is no such file");
        return shard;
      },
    });
    const total = files.weights.reduce((sum, weight) => sum + weight.bytes, 0);
    assert.equal(total, files.data.length);
    return total;
  },
};
