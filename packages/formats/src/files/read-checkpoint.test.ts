import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isPruneError } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeSafetensors } from "../safetensors/encode-safetensors.ts";
import { readCheckpoint, readCheckpointFiles } from "./read-checkpoint.ts";

describe("a checkpoint in several files", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "shards-"));
    shard("a.safetensors", { "model.x": 1, "model.y": 2 });
    shard("b.safetensors", { "model.z": 3 });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function shard(file: string, values: Record<string, number>): void {
    const tensors = Object.entries(values).map(([name, value]) => {
      return { name, dtype: "f32", shape: [1], data: Float32Array.of(value) } as const;
    });
    writeFileSync(join(folder, file), encodeSafetensors({ tensors }));
  }

  function index(weights: unknown): string {
    const path = join(folder, "model.safetensors.index.json");
    writeFileSync(path, JSON.stringify({ metadata: { total_size: 12 }, weight_map: weights }));
    return path;
  }

  test("is read from all of them, its names cleaned as one", async () => {
    const path = index({ "model.x": "a.safetensors", "model.y": "a.safetensors", "model.z": "b.safetensors" });
    const { checkpoint, files } = await readCheckpointFiles(path);
    expect(checkpoint.tensors.map(({ name, data }) => [name, data[0]])).toEqual([
      ["x", 1],
      ["y", 2],
      ["z", 3],
    ]);
    expect(checkpoint.notes).toEqual(["read from 2 files", "dropped 'model.' from every name"]);
    expect(files.map(({ path: file }) => file)).toEqual([
      path,
      join(folder, "a.safetensors"),
      join(folder, "b.safetensors"),
    ]);
  });

  test.each([
    ["names a file outside its folder", { x: "../b.safetensors" }, "ERR_SHARD_INDEX", /beside the index/],
    ["names a path", { x: "sub/b.safetensors" }, "ERR_SHARD_INDEX", /beside the index/],
    ["names a file that is not there", { "model.z": "c.safetensors" }, "ERR_FILE_NOT_FOUND", /c\.safetensors/],
    ["names a tensor that is not there", { q: "b.safetensors" }, "ERR_SHARD_INDEX", /'q' in 'b\.safetensors'/],
    ["names no tensor", {}, "ERR_SHARD_INDEX", /without tensors/],
    ["names what is no text", { x: 5 }, "ERR_SHARD_INDEX", /found 5 as the file of 'x'/],
    ["holds a list", ["x"], "ERR_SHARD_INDEX", /no object weight_map/],
    [
      "names too many files",
      Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`x${i}`, `${i}.bin`])),
      "ERR_SHARD_INDEX",
      /1001 files, expected at most 1000/,
    ],
  ])("is refused where its index %s", async (_, weights, code, message) => {
    const error = await readCheckpoint(index(weights)).catch((caught: unknown) => caught);
    if (!isPruneError(error)) throw error;
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});
