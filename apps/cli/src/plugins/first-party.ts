/** Our own plugin packages, by the family of names they serve: "chita" serves chita, chita.iht, ... */
import type { Plugin } from "@secateur/core";

/** One of our own plugin packages. */
export interface FirstPartyPlugin {
  readonly packageName: string;
  /** Loaded on demand, so that a command pays only for what it uses. */
  load(): Promise<Plugin>;
}

/** Our own plugins by family. */
export const firstPartyPlugins: ReadonlyMap<string, FirstPartyPlugin> = new Map([
  [
    "chita",
    {
      packageName: "@secateur/solvers-chita",
      load: async () => (await import("@secateur/solvers-chita")).default,
    },
  ],
  [
    "magnitude",
    {
      packageName: "@secateur/solvers-magnitude",
      load: async () => (await import("@secateur/solvers-magnitude")).default,
    },
  ],
  [
    "empirical-fisher",
    { packageName: "@secateur/fisher", load: async () => (await import("@secateur/fisher")).default },
  ],
]);
