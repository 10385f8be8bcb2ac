/** Checks on the place of an output, made before a long run and again when its result is written. */
import type { Stats } from "node:fs";
import { outputExists, outputFolderMissing, outputNotWritable } from "../errors.ts";
import { discard, openBeside } from "./file-beside.ts";
import { nodeFs, nodePath, systemErrorCode } from "./node-fs.ts";

/** Where an output goes. */
export interface OutputPlace {
  /** the absolute path to put the file at; a symbolic link is followed, so that the link stays */
  readonly target: string;
  /** the permission bits of the file to be replaced, if there is one */
  readonly mode?: number;
}

/**
 * Refuses an output that could not be written: its folder is missing or not writable, or something is there that may
 * not be replaced. Ask before a long run, so that its result is not lost at the end. Node only. An empty file is made in the folder
 * and removed again: whether a folder takes files shows in no other way.
 *
 * @param path - the output
 * @param options.overwrite - whether a file at `path` may be replaced
 * @returns where the file will go
 * @throws ERR_OUTPUT_EXISTS, ERR_OUTPUT_FOLDER, ERR_OUTPUT_NOT_WRITABLE
 * @example
 * await checkOutput("pruned.safetensors", { overwrite: false });
 */
export async function checkOutput(path: string, options: { readonly overwrite: boolean }): Promise<OutputPlace> {
  const place = await findPlace(path, options);
  try {
    await discard(await openBeside(place));
  } catch (cause) {
    const folder = nodePath(`writing ${path}`).dirname(place.target);
    const reason = `no file can be made in ${folder}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw outputNotWritable({ path, reason, cause });
  }
  return place;
}

/** `checkOutput` without making a file, for whoever makes one next. */
export async function findPlace(path: string, options: { readonly overwrite: boolean }): Promise<OutputPlace> {
  const paths = nodePath(`writing ${path}`);
  if (path === "" || /[\\/]$/.test(path)) throw outputNotWritable({ path: path || "''", reason: "it names no file" });
  const target = await followLink(path);
  await checkFolder(path, paths.dirname(target));
  const stat = await statOrNothing(target, path);
  if (stat === undefined) return { target };
  if (stat.isDirectory()) throw outputNotWritable({ path, reason: "a folder of that name is there" });
  // Renaming a file over /dev/null would replace the device itself.
  if (!stat.isFile()) throw outputNotWritable({ path, reason: "a device, pipe or socket is in its place" });
  if (!options.overwrite) throw outputExists(path);
  return { target, mode: stat.mode & 0o7777 };
}

/** The file a symbolic link leads to, so that it is replaced and not the link; otherwise the absolute path. */
async function followLink(path: string): Promise<string> {
  try {
    return await nodeFs(`writing ${path}`).promises.realpath(path);
  } catch {
    return nodePath(`writing ${path}`).resolve(path);
  }
}

async function checkFolder(path: string, folder: string): Promise<void> {
  const fs = nodeFs(`writing ${path}`);
  const stat = await statOrNothing(folder, path);
  if (stat === undefined) throw outputFolderMissing({ path, folder: `the folder ${folder}`, found: "does not exist" });
  if (!stat.isDirectory()) throw outputFolderMissing({ path, folder, found: "is a file and not a folder" });
  try {
    await fs.promises.access(folder, fs.constants.W_OK | fs.constants.X_OK);
  } catch (cause) {
    throw outputNotWritable({ path, reason: `the folder ${folder} is not writable`, cause });
  }
}

async function statOrNothing(place: string, path: string): Promise<Stats | undefined> {
  try {
    return await nodeFs(`writing ${path}`).promises.stat(place);
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw outputNotWritable({ path, reason: cause instanceof Error ? cause.message : String(cause), cause });
  }
}
