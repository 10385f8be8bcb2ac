/**
 * From a name that a user typed to the thing it means, whatever its kind. Our own packages come first. A name such as "many.one"
 * belongs to the family before its first dot, which is looked for as `secateur-plugin-FAMILY`, then as a package of that very
 * name, seen from the user's folder; where there is no such package, every installed plugin is asked. "PACKAGE:NAME" means the entry of
 * one installed package, whatever else has its name.
 */
import { type EntryKind, type EntryOf, entryKinds, type Plugin, type PluginEntry, unknownName } from "@secateur/core";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import { familyOf, firstPartyPlugin, firstPartyPlugins } from "./first-party.ts";
import { hiddenNote } from "./hidden-plugins.ts";
import { installedPlugins, pluginKeyword } from "./installed-plugins.ts";
import { loadPlugin } from "./load-plugin.ts";
import { ownVersion } from "./own-version.ts";
import { findPackage, type PackageManifest } from "./package-manifest.ts";

/** What is looked for. */
export interface EntrySearch<K extends EntryKind> {
  readonly name: string;
  /** The folder from which plugins are looked for. */
  readonly from: string;
  /** Kinds that will do; where several have the name, the first in the order of listings is meant. */
  readonly kinds: readonly K[];
  /** For messages; default: the first kind. */
  readonly what?: string;
}

/** The entry of that name and kind. @throws ERR_UNKNOWN_NAME with the known ones and the nearest, ERR_PLUGIN, ERR_PLUGIN_LOAD */
export async function findEntry<K extends EntryKind>(search: EntrySearch<K>): Promise<FoundEntry<EntryOf<K>>> {
  const { name, from, kinds, what = kinds[0]! } = search;
  const is = (entry: PluginEntry): entry is EntryOf<K> => (kinds as readonly EntryKind[]).includes(entry.kind);
  const source = await findSource(name, from, is);
  const wanted = source?.asked ?? name;
  const offered = [...(source?.plugin.entries.filter(is) ?? [])].sort((a, b) => rank(a) - rank(b));
  const exact = offered.find((entry) => entry.name === wanted);
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
    what,
    found: wanted,
    known: [...new Set(known)],
  });
}

/** The entry of that name, of the given kind or whatever kind. @throws as findEntry */
export async function findAnyEntry(name: string, from: string, kind?: EntryKind): Promise<FoundEntry> {
  if (kind !== undefined) return await findEntry<EntryKind>({ name, from, kinds: [kind] });
  return await findEntry<EntryKind>({ name, from, kinds: entryKinds, what: "method" });
}

/** The curvature estimator of that name. @throws as findEntry */
export async function findCurvature(name: string, from: string): Promise<FoundEntry<EntryOf<"curvature">>> {
  return await findEntry({ name, from, kinds: ["curvature"] });
}

/** Where several kinds of one name would do, the one that does most comes first. */
function rank({ kind }: PluginEntry): number {
  return entryKinds.indexOf(kind);
}

type Is = (entry: PluginEntry) => boolean;

interface Source {
  readonly plugin: Plugin;
  readonly packageName: string;
  readonly version: string;
  readonly isInstalled: boolean;
  readonly isNamedAfterPackage: boolean;
  /** The entry's name, where the search named a package beside it. */
  readonly asked?: string;
  readonly note?: string;
}

async function findSource(name: string, from: string, is: Is): Promise<Source | undefined> {
  const colon = name.indexOf(":");
  if (colon > 0) return await namedSource(name.slice(0, colon), name.slice(colon + 1), from);
  const candidates = await installedCandidates(name, from);
  const own = await firstPartyPlugin(name, is);
  if (own) {
    const { packageName } = own;
    const version = ownVersion(packageName);
    const found = { packageName, version, isInstalled: false, isNamedAfterPackage: false, plugin: await own.load() };
    return withNote(found, name, candidates);
  }
  const [manifest, ...others] = candidates;
  if (manifest) return withNote(await installedSource(manifest, name), name, others);
  const offering = await installedOffering(name, from, is);
  const [first, ...more] = offering;
  return (
    first &&
    withNote(
      first.source,
      name,
      more.map(({ manifest: other }) => other),
    )
  );
}

/** The package of "PACKAGE:NAME", with or without the prefix. */
async function namedSource(packageName: string, asked: string, from: string): Promise<Source | undefined> {
  for (const candidate of [packageName, ...candidatePackages(packageName)].filter(isPackageName)) {
    const manifest = await findPackage(candidate, from);
    if (manifest) return { ...(await installedSource({ ...manifest, name: candidate }, asked)), asked };
  }
  return undefined;
}

async function installedSource(manifest: PackageManifest, name: string): Promise<Source> {
  const packageName = manifest.name;
  const plugin = await loadPlugin(manifest);
  const isNamedAfterPackage = packageName === name || packageName === conventionalName(name);
  return { plugin, packageName, version: manifest.version, isInstalled: true, isNamedAfterPackage };
}

/** The installed packages that a name could mean, in the order in which they are asked. */
async function installedCandidates(name: string, from: string): Promise<readonly PackageManifest[]> {
  const found: PackageManifest[] = [];
  for (const packageName of candidatePackages(name)) {
    const manifest = await findPackage(packageName, from);
    if (manifest) found.push({ ...manifest, name: packageName });
  }
  return found;
}

/**
 * The package that a search for the name and these kinds would load, where it says neither in its manifest nor by a name such as secateur-plugin-NAME that it
 * is a plugin; undefined where there is none.
 */
export async function strangerBehind(
  name: string,
  from: string,
  kinds: readonly EntryKind[],
): Promise<string | undefined> {
  const colon = name.indexOf(":");
  const asked = colon > 0 ? name.slice(0, colon) : name;
  if (colon <= 0 && (await firstPartyPlugin(name, ({ kind }) => kinds.includes(kind)))) return undefined;
  for (const candidate of [...(colon > 0 ? [asked] : []), ...candidatePackages(asked)].filter(isPackageName)) {
    const manifest = await findPackage(candidate, from);
    // The first that is there is the one that is loaded.
    if (manifest)
      return manifest.keywords.includes(pluginKeyword) || pluginName.test(candidate) ? undefined : candidate;
  }
  return undefined;
}

const pluginName = /(^|\/)secateur-plugin-/;

/** The installed plugins that have an entry of the name; those that cannot be loaded have none. */
async function installedOffering(
  name: string,
  from: string,
  is: Is,
): Promise<readonly { readonly manifest: PackageManifest; readonly source: Source }[]> {
  const found = new Map<PackageManifest, Source>();
  for (const { manifest } of await installedEntries(from, (entry) => is(entry) && entry.name === name)) {
    if (!found.has(manifest)) found.set(manifest, await installedSource(manifest, name));
  }
  return [...found].map(([manifest, source]) => ({ manifest, source }));
}

/** The entries of all installed plugins that count; of a plugin that cannot be loaded none: who asks for it by name is told why. */
export async function installedEntries<E extends PluginEntry>(
  from: string,
  is: ((entry: PluginEntry) => entry is E) | ((entry: PluginEntry) => boolean),
): Promise<readonly { readonly entry: E; readonly packageName: string; readonly manifest: PackageManifest }[]> {
  const found: { entry: E; packageName: string; manifest: PackageManifest }[] = [];
  for (const manifest of await installedPlugins(from)) {
    const entries = await loadPlugin(manifest).then(
      (plugin) => plugin.entries,
      () => [],
    );
    for (const entry of entries) if (is(entry)) found.push({ entry: entry as E, packageName: manifest.name, manifest });
  }
  return found;
}

/** Names the plugins that the same name could have meant, and how to reach them. */
function withNote(source: Source, name: string, others: readonly PackageManifest[]): Source {
  const hidden = others.filter(({ keywords }) => keywords.includes(pluginKeyword));
  if (hidden.length === 0) return source;
  return { ...source, note: hiddenNote({ name, by: source.packageName, hidden: hidden.map((other) => other.name) }) };
}

/** "foo" -> "secateur-plugin-foo"; "@scope/foo" -> "@scope/secateur-plugin-foo" */
function conventionalName(family: string): string {
  const slash = family.lastIndexOf("/") + 1;
  return `${family.slice(0, slash)}secateur-plugin-${family.slice(slash)}`;
}

/** Package names only: what npm would refuse as a name, such as "../x", must not lead out of node_modules. */
const packageNamePattern = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;

function isPackageName(name: string): boolean {
  return packageNamePattern.test(name);
}

function candidatePackages(name: string): readonly string[] {
  const family = familyOf(name);
  const candidates = [conventionalName(family), name, family];
  return [...new Set(candidates)].filter(isPackageName);
}

/** Names that could have been meant: entries that count, ours and of installed plugins. */
async function knownNames(from: string, is: Is): Promise<readonly string[]> {
  const plugins = await Promise.all(firstPartyPlugins.map((own) => own.load()));
  const own = plugins.flatMap((plugin) => plugin.entries.filter(is).map((entry) => entry.name));
  return [...own, ...(await installedEntries(from, is)).map(({ entry }) => entry.name)];
}
