/**
 * From a name that a user typed to the strategy it means. A name such as "chita.iht" belongs to the family before its
 * first dot; the family is looked for as our own package, then as `secateur-plugin-FAMILY`, then as a package of that very
 * name, seen from the user's folder. Only a package that is not there at all makes the search go on.
 */
import { type Plugin, type PluginEntry, unknownName } from "@secateur/core";
import type { CurvatureEntry, FoundEntry } from "../../plugins/found-entry.ts";
import { firstPartyPlugin, firstPartyPlugins } from "./first-party.ts";
import { hiddenNote } from "./hidden-plugins.ts";
import { installedPlugins, pluginKeyword } from "./installed-plugins.ts";
import { loadPlugin } from "./load-plugin.ts";
import { ownVersion } from "./own-version.ts";
import { findPackage, type PackageManifest } from "./package-manifest.ts";

/** The curvature estimator of that name. @throws as findEntry */
export async function findCurvature(name: string, from: string): Promise<FoundEntry<CurvatureEntry>> {
  const is = (entry: PluginEntry): entry is CurvatureEntry => entry.kind === "curvature";
  return await findEntry({ name, from, what: "curvature", is });
}

/** The entry of that name, of whatever kind. @throws as findEntry */
export async function findAnyEntry(name: string, from: string): Promise<FoundEntry> {
  return await findEntry({ name, from, what: "method", is: (_entry): _entry is PluginEntry => true });
}

/** The entry of that name and kind. @throws ERR_UNKNOWN_NAME with the known ones and the nearest, ERR_PLUGIN, ERR_PLUGIN_LOAD */
export async function findEntry<E extends PluginEntry>(spec: {
  name: string;
  from: string;
  what: string;
  is: (entry: PluginEntry) => entry is E;
}): Promise<FoundEntry<E>> {
  const { name, from, is } = spec;
  const source = await findSource(name, from);
  const offered = [...(source?.plugin.entries.filter(is) ?? [])].sort((a, b) => rank(a) - rank(b));
  const exact = offered.find((entry) => entry.name === name);
  // A package asked for by its own name and offering one thing means that thing.
  const isOne = new Set(offered.map((one) => one.name)).size === 1;
  const entry = exact ?? (source?.isNamedAfterPackage && isOne ? offered[0] : undefined);
  if (source && entry) {
    const { packageName, version, note } = source;
    return { entry, packageName, version, ...(note === undefined ? {} : { note }) };
  }
  const known = source?.isInstalled ? offered.map((other) => other.name) : await knownNames(from, is);
  throw unknownName({
    where: source?.isInstalled ? source.packageName : "plugins",
    what: spec.what,
    found: name,
    known: [...new Set(known)],
  });
}

/** Where several kinds of one name would do, the one that does most comes first. */
function rank({ kind }: PluginEntry): number {
  return ["solver", "selector", "saliency", "updater", "curvature"].indexOf(kind);
}

interface Source {
  readonly plugin: Plugin;
  readonly packageName: string;
  readonly version: string;
  readonly isInstalled: boolean;
  readonly isNamedAfterPackage: boolean;
  readonly note?: string;
}

async function findSource(name: string, from: string): Promise<Source | undefined> {
  const family = familyOf(name);
  const candidates = await installedCandidates(name, family, from);
  const own = await firstPartyPlugin(name, family);
  if (own) {
    const plugin = await own.load();
    const { packageName } = own;
    const found = {
      plugin,
      packageName,
      version: ownVersion(packageName),
      isInstalled: false,
      isNamedAfterPackage: false,
    };
    return withNote(found, name, candidates);
  }
  const [manifest, ...others] = candidates;
  if (!manifest) return undefined;
  const packageName = manifest.name;
  const plugin = await loadPlugin(manifest);
  const isNamedAfterPackage = packageName === name || packageName === conventionalName(name);
  return withNote(
    { plugin, packageName, version: manifest.version, isInstalled: true, isNamedAfterPackage },
    name,
    others,
  );
}

/** The installed packages that a name could mean, in the order in which they are asked. */
async function installedCandidates(name: string, family: string, from: string): Promise<readonly PackageManifest[]> {
  const found: PackageManifest[] = [];
  for (const packageName of candidatePackages(name, family)) {
    const manifest = await findPackage(packageName, from);
    if (manifest) found.push({ ...manifest, name: packageName });
  }
  return found;
}

/** Names the plugins that the same name could have meant, and how to reach them. */
function withNote(source: Source, name: string, others: readonly PackageManifest[]): Source {
  const hidden = others.filter(({ keywords }) => keywords.includes(pluginKeyword));
  if (hidden.length === 0) return source;
  return { ...source, note: hiddenNote({ name, by: source.packageName, hidden: hidden.map((other) => other.name) }) };
}

/** "chita.iht" -> "chita"; dots in a scope's name do not count. */
function familyOf(name: string): string {
  const dot = name.indexOf(".", name.lastIndexOf("/") + 1);
  return dot > 0 ? name.slice(0, dot) : name;
}

/** "foo" -> "secateur-plugin-foo"; "@scope/foo" -> "@scope/secateur-plugin-foo" */
function conventionalName(family: string): string {
  const slash = family.lastIndexOf("/") + 1;
  return `${family.slice(0, slash)}secateur-plugin-${family.slice(slash)}`;
}

/** Package names only: what npm would refuse as a name, such as "../x", must not lead out of node_modules. */
const packageNamePattern = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;

function candidatePackages(name: string, family: string): readonly string[] {
  const candidates = [conventionalName(family), name, family];
  return [...new Set(candidates)].filter((candidate) => packageNamePattern.test(candidate));
}

/** Names that could have been meant: those of our own entries, and the installed plugin packages. */
async function knownNames(from: string, is: (entry: PluginEntry) => boolean): Promise<readonly string[]> {
  const plugins = await Promise.all(firstPartyPlugins.map((own) => own.load()));
  const own = plugins.flatMap((plugin) => plugin.entries.filter(is).map((entry) => entry.name));
  const installed = await installedPlugins(from);
  return [...own, ...installed.map(({ name }) => name.replace(/(^|\/)secateur-plugin-/, "$1"))];
}
