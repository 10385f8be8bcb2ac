import {
  entryKinds,
  type Plugin,
  type PluginEntry,
  type PruneError,
  pluginApi,
  reservedOptionOf,
} from "@secateur/core";
import { badPlugin, oldPlugin, optionIsFlag } from "../../plugins/errors.ts";

/** The kinds of methods, by what only they have: to recognise one that is exported in place of a plugin. */
const methods = { solve: "solver", select: "selector", update: "updater", score: "saliency", estimate: "curvature" };

/** What a plugin package exports by default, once it is known to be a plugin. @throws ERR_PLUGIN saying what it is instead */
export function checkedPlugin(spec: {
  name: string;
  place: string;
  module: Readonly<Record<string, unknown>>;
  /** Whether it comes from the subpath "./plugin". */
  isAtSubpath: boolean;
}): Plugin {
  const { name, place, module, isAtSubpath } = spec;
  const refuse = (found: string, remedy?: string): PruneError =>
    badPlugin({ name, place, found, ...(remedy === undefined ? {} : { remedy }) });
  const exported = module["default"];
  if (typeof exported !== "object" || exported === null) throw refuse(...otherExport(exported, Object.keys(module)));
  const plugin = exported as Partial<Plugin> & Readonly<Record<string, unknown>>;
  if (plugin.api === undefined) throw refuse(...otherObject(plugin));
  const api: unknown = plugin.api;
  if (api === 1 || (api === pluginApi && !isAtSubpath)) throw oldPlugin({ name, place, api });
  if (api !== pluginApi) throw refuse(`api ${JSON.stringify(api)}`, remedyForApi(api));
  if (!Array.isArray(plugin.entries)) throw refuse("no list of entries");
  const seen = new Set<string>();
  for (const entry of plugin.entries as readonly Partial<PluginEntry>[]) {
    const label = `the entry ${JSON.stringify(entry?.name ?? entry)}`;
    const isWhole =
      typeof entry?.kind === "string" && typeof entry.name === "string" && typeof entry.create === "function";
    if (!isWhole || typeof entry.options?.["~standard"]?.jsonSchema?.input !== "function") {
      throw refuse(`${label} without kind, name, create, or options that are a Standard Schema with a JSON Schema`);
    }
    if (!entryKinds.includes(entry.kind!)) {
      throw refuse(`${label} of kind '${entry.kind}', known are ${entryKinds.join(", ")}`, "update secateur");
    }
    const option = reservedOptionOf(entry as PluginEntry);
    if (option !== undefined) throw optionIsFlag({ name, place, entry: label, option });
    const key = `${entry.kind} ${entry.name}`;
    if (seen.has(key)) throw refuse(`two entries '${key}', of which one would never be found`);
    seen.add(key);
  }
  return exported as Plugin;
}

type Found = readonly [found: string, remedy?: string];

function otherExport(exported: unknown, names: readonly string[]): Found {
  const others = names.filter((name) => name !== "default");
  const beside = others.length > 0 ? ` (it exports ${others.join(", ")})` : "";
  if (typeof exported === "function") {
    return [
      `a function as default export${beside}`,
      "if it is yours, wrap it: definePlugin({ api: 2, name, entries: [...] })",
    ];
  }
  return [`${exported === null ? "null" : typeof exported} as default export${beside}`, notMeant];
}

const notMeant = "if the package is not meant as a plugin, give another name; if it is yours, add the default export";

/** What an object without `api` is. */
function otherObject(exported: Readonly<Record<string, unknown>>): Found {
  const wrap = "if it is yours, wrap it: definePlugin({ api: 2, name, entries: [...] })";
  const inner = exported["default"];
  if (typeof inner === "object" && inner !== null && "api" in inner) {
    return ["a plugin inside another default export", "it was compiled to CommonJS: publish ES modules (type: module)"];
  }
  if ("kind" in exported && "create" in exported) return ["one entry in place of a plugin", wrap];
  const method = Object.entries(methods).find(([name]) => typeof exported[name] === "function");
  if (method) return [`a ${method[1]} in place of a plugin`, wrap];
  return ["no api", notMeant];
}

function remedyForApi(found: unknown): string {
  return typeof found === "number" && found > pluginApi
    ? `it was made for a later secateur: update with npm install secateur@latest, or install an older version of it`
    : "install a newer version of it";
}
