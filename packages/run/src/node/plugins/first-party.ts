/** Our own plugin packages. */
import type { Plugin } from "@secateur/core";

/** One of our own plugin packages. */
export interface FirstPartyPlugin {
  readonly packageName: string;
  /** Loaded on demand, so that a command pays only for what it uses. */
  load(): Promise<Plugin>;
}

const chita: FirstPartyPlugin = {
  packageName: "@secateur/solvers-chita",
  load: async () => (await import("@secateur/solvers-chita")).default,
};
const magnitude: FirstPartyPlugin = {
  packageName: "@secateur/solvers-magnitude",
  load: async () => (await import("@secateur/solvers-magnitude")).default,
};
const obsCbs: FirstPartyPlugin = {
  packageName: "@secateur/solvers-obs-cbs",
  load: async () => (await import("@secateur/solvers-obs-cbs")).default,
};
const layerwise: FirstPartyPlugin = {
  packageName: "@secateur/solvers-layerwise",
  load: async () => (await import("@secateur/solvers-layerwise")).default,
};
const fisher: FirstPartyPlugin = {
  packageName: "@secateur/fisher",
  load: async () => (await import("@secateur/fisher")).default,
};

const impScheduler: FirstPartyPlugin = {
  packageName: "@secateur/imp-scheduler",
  load: async () => (await import("@secateur/imp-scheduler")).default,
};

/** All of them, in the order of listings. */
export const firstPartyPlugins: readonly FirstPartyPlugin[] = [
  chita,
  obsCbs,
  layerwise,
  magnitude,
  impScheduler,
  fisher,
];

/** Families of names and who serves them, whether it knows the very name or not: "chita" stands for chita, chita.iht, ... */
const families: Readonly<Record<string, FirstPartyPlugin>> = { chita, magnitude };

/** Our plugin for a name: the one that serves its family, else the one that has an entry of that name. */
export async function firstPartyPlugin(name: string, family: string): Promise<FirstPartyPlugin | undefined> {
  const own = Object.hasOwn(families, family) ? families[family] : undefined;
  if (own) return own;
  for (const candidate of firstPartyPlugins) {
    const { entries } = await candidate.load();
    if (entries.some((entry) => entry.name === name)) return candidate;
  }
  return undefined;
}
