/** Plugins whose failures carry their name: whoever reads a message knows whom to tell. */
import { isPruneError, type Plugin, type PluginEntry } from "@secateur/core";
import { badProduct, pluginCrashed } from "../errors.ts";

/** What every product of a kind must have; kinds that are left out have nothing that must be there. */
const methods: Partial<Record<PluginEntry["kind"], string>> = {
  saliency: "score",
  selector: "select",
  updater: "update",
  solver: "solve",
  curvature: "estimate",
  schedule: "phases",
  "training-rule": "begin",
  quantizer: "quantize",
  format: "detects",
  dataset: "open",
  reporter: "report",
};

/**
 * The plugin with every call of its entries, and of what these make, guarded: what they throw beside a PruneError becomes one that names
 * package and entry.
 *
 * @param name - of the package
 */
export function guardPlugin(plugin: Plugin, name: string): Plugin {
  const guard = (entry: PluginEntry): PluginEntry => {
    const label = { plugin: name, entry: `${entry.kind} ${entry.name}` };
    const create = (options: never): object => {
      const made: unknown = run(label, () => entry.create(options));
      if (typeof made !== "object" || made === null) throw badProduct({ ...label, found: String(made) });
      const method = methods[entry.kind];
      if (method !== undefined && typeof (made as Record<string, unknown>)[method] !== "function") {
        throw badProduct({ ...label, found: `something without ${method}()` });
      }
      return guardMethods(made, label);
    };
    return { ...entry, create } as PluginEntry;
  };
  return { ...plugin, entries: plugin.entries.map(guard) };
}

interface Label {
  readonly plugin: string;
  readonly entry: string;
}

/** A copy whose methods, own and inherited, are guarded; everything else is read from the original when it is asked for. */
function guardMethods(made: object, label: Label): object {
  const copy = {};
  for (let level: object | null = made; level && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    for (const key of Reflect.ownKeys(level)) {
      if (Object.hasOwn(copy, key) || key === "constructor") continue;
      const get = (): unknown => {
        const value = (made as Record<PropertyKey, unknown>)[key];
        if (typeof value !== "function") return value;
        return (...args: readonly unknown[]) => run(label, () => value.apply(made, args));
      };
      Object.defineProperty(copy, key, { get, enumerable: true, configurable: true });
    }
  }
  return copy;
}

function run(label: Label, call: () => unknown): unknown {
  const renamed = (cause: unknown): unknown => (isPruneError(cause) ? cause : pluginCrashed({ ...label, cause }));
  let result: unknown;
  try {
    result = call();
  } catch (cause) {
    throw renamed(cause);
  }
  if (!(result instanceof Promise)) return result;
  return result.catch((cause: unknown) => {
    throw renamed(cause);
  });
}
