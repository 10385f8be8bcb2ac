/** Formats of model files that plugins bring: "net.foo" is read and written by the entry "foo" of kind format. */
import { extname } from "node:path";
import { type Format, isPruneError, type StoredContent } from "@secateur/core";
import { type Checkpoint, checkpointEncoderFor, type NamedTensor } from "@secateur/formats";
import { findEntry } from "./find-entry.ts";

/** A format of a plugin. */
export interface FoundFormat {
  readonly name: string;
  readonly format: Format;
}

/**
 * The format that a file's ending names, where a plugin has it.
 *
 * @param from - the folder from which plugins are looked for
 * @throws what is wrong with the plugin
 */
export async function findFormat(path: string, from: string): Promise<FoundFormat | undefined> {
  const name = extname(path).slice(1).toLowerCase();
  if (!/^[a-z][a-z0-9-]*$/.test(name)) return undefined;
  try {
    const { entry, packageName } = await findEntry({ name, from, kinds: ["format"] });
    return packageName.startsWith("@secateur/") ? undefined : { name, format: entry.create({} as never) };
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_UNKNOWN_NAME") return undefined;
    throw error;
  }
}

/** What a plugin read, as a checkpoint. */
export function pluginCheckpoint(format: string, { tensors, metadata = {}, notes }: StoredContent): Checkpoint {
  const named = tensors as readonly NamedTensor[];
  return { format, tensors: named, metadata, ...(notes === undefined ? {} : { notes }) };
}

/** Turns tensors into the bytes of a model file. */
export type ModelEncoder = (content: {
  readonly tensors: readonly NamedTensor[];
  readonly metadata?: Readonly<Record<string, string>>;
}) => Uint8Array | Promise<Uint8Array>;

/**
 * The encoder that the ending of an output's name chooses, ours or a plugin's. Ask before a long run, so that a wrong ending costs
 * nothing.
 *
 * @throws ERR_OUTPUT_FORMAT listing the endings known here
 */
export async function findEncoder(path: string, from: string): Promise<ModelEncoder> {
  try {
    return checkpointEncoderFor(path);
  } catch (error) {
    const encode = (await findFormat(path, from))?.format.encode;
    if (encode) return encode;
    throw error;
  }
}
