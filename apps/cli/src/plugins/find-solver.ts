/** From a solver's name to the solver: a plugin's own, or "SELECTOR+UPDATER", the mask of one method and the weights of another. */
import { defineSolver, type PluginEntry, solverFrom } from "@secateur/core";
import { badUsage } from "../errors.ts";
import { type FoundEntry, findEntry, type SolverEntry } from "./find-entry.ts";
import { pairOptions } from "./pair-options.ts";

type SelectorEntry = Extract<PluginEntry, { kind: "selector" }>;
type UpdaterEntry = Extract<PluginEntry, { kind: "updater" }>;

/** The updater of a selector that is given alone: kept weights stay as they are. */
const noUpdate = "none";

/**
 * The solver of that name. @throws ERR_UNKNOWN_NAME with the known ones and the nearest, ERR_PLUGIN, ERR_PLUGIN_LOAD
 */
export async function findSolver(name: string, from: string): Promise<FoundEntry<SolverEntry>> {
  const plus = name.indexOf("+");
  if (plus > 0) return await findPair({ selector: name.slice(0, plus), updater: name.slice(plus + 1), from });
  const is = (entry: PluginEntry): entry is SolverEntry => entry.kind === "solver";
  return await findEntry({ name, from, what: "solver", is });
}

async function findPair(spec: { selector: string; updater: string; from: string }): Promise<FoundEntry<SolverEntry>> {
  const { from } = spec;
  const selector = await findEntry({
    name: spec.selector,
    from,
    what: "selector",
    is: (entry): entry is SelectorEntry => entry.kind === "selector",
  });
  const updater = await findEntry({
    name: spec.updater,
    from,
    what: "updater",
    is: (entry): entry is UpdaterEntry => entry.kind === "updater",
  });
  const { schema, split } = pairOptions(selector.entry.options, updater.entry.options);
  const entry = defineSolver({
    name: `${selector.entry.name}+${updater.entry.name}`,
    summary: `${selector.entry.summary}; ${updater.entry.summary}`,
    ...references(selector.entry, updater.entry),
    options: schema,
    create(options) {
      const parts = split(options);
      return solverFrom(selector.entry.create(parts.selector as never), updater.entry.create(parts.updater as never));
    },
  });
  return { entry, packageName: selector.packageName, version: selector.version, parts: [selector, updater] };
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
    );
  }
  return `${selector}+${updater ?? noUpdate}`;
}
