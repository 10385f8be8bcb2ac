import { stat } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import type { Plugin } from "@secateur/core";
import { badPlugin, pluginFailed, pluginIncomplete, unmetPeer } from "../../plugins/errors.ts";
import { guardPlugin } from "../../plugins/guard-plugin.ts";
import { checkedPlugin } from "./checked-plugin.ts";
import { findPackage, type PackageManifest, packageEntry } from "./package-manifest.ts";
import { unmetPeers } from "./unmet-peers.ts";

/**
 * Imports a plugin package's manifest, the default export of its subpath "./plugin", and checks it. Where there is no such subpath
 * the default export of its root is looked at, to say what is wrong.
 *
 * @throws ERR_PLUGIN_PEER when importing fails and a peer is missing or of another version, ERR_PLUGIN_LOAD with the cause
 * when it fails otherwise; ERR_PLUGIN when the export is no plugin of this interface
 */
export async function loadPlugin(manifest: PackageManifest): Promise<Plugin> {
  const { name, folder: place } = manifest;
  const own = await packageEntry(manifest, "./plugin");
  const file = own ?? (await packageEntry(manifest, "."));
  if (file === undefined || !(await isFile(file))) {
    const found = file === undefined ? "no file that can be imported" : `no file ${file}, which its package.json names`;
    throw badPlugin({ name, place, found, remedy: "build it if it is your own, else reinstall it" });
  }
  const module = await imported(file, manifest);
  return guardPlugin(checkedPlugin({ name, place, module, isAtSubpath: own !== undefined }), name);
}

async function imported(file: string, manifest: PackageManifest): Promise<Readonly<Record<string, unknown>>> {
  const { name, folder: place } = manifest;
  try {
    return (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    const [peer] = await unmetPeers(manifest);
    if (peer) throw unmetPeer({ name, place, ...peer, cause });
    const missing = await missingDependencies(manifest);
    if (missing.length > 0 || codeOf(cause) === "ERR_MODULE_NOT_FOUND") {
      throw pluginIncomplete({ name, place, missing, cause });
    }
    throw pluginFailed({
      name,
      place,
      cause,
      remedy: `reinstall '${name}', and if that does not help, tell its author`,
    });
  }
}

/** The packages that a plugin's package.json names and that are not to be found from its folder. */
async function missingDependencies({ folder, dependencies }: PackageManifest): Promise<readonly string[]> {
  const names = Object.keys(dependencies);
  const found = await Promise.all(names.map((name) => findPackage(name, folder)));
  return names.filter((_, i) => found[i] === undefined);
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && "code" in cause ? cause.code : undefined;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
