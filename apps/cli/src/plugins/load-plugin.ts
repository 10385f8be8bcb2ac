import { pathToFileURL } from "node:url";
import type { Plugin } from "@secateur/core";
import { badPlugin, pluginFailed } from "../errors.ts";
import { type PackageManifest, packageEntry } from "./package-manifest.ts";

/**
 * Imports a plugin package and checks what it exports by default.
 *
 * @throws ERR_PLUGIN_LOAD with the cause when importing fails; ERR_PLUGIN when the export is no plugin of api 1
 */
export async function loadPlugin(manifest: PackageManifest): Promise<Plugin> {
  const { name, folder: place } = manifest;
  const file = await packageEntry(manifest);
  if (file === undefined) throw badPlugin({ name, place, found: "no file that can be imported" });
  let module: unknown;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (cause) {
    throw pluginFailed({ name, place, cause });
  }
  return checkedPlugin({ name, place, exported: (module as { default?: unknown }).default });
}

function checkedPlugin(spec: { name: string; place: string; exported: unknown }): Plugin {
  const { name, place, exported } = spec;
  const refuse = (found: string) => badPlugin({ name, place, found });
  if (typeof exported !== "object" || exported === null) throw refuse(`${typeof exported} as default export`);
  const { api, entries } = exported as Partial<Plugin>;
  if (api !== 1) throw refuse(`api ${JSON.stringify(api)}`);
  if (!Array.isArray(entries)) throw refuse("no list of entries");
  for (const entry of entries as Partial<Plugin["entries"][number]>[]) {
    const isWhole =
      typeof entry?.kind === "string" && typeof entry.name === "string" && typeof entry.create === "function";
    if (!isWhole || entry.options?.["~standard"] === undefined) {
      throw refuse(`the entry ${JSON.stringify(entry?.name ?? entry)} without kind, name, options or create`);
    }
  }
  return exported as Plugin;
}
