/** package.json files of the packages in a user's node_modules, and the file that `import` would load from them. */
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { exports as resolveExports } from "resolve.exports";

/** The parts of a package.json that matter for plugins. */
export interface PackageManifest {
  /** Absolute path of the package's folder. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly keywords: readonly string[];
  /** Names and ranges; peers that may be absent are left out. */
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peers: Readonly<Record<string, string>>;
  /** The raw `exports` and `main` fields. */
  readonly exports: unknown;
  readonly main: string | undefined;
}

/** The node_modules folders that Node would look into from a folder, nearest first. */
export function moduleFolders(from: string): readonly string[] {
  const folders: string[] = [];
  for (let folder = from; ; folder = dirname(folder)) {
    if (!folder.endsWith("node_modules")) folders.push(join(folder, "node_modules"));
    if (dirname(folder) === folder) return folders;
  }
}

/** Reads a package's manifest; undefined when the folder holds no package. @throws SyntaxError when it is not JSON */
export async function readManifest(folder: string): Promise<PackageManifest | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, "package.json"), "utf8");
  } catch {
    return undefined;
  }
  const json = JSON.parse(text) as Record<string, unknown>;
  const keywords = Array.isArray(json["keywords"]) ? json["keywords"] : [];
  return {
    folder,
    name: String(json["name"] ?? ""),
    version: String(json["version"] ?? ""),
    description: String(json["description"] ?? ""),
    keywords: keywords.map(String),
    dependencies: ranges(json["dependencies"]),
    peers: requiredPeers(json),
    exports: json["exports"],
    main: typeof json["main"] === "string" ? json["main"] : undefined,
  };
}

function ranges(field: unknown): Readonly<Record<string, string>> {
  if (typeof field !== "object" || field === null) return {};
  return Object.fromEntries(Object.entries(field).map(([name, range]) => [name, String(range)]));
}

function requiredPeers(json: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const meta = (json["peerDependenciesMeta"] ?? {}) as Readonly<Record<string, { optional?: boolean } | undefined>>;
  const required = Object.entries(ranges(json["peerDependencies"])).filter(([name]) => meta[name]?.optional !== true);
  return Object.fromEntries(required);
}

/** The nearest package of that name seen from a folder. */
export async function findPackage(name: string, from: string): Promise<PackageManifest | undefined> {
  for (const folder of moduleFolders(from)) {
    const manifest = await readManifest(join(folder, name));
    if (manifest) return manifest;
  }
  return undefined;
}

/**
 * The file that `import "name"` or `import "name/subpath"` loads. `import.meta.resolve` cannot start from another folder and
 * `require.resolve` refuses packages that offer only `import`.
 *
 * @param subpath - "." or "./plugin"
 * @returns undefined where the package has no such thing
 */
export async function packageEntry(manifest: PackageManifest, subpath: string): Promise<string | undefined> {
  const { exports, folder, name } = manifest;
  if (exports !== undefined && exports !== null) {
    try {
      const [target] = resolveExports({ name, exports } as never, subpath, { conditions: ["module-sync"] }) ?? [];
      return target === undefined ? undefined : join(folder, target);
    } catch {
      return undefined; // not among its exports
    }
  }
  if (subpath !== ".") return undefined;
  for (const candidate of [manifest.main, manifest.main && `${manifest.main}.js`, "index.js"]) {
    if (candidate !== undefined && (await isFile(join(folder, candidate)))) return join(folder, candidate);
  }
  return undefined;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
