import type { EntryOf, PluginEntry } from "@secateur/core";

/** A plugin entry that makes a solver. */
export type SolverEntry = EntryOf<"solver">;

/** A plugin entry that makes a curvature estimator. */
export type CurvatureEntry = EntryOf<"curvature">;

/** An entry and the package it comes from. */
export interface FoundEntry<E extends PluginEntry = PluginEntry> {
  readonly entry: E;
  readonly packageName: string;
  readonly version: string;
  /** Where the halves of an entry come from that is no plugin's own. */
  readonly parts?: readonly Pick<FoundEntry, "packageName" | "version">[];
  /** What the user should know of the choice: another package that the name could have meant. */
  readonly note?: string;
}
