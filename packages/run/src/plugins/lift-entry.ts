/** Solvers made of smaller parts: of a selector or a saliency alone, with the kept weights left as they are. */
import {
  defineSelector,
  defineSolver,
  type EntryOf,
  type OptionsSchema,
  type PluginEntry,
  selectorFrom,
  solverFrom,
} from "@secateur/core";
import type { SolverEntry } from "./found-entry.ts";

/** A plugin entry that makes a selector. */
export type SelectorEntry = EntryOf<"selector">;

/** A plugin entry that makes a saliency. */
export type SaliencyEntry = EntryOf<"saliency">;

/** An entry of which a solver can be made. */
export type LiftableEntry = SolverEntry | SelectorEntry | SaliencyEntry;

/** Whether a solver can be made of an entry. */
export function isLiftable(entry: PluginEntry): entry is LiftableEntry {
  return entry.kind === "solver" || entry.kind === "selector" || entry.kind === "saliency";
}

/** The entry itself, or the solver that keeps the weights its selector or saliency chooses, as they are. */
export function asSolver(entry: LiftableEntry): SolverEntry {
  if (entry.kind === "solver") return entry;
  const selector = asSelector(entry);
  return defineSolver({ ...described(entry), create: (options) => solverFrom(selector.create(options as never)) });
}

/** The entry itself, or the selector that keeps the highest scores of a saliency. */
export function asSelector(entry: SelectorEntry | SaliencyEntry): SelectorEntry {
  if (entry.kind === "selector") return entry;
  return defineSelector({ ...described(entry), create: (options) => selectorFrom(entry.create(options as never)) });
}

/** What an entry says of itself, without what it is. */
function described({ name, summary, reference, explanation, options }: SelectorEntry | SaliencyEntry) {
  return {
    ...{ name, summary, options: options as OptionsSchema<unknown> },
    ...(reference === undefined ? {} : { reference }),
    ...(explanation === undefined ? {} : { explanation }),
  };
}
