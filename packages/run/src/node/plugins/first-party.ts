/** Our own plugin packages. What they offer stands in their manifests. */
import type { Plugin } from "@secateur/core";

/** One of our own plugin packages. */
export interface FirstPartyPlugin {
  readonly packageName: string;
  /** Loaded on demand, so that a command pays only for what it uses. */
  load(): Promise<Plugin>;
}

const manifests: Readonly<Record<string, () => Promise<{ readonly default: Plugin }>>> = {
  "@secateur/solvers-chita": () => import("@secateur/solvers-chita/plugin"),
  "@secateur/solvers-obs-cbs": () => import("@secateur/solvers-obs-cbs/plugin"),
  "@secateur/solvers-layerwise": () => import("@secateur/solvers-layerwise/plugin"),
  "@secateur/solvers-structured": () => import("@secateur/solvers-structured/plugin"),
  "@secateur/solvers-magnitude": () => import("@secateur/solvers-magnitude/plugin"),
  "@secateur/imp-scheduler": () => import("@secateur/imp-scheduler/plugin"),
  "@secateur/fisher": () => import("@secateur/fisher/plugin"),
  "@secateur/sparse-training": () => import("@secateur/sparse-training/plugin"),
  "@secateur/core": () => import("@secateur/core/plugin"),
  "@secateur/nn": () => import("@secateur/nn/plugin"),
  "@secateur/datasets": () => import("@secateur/datasets/plugin"),
  "@secateur/formats": () => import("@secateur/formats/plugin"),
  "@secateur/report": () => import("@secateur/report/plugin"),
};

/** All of them, in the order of listings. */
export const firstPartyPlugins: readonly FirstPartyPlugin[] = Object.entries(manifests).map(([packageName, load]) => ({
  packageName,
  load: async () => (await load()).default,
}));

/**
 * Our plugin for a name: the one that has an entry of that name, else the one that has its family, so that "chita.x" is refused with
 * what chita has.
 *
 * @param is - which entries count
 */
export async function firstPartyPlugin(
  name: string,
  is: (entry: Plugin["entries"][number]) => boolean,
): Promise<FirstPartyPlugin | undefined> {
  const family = familyOf(name);
  let relative: FirstPartyPlugin | undefined;
  for (const candidate of firstPartyPlugins) {
    const names = (await candidate.load()).entries.filter(is).map((entry) => entry.name);
    if (names.includes(name)) return candidate;
    if (names.some((known) => familyOf(known) === family)) relative ??= candidate;
  }
  return relative;
}

/** "chita.iht" -> "chita"; dots in a scope's name do not count. */
export function familyOf(name: string): string {
  const dot = name.indexOf(".", name.lastIndexOf("/") + 1);
  return dot > 0 ? name.slice(0, dot) : name;
}
