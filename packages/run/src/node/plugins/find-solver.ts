/**
 * From a solver's name to the solver: a plugin's own, one made of its selector or saliency, or "SELECTOR+UPDATER", the mask of
 * one method and the weights of another.
 */
import { defineSolver, type PluginEntry, solverFrom } from "@secateur/core";
import { badUsage } from "../../errors.ts";
import type { FoundEntry, SolverEntry } from "../../plugins/found-entry.ts";
import { asSelector, asSolver } from "../../plugins/lift-entry.ts";
import { pairOptions } from "../../plugins/pair-options.ts";
import { findEntry } from "./find-entry.ts";

/** The updater of a selector that is given alone: kept weights stay as they are. */
const noUpdate = "none";

/**
 * The solver of that name. @throws ERR_UNKNOWN_NAME with the known ones and the nearest, ERR_PLUGIN, ERR_PLUGIN_LOAD
 */
export async function findSolver(name: string, from: string): Promise<FoundEntry<SolverEntry>> {
  const plus = name.indexOf("+");
  if (plus > 0) return await findPair({ selector: name.slice(0, plus), updater: name.slice(plus + 1), from });
  const found = await findEntry({ name, from, kinds: ["solver", "selector", "saliency"] });
  return { ...found, entry: asSolver(found.entry) };
}

async function findPair(spec: { selector: string; updater: string; from: string }): Promise<FoundEntry<SolverEntry>> {
  const { from } = spec;
  const selector = await findEntry({
    name: spec.selector,
    from,
    kinds: ["selector", "saliency"],
  });
  const selectorEntry = asSelector(selector.entry);
  const updater = await findEntry({
    name: spec.updater,
    from,
    kinds: ["updater"],
  });
  const { schema, split } = pairOptions(selectorEntry.options, updater.entry.options);
  const entry = defineSolver({
    name: `${selectorEntry.name}+${updater.entry.name}`,
    summary: `${selectorEntry.summary}; ${updater.entry.summary}`,
    ...references(selectorEntry, updater.entry),
    options: schema,
    create(options) {
      const parts = split(options);
      return solverFrom(selectorEntry.create(parts.selector as never), updater.entry.create(parts.updater as never));
    },
  });
  const note = [selector.note, updater.note].filter((text) => text !== undefined).join("; ");
  const { packageName, version } = selector;
  return { entry, packageName, version, parts: [selector, updater], ...(note === "" ? {} : { note }) };
}

function references(...entries: readonly PluginEntry[]): { reference?: string } {
  const all = new Set(entries.flatMap(({ reference }) => (reference === undefined ? [] : [reference])));
  return all.size === 0 ? {} : { reference: [...all].join("; ") };
}

/**
 * What --solver, --selector and --updater name together; nothing when none of them is given.
 *
 * @throws ERR_USAGE for flags that contradict each other
 */
export function solverNameFrom(flags: {
  solver?: string | undefined;
  selector?: string | undefined;
  updater?: string | undefined;
}): string | undefined {
  const { solver, selector, updater } = flags;
  if (selector === undefined && updater === undefined) return solver;
  if (solver !== undefined) {
    throw badUsage("--solver names a whole method and --selector and --updater its two halves; give one or the other");
  }
  if (selector === undefined) {
    throw badUsage(
      `--updater ${updater}: which weights to keep is missing; give --selector, for example --selector magnitude`,
      { updater },
    );
  }
  return `${selector}+${updater ?? noUpdate}`;
}
