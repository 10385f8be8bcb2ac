/** What can be wrong with a plugin, one factory each. Codes are stable; messages may improve. */
import { PruneError } from "@secateur/core";

/** A plugin package was found and could not be loaded. */
export function pluginFailed(spec: { name: string; place: string; cause: unknown; remedy: string }): PruneError {
  const { name, place, cause, remedy } = spec;
  const reason = (cause instanceof Error ? cause.message : String(cause)).trim().replace(/\.$/, "");
  return new PruneError("ERR_PLUGIN_LOAD", `plugin '${name}' at ${place} failed to load: ${reason}; ${remedy}`, {
    fault: "runtime",
    cause,
    details: { name, place, remedy },
  });
}

/** A plugin could not be loaded, and packages that it needs are not there. `missing`: those its package.json names; empty: others. */
export function pluginIncomplete(spec: {
  name: string;
  place: string;
  missing: readonly string[];
  cause: unknown;
}): PruneError {
  const { name, place, missing, cause } = spec;
  const reason = (cause instanceof Error ? cause.message : String(cause)).trim().replace(/\.$/, "");
  const remedy =
    missing.length > 0
      ? `${missing.map((one) => `'${one}'`).join(", ")} ${missing.length === 1 ? "is one" : "are some"} of its dependencies: run npm install in ${place}`
      : "its package.json does not name what it imports: tell its author; npm install of the missing package may help until then";
  return new PruneError("ERR_PLUGIN_LOAD", `plugin '${name}' at ${place} failed to load: ${reason}; ${remedy}`, {
    cause,
    details: { name, place, missing },
  });
}

/** A plugin could not be loaded, and a package that it needs beside it is missing or of another version. */
export function unmetPeer(spec: {
  name: string;
  place: string;
  peer: string;
  range: string;
  found: string | undefined;
  cause: unknown;
}): PruneError {
  const { name, place, peer, range, found, cause } = spec;
  const has = found === undefined ? "it is not installed" : `found is ${found}`;
  return new PruneError(
    "ERR_PLUGIN_PEER",
    `plugin '${name}' at ${place} needs ${peer} ${range} beside it, and ${has}; run npm install '${peer}@${range}' ` +
      "there, or install a version of the plugin for the one you have",
    { cause, details: { name, place, peer, range, found } },
  );
}

/** Something inside a plugin failed that is none of our errors. */
export function pluginCrashed(spec: { plugin: string; entry: string; cause: unknown }): PruneError {
  const { plugin, entry, cause } = spec;
  const reason = (cause instanceof Error ? cause.message : String(cause)).trim().replace(/\.$/, "");
  return new PruneError(
    "ERR_PLUGIN_CRASH",
    `plugin '${plugin}' (${entry}) failed: ${reason}; tell its author, or use another method`,
    { fault: "runtime", cause, details: { plugin, entry } },
  );
}

/** An entry of a plugin makes something that is not of its kind, or a method of it returns what it must not. */
export function badProduct(spec: { plugin: string; entry: string; method: string; found: string }): PruneError {
  const { plugin, entry, method, found } = spec;
  return new PruneError(
    "ERR_PLUGIN",
    `plugin '${plugin}' (${entry}): ${method} returned ${found}; tell its author, or install another version of it`,
    { details: spec },
  );
}

/** A plugin has an option that users could not set by its flag. */
export function optionIsFlag(spec: { name: string; place: string; entry: string; option: string }): PruneError {
  const { name, place, entry, option } = spec;
  return new PruneError(
    "ERR_PLUGIN",
    `plugin '${name}' at ${place}: ${entry} has the option '${option}', which is a flag of the command line; its author has to give the option another name`,
    { details: spec },
  );
}

/** A plugin of the first interface, or one whose manifest is not where it is looked for. */
export function oldPlugin(spec: { name: string; place: string; api: 1 | 2 }): PruneError {
  const { name, place, api } = spec;
  const found =
    api === 1
      ? "it is of plugin interface 1, and this secateur speaks 2"
      : "its manifest is the default export of the package itself";
  const remedy =
    "move the manifest to a file of its own that exports it by default with api: 2, and name that file in package.json as" +
    ' exports["./plugin"] (see docs/write-a-solver.md)';
  return new PruneError(
    "ERR_PLUGIN",
    `plugin '${name}' at ${place}: ${found}; install a newer version of it, or if it is yours: ${remedy}`,
    { details: spec },
  );
}

/** A package that is no plugin, or of another version of the interface. */
export function badPlugin(spec: { name: string; place: string; found: string; remedy?: string }): PruneError {
  const { name, place, found, remedy = "tell its author, or install another version of it" } = spec;
  return new PruneError(
    "ERR_PLUGIN",
    `plugin '${name}' at ${place}: found ${found}, expected a manifest made by definePlugin with api 2 as the default export of its subpath ./plugin; ${remedy}`,
    { details: spec },
  );
}

/** A file whose ending asks for a format that a plugin can only write. */
export function onlyWrites(spec: { path: string; format: string; plugin: string }): PruneError {
  const { path, format, plugin } = spec;
  return new PruneError(
    "ERR_FORMAT",
    `${path}: the format '${format}' of ${plugin} only writes files and reads none; give the network in another format`,
    { details: spec },
  );
}

/** A file of the ending of a plugin's format, which does not take it for its own. */
export function notOfFormat(spec: { path: string; format: string; plugin: string }): PruneError {
  const { path, format, plugin } = spec;
  return new PruneError(
    "ERR_FORMAT",
    `${path}: the format '${format}' of ${plugin} does not take it for one of its files, nor does any other; the file is damaged, or its name has a wrong ending`,
    { details: spec },
  );
}
