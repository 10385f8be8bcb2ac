import { stat } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import type { Plugin } from "@secateur/core";
import { badPlugin, pluginFailed, unmetPeer } from "../../errors.ts";
import { guardPlugin } from "../../plugins/guard-plugin.ts";
import { checkedPlugin } from "./checked-plugin.ts";
import { type PackageManifest, packageEntry } from "./package-manifest.ts";
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
    throw pluginFailed({ name, place, cause, remedy: remedyFor(cause, manifest) });
  }
}

/** Who has to do what: the user installs what is named and not there; everything else is the author's. */
function remedyFor(cause: unknown, { name, folder, dependencies }: PackageManifest): string {
  const missing = /Cannot find package '((?:@[^/']+\/)?[^/']+)/.exec(cause instanceof Error ? cause.message : "")?.[1];
  if (missing === undefined) return `reinstall '${name}', and if that does not help, tell its author`;
  if (Object.hasOwn(dependencies, missing))
    return `'${missing}' is one of its dependencies: run npm install in ${folder}`;
  return `its package.json does not name '${missing}': tell its author; npm install ${missing} may help until then`;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
