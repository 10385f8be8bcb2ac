import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeSafetensors, readCheckpoint } from "@secateur/formats";
import type { FuzzFormat } from "../fuzz-format.ts";
import { mutateJson } from "../mutate-json.ts";

const index = {
  metadata: { total_size: 8 },
  weight_map: { "model.a": "a.safetensors", "model.b": "a.safetensors", "model.c": "b.safetensors" },
};

const encode = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Indexes that name any file, beside two whole ones. */
export function shardIndex(): FuzzFormat {
  const folder = mkdtempSync(join(tmpdir(), "secateur-fuzz-"));
  const shard = (names: readonly string[]): Uint8Array => {
    const tensors = names.map((name) => ({ name, dtype: "f32", shape: [1], data: Float32Array.of(1) }) as const);
    return encodeSafetensors({ tensors });
  };
  writeFileSync(join(folder, "a.safetensors"), shard(["model.a", "model.b"]));
  writeFileSync(join(folder, "b.safetensors"), shard(["model.c"]));
  return {
    name: "shard-index",
    corpus: [encode(JSON.stringify(index))],
    mutate: (rng) => encode(mutateJson(rng, index)),
    async read(bytes) {
      const path = join(folder, "model.safetensors.index.json");
      writeFileSync(path, bytes);
      const { tensors } = await readCheckpoint(path);
      return tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
