/** Packed networks read as checkpoints, so that whatever reads a checkpoint reads them. */
import { isPruneError, PruneError } from "@secateur/core";
import type { Checkpoint } from "@secateur/formats";
import type { PackedModel } from "@secateur/runtime";

/** Whether bytes begin as a .secateur file does. */
export function isPacked(bytes: Uint8Array): boolean {
  return [0x89, 0x53, 0x45, 0x43].every((byte, i) => bytes[i] === byte);
}

/** A packed network. @param path - for messages @throws what `decodePacked` throws, with the path in front */
export async function readPacked(bytes: Uint8Array, path: string): Promise<PackedModel> {
  // Most checkpoints are not packed: what unpacks them is loaded for those that are.
  const { decodePacked } = await import("@secateur/runtime");
  return await decodePacked(bytes).catch((cause: unknown) => {
    if (!isPruneError(cause)) throw cause;
    const { code, message, fault, details } = cause;
    throw new PruneError(code, `${path}: ${message}`, { fault, cause, ...(details ? { details } : {}) });
  });
}

/**
 * The tensors of a packed network, f32, with zeros where nothing is kept.
 *
 * @param path - for messages
 * @throws what `readPacked` throws
 */
export async function packedCheckpoint(bytes: Uint8Array, path: string): Promise<Checkpoint> {
  const { tensors, metadata } = await readPacked(bytes, path);
  const { namedTensors } = await import("./network-graph.ts");
  return {
    format: "secateur",
    tensors: namedTensors(tensors),
    metadata: textsOf(metadata),
  };
}

/** The entries of a packed network's metadata that are texts. */
export function textsOf(metadata: PackedModel["metadata"]): Readonly<Record<string, string>> {
  const entries = Object.entries(metadata);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
