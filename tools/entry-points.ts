import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What can be imported of a package: its root, or a subpath such as `@secateur/core/linalg`. */
export interface EntryPoint {
  /** The folder under `packages`. */
  readonly folder: string;
  /** As it is imported. */
  readonly specifier: string;
  /** "" for the root, else "/linalg". */
  readonly subpath: string;
  /** Path of the source file. */
  readonly file: string;
}

const packages = fileURLToPath(new URL("../packages", import.meta.url));

/** All entry points of all packages. */
export function entryPoints(): readonly EntryPoint[] {
  return readdirSync(packages).flatMap((folder) => {
    const manifest = JSON.parse(readFileSync(`${packages}/${folder}/package.json`, "utf8"));
    return entrySources(manifest).map(({ subpath, source }) => ({
      folder,
      specifier: `@secateur/${folder}${subpath}`,
      subpath,
      file: `${packages}/${folder}/${source}`,
    }));
  });
}

/**
 * Subpaths, "" or "/linalg", and sources of a package.json's exports: dist/linalg/index.d.ts is made from src/linalg/index.ts. A pattern, as "/node/*", is
 * no entry of its own: it leads to the files that an entry is made of.
 */
export function entrySources(manifest: {
  readonly exports?: Readonly<Record<string, unknown>>;
}): readonly { readonly subpath: string; readonly source: string }[] {
  return Object.entries(manifest.exports ?? {}).flatMap(([path, target]) => {
    const types = typeof target === "object" && target !== null && "types" in target ? String(target.types) : "";
    const file = /^\.\/dist\/(.*)\.d\.ts$/.exec(types)?.[1];
    return file === undefined || file.includes("*") ? [] : [{ subpath: path.slice(1), source: `src/${file}.ts` }];
  });
}

/** Whether browsers can load an entry point of a library: the one named `node` is there for what they cannot. */
export function loadsInBrowsers({ subpath }: { readonly subpath: string }): boolean {
  return subpath !== "/node";
}

/** Aliases for vite that lead every first-party import to its source. */
export function sourceAliases(): { find: RegExp; replacement: string }[] {
  return [
    ...entryPoints().map(({ specifier, file }) => ({ find: new RegExp(`^${specifier}$`), replacement: file })),
    { find: /^@secateur\/run\/node\/(.*)$/, replacement: `${packages}/run/src/node/$1.ts` },
  ];
}
