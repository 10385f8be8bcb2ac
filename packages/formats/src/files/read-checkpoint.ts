import { badShardIndex } from "../errors.ts";
import { cleanCheckpoint } from "../names/clean-checkpoint.ts";
import { dataBeside } from "../onnx/read-onnx.ts";
import type { Checkpoint, NamedTensor } from "../tensor.ts";
import { quote } from "../text/quote.ts";
import { decodeStored } from "./decode-checkpoint.ts";
import { detectFormat } from "./detect-format.ts";
import { nodePath } from "./node-fs.ts";
import { readFileBytes } from "./read-file.ts";
import { parseShardIndex } from "./shard-index.ts";

/** A checkpoint with the bytes that it was read from. */
export interface CheckpointFiles {
  readonly checkpoint: Checkpoint;
  /** the file, or the index and then each of its files, in the order of their names */
  readonly files: readonly { readonly path: string; readonly bytes: Uint8Array }[];
}

/**
 * Reads a model file from disk: `decodeCheckpoint` of its bytes, with an ONNX model's data in files beside it, or, of a checkpoint that is split into several files, of
 * all the files that its index names. Node only.
 *
 * @throws what `readFileBytes`, `decodeCheckpoint` and `parseShardIndex` throw; ERR_SHARD_INDEX where a file lacks a tensor
 * that the index says it has
 * @example
 * const { checkpoint } = await readCheckpointFiles("model.safetensors.index.json");
 */
export async function readCheckpointFiles(path: string): Promise<CheckpointFiles> {
  return await checkpointFilesOf(path, await readFileBytes(path));
}

/** The same where the bytes of the file at `path` have been read. */
export async function checkpointFilesOf(path: string, bytes: Uint8Array): Promise<CheckpointFiles> {
  if (detectFormat(bytes) !== "shard-index") {
    const checkpoint = cleanCheckpoint(decodeStored(bytes, path, dataBeside(path)), path);
    return { checkpoint, files: [{ path, bytes }] };
  }
  const index = parseShardIndex(bytes, path);
  const { dirname, join } = nodePath(`reading ${path}`);
  const files = [{ path, bytes }];
  const tensors: NamedTensor[] = [];
  for (const name of [...new Set(index.values())].sort()) {
    const shard = { path: join(dirname(path), name), bytes: await readFileBytes(join(dirname(path), name)) };
    files.push(shard);
    // Names are cleaned once for the whole checkpoint: what all names begin with shows only there.
    const decoded = decodeStored(shard.bytes, shard.path);
    const own = new Map(decoded.tensors.map((tensor) => [tensor.name, tensor]));
    for (const [tensor, file] of index) {
      if (file !== name) continue;
      const found = own.get(tensor);
      if (found === undefined) {
        throw badShardIndex({
          source: path,
          found: `the tensor ${quote(tensor)} in ${quote(name)}, which does not have it`,
          expected: "files that belong together",
        });
      }
      tensors.push(found);
    }
  }
  const note = `read from ${files.length - 1} file${files.length === 2 ? "" : "s"}`;
  const checkpoint = { format: "shard-index", tensors, metadata: {}, notes: [note] };
  return { checkpoint: cleanCheckpoint(checkpoint, path), files };
}

/** The checkpoint of `readCheckpointFiles`. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  return (await readCheckpointFiles(path)).checkpoint;
}
