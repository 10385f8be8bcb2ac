import type { Tensors } from "@secateur/core";

/** Bytes that the tensors of a batch take. */
export function bytesOf(tensors: Tensors): number {
  return Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
}
