/** Plugins whose failures carry their name: whoever reads a message knows whom to tell. */
import {
  contentFault,
  isPruneError,
  lossFault,
  outputFactorFault,
  type Plugin,
  type PluginEntry,
  productFault,
} from "@secateur/core";
import { badProduct, pluginCrashed } from "./errors.ts";

type Judge = (result: unknown) => string | undefined;

/** What methods of a kind must return; a clause that says what is wrong with it. */
const results: Partial<Record<PluginEntry["kind"], Readonly<Record<string, Judge>>>> = {
  solver: { solve: (found) => (isObject(found) ? undefined : String(found)) },
  task: { outputFactor: outputFactorFault, loss: lossFault },
  format: { decode: contentFault, encode: (found) => (found instanceof Uint8Array ? undefined : noBytes(found)) },
  "training-rule": { begin: (found) => (isObject(found) ? undefined : String(found)) },
};

const isObject = (found: unknown): boolean => typeof found === "object" && found !== null;

const noBytes = (found: unknown): string => `${Array.isArray(found) ? "a list" : typeof found}, no Uint8Array`;

/**
 * The plugin with every call of its entries, and of what these make, guarded: what they throw beside a PruneError becomes one that names
 * package and entry, and so does what they return where it has not the form that its kind needs.
 *
 * @param name - of the package
 */
export function guardPlugin(plugin: Plugin, name: string): Plugin {
  const guard = (entry: PluginEntry): PluginEntry => {
    const label = { plugin: name, entry: `${entry.kind} ${entry.name}` };
    const create = (options: never): object => {
      const made: unknown = run(label, () => entry.create(options));
      const fault = productFault(entry.kind, made);
      if (fault !== undefined) throw badProduct({ ...label, method: "create", found: fault });
      return guardMethods(made as object, label, results[entry.kind]);
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
function guardMethods(made: object, label: Label, judges: Readonly<Record<PropertyKey, Judge>> = {}): object {
  const copy = {};
  for (let level: object | null = made; level && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    for (const key of Reflect.ownKeys(level)) {
      if (Object.hasOwn(copy, key) || key === "constructor") continue;
      const get = (): unknown => {
        const value = (made as Record<PropertyKey, unknown>)[key];
        if (typeof value !== "function") return value;
        const call = (...args: readonly unknown[]): unknown => run(label, () => value.apply(made, args));
        const judge = judges[key];
        if (!judge) return call;
        return (...args: readonly unknown[]) => judged(call(...args), { label, method: String(key), judge });
      };
      Object.defineProperty(copy, key, { get, enumerable: true, configurable: true });
    }
  }
  return copy;
}

/** The result of a call, once it is known to be what its method must return. @throws ERR_PLUGIN naming the plugin */
function judged(result: unknown, spec: { label: Label; method: string; judge: Judge }): unknown {
  if (result instanceof Promise) return result.then((settled: unknown) => judged(settled, spec));
  const fault = spec.judge(result);
  if (fault !== undefined) throw badProduct({ ...spec.label, method: spec.method, found: fault });
  return result;
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
