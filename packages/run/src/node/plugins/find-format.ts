/** Formats of model files that plugins bring: found by the endings that they name, and on reading by what a file holds. */
import { extname } from "node:path";
import { type Format, isPruneError, type PluginEntry, type StoredContent } from "@secateur/core";
import { type Checkpoint, checkpointEncoderFor, detectFormat, type NamedTensor } from "@secateur/formats";
import formats from "@secateur/formats/plugin";
import { notOfFormat, onlyWrites } from "../../plugins/errors.ts";
import { findEntry, installedEntries } from "./find-entry.ts";

/** A format of a plugin. */
export interface FoundFormat {
  readonly name: string;
  readonly packageName: string;
  readonly format: Format;
}

type FormatEntry = Extract<PluginEntry, { kind: "format" }>;

const isFormat = (entry: PluginEntry): entry is FormatEntry => entry.kind === "format";

/** Endings that are ours whatever is installed. */
const ownEndings: readonly string[] = formats.entries
  .filter(isFormat)
  .flatMap((entry) => entry.create({} as never).endings);

/**
 * The format that names a file's ending among its own, where a plugin has one. The package called after the ending is asked first,
 * then every installed plugin.
 *
 * @param from - the folder from which plugins are looked for
 * @throws what is wrong with the plugin called after the ending
 */
async function findFormat(path: string, from: string): Promise<FoundFormat | undefined> {
  const ending = extname(path).toLowerCase();
  if (!/^\.[a-z0-9]+$/.test(ending) || ownEndings.includes(ending)) return undefined;
  const named = await namedFormat(ending.slice(1), from);
  if (named?.format.endings.includes(ending)) return named;
  return (await installedFormats(from)).find(({ format }) => format.endings.includes(ending));
}

async function namedFormat(name: string, from: string): Promise<FoundFormat | undefined> {
  try {
    const { entry, packageName } = await findEntry({ name, from, kinds: ["format"] });
    return { name: entry.name, packageName, format: entry.create({} as never) };
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_UNKNOWN_NAME") return undefined;
    throw error;
  }
}

/** Formats of all installed plugins; one that cannot be made has no say. */
async function installedFormats(from: string): Promise<readonly FoundFormat[]> {
  const found = await installedEntries(from, isFormat);
  return found.flatMap(({ entry, packageName }) => {
    try {
      return [{ name: entry.name, packageName, format: entry.create({} as never) }];
    } catch {
      return [];
    }
  });
}

/**
 * The format of a plugin that reads a file: the one that its ending asks for, where that takes the file; else, where its content is
 * of no format of ours, any that takes it.
 *
 * @param bytes - the file, or its first 4096 bytes
 * @throws ERR_FORMAT where the format of its ending only writes, or no format takes a file of the ending of one
 */
export async function findReader(path: string, bytes: Uint8Array, from: string): Promise<FoundFormat | undefined> {
  const head = bytes.subarray(0, 4096);
  const named = await findFormat(path, from);
  if (named?.format.detects(head)) {
    if (named.format.decode) return named;
    throw onlyWrites({ path, format: named.name, plugin: named.packageName });
  }
  const ours = detectFormat(head);
  // A header of 4 GiB and more: a damaged safetensors file, unless somebody knows better.
  const isDoubtful = ours === "safetensors" && head.subarray(4, 8).some((byte) => byte !== 0);
  if (ours !== "unknown" && !isDoubtful) return undefined;
  const found = (await installedFormats(from)).find(({ format }) => format.decode && format.detects(head));
  if (named && !found && !isDoubtful) throw notOfFormat({ path, format: named.name, plugin: named.packageName });
  return found;
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

/** The endings in which installed plugins write, each with its package: for messages. */
export async function pluginEndings(from: string): Promise<readonly string[]> {
  return (await installedFormats(from)).flatMap(({ format, packageName }) =>
    format.encode
      ? format.endings.filter((ending) => !ownEndings.includes(ending)).map((ending) => `${ending} (${packageName})`)
      : [],
  );
}
