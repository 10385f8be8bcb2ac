import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { firstPartyPlugins } from "./first-party.ts";
import { moduleFolders, type PackageManifest, readManifest } from "./package-manifest.ts";

/** What marks a package as a plugin in its manifest. */
export const pluginKeyword = "secateur-plugin";

/**
 * The plugin packages that a folder sees, from their manifests alone: nothing of them is run. A nearer package hides a
 * farther one of the same name; our own packages are left out. Reads every package.json in the node_modules above.
 */
export async function installedPlugins(from: string): Promise<readonly PackageManifest[]> {
  const own = new Set(firstPartyPlugins.map(({ packageName }) => packageName));
  const found = new Map<string, PackageManifest>();
  for (const folder of moduleFolders(from)) {
    for (const packageFolder of await packageFolders(folder)) {
      const manifest = await manifestOrNothing(packageFolder);
      if (!manifest?.keywords.includes(pluginKeyword) || own.has(manifest.name) || found.has(manifest.name)) continue;
      found.set(manifest.name, manifest);
    }
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Folders of packages in a node_modules folder, those of scopes included; none where there is no such folder. */
async function packageFolders(folder: string): Promise<readonly string[]> {
  const folders: string[] = [];
  for (const name of await names(folder)) {
    if (name.startsWith(".")) continue;
    if (name.startsWith("@")) {
      for (const inner of await names(join(folder, name))) folders.push(join(folder, name, inner));
    } else {
      folders.push(join(folder, name));
    }
  }
  return folders;
}

async function names(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch {
    return [];
  }
}

/** A package.json that is not JSON belongs to somebody else and must not break the listing. */
async function manifestOrNothing(folder: string): Promise<PackageManifest | undefined> {
  try {
    return await readManifest(folder);
  } catch {
    return undefined;
  }
}
