import { stat } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import type { Plugin } from "@secateur/core";
import { badPlugin, pluginFailed, unmetPeer } from "../../errors.ts";
import { checkedPlugin } from "./checked-plugin.ts";
import { type PackageManifest, packageEntry } from "./package-manifest.ts";
import { unmetPeers } from "./unmet-peers.ts";

/**
 * Imports a plugin package and checks what it exports by default.
 *
 * @throws ERR_PLUGIN_PEER when importing fails and a peer is missing or of another version, ERR_PLUGIN_LOAD with the cause
 * when it fails otherwise; ERR_PLUGIN when the export is no plugin of api 1
 */
export async function loadPlugin(manifest: PackageManifest): Promise<Plugin> {
  const { name, folder: place } = manifest;
  const file = await packageEntry(manifest);
  if (file === undefined || !(await isFile(file))) {
    const found = file === undefined ? "no file that can be imported" : `no file ${file}, which its package.json names`;
    throw badPlugin({ name, place, found, remedy: "build it if it is your own, else reinstall it" });
  }
  let module: unknown;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (cause) {
    const [peer] = await unmetPeers(manifest);
    if (peer) throw unmetPeer({ name, place, ...peer, cause });
    throw pluginFailed({ name, place, cause, remedy: remedyFor(cause, manifest) });
  }
  return checkedPlugin({ name, place, module: module as Readonly<Record<string, unknown>> });
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
