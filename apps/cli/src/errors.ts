/** Every error the command line throws itself, one factory each. Codes are stable; messages may improve. */
import { PruneError } from "@secateur/core";

/** Flags or arguments that cannot be understood, or that contradict each other. */
export function badUsage(message: string): PruneError {
  return new PruneError("ERR_USAGE", message);
}

/** A flag's text is not what the flag takes. */
export function badFlagValue(spec: { flag: string; found: string; allowed: string }): PruneError {
  return badUsage(`${spec.flag}: found '${spec.found}', allowed is ${spec.allowed}`);
}

/** Something that only the user can say was left out. */
export function missingFlag(flag: string, remedy: string): PruneError {
  return badUsage(`${flag} is missing; ${remedy}`);
}

/** A flag that could not change anything here. */
export function flagWithoutEffect(spec: { flag: string; reason: string }): PruneError {
  return badUsage(`${spec.flag} would change nothing: ${spec.reason}; leave it out`);
}

/** The checkpoint holds tensors only and nothing tells which network they belong to. */
export function architectureNeeded(spec: { path: string; tensors: string; known: readonly string[] }): PruneError {
  return new PruneError(
    "ERR_ARCHITECTURE",
    `${spec.path}: it holds only tensors (${spec.tensors}) and they fit no built-in network by themselves; ` +
      `say which one with --arch: ${spec.known.join(", ")}, or mlp:SIZES such as mlp:784-300-10`,
  );
}

/** A text such as "mlp:784-x" that describes no network. */
export function badArchitecture(found: string): PruneError {
  return new PruneError(
    "ERR_ARCHITECTURE",
    `--arch: '${found}' describes no network; allowed is mlp:SIZES with two or more whole numbers joined by '-', ` +
      "and ':nobias' after them for layers without bias, such as mlp:784-40-20-10:nobias",
  );
}

/** A plugin package was found and could not be loaded. */
export function pluginFailed(spec: { name: string; place: string; cause: unknown }): PruneError {
  const reason = spec.cause instanceof Error ? spec.cause.message : String(spec.cause);
  return new PruneError(
    "ERR_PLUGIN_LOAD",
    `plugin '${spec.name}' at ${spec.place} failed to load: ${reason}; repair or reinstall it`,
    { fault: "runtime", cause: spec.cause },
  );
}

/** A package that is no plugin, or of another version of the interface. */
export function badPlugin(spec: { name: string; place: string; found: string }): PruneError {
  return new PruneError(
    "ERR_PLUGIN",
    `plugin '${spec.name}' at ${spec.place}: found ${spec.found}, expected a default export made by definePlugin ` +
      "with api 1; install a version of the plugin for this version of secateur",
  );
}

/** A recipe file that is not one. */
export function badRecipe(spec: { path: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_RECIPE",
    `${spec.path}: not a recipe: found ${spec.found}, expected ${spec.expected}; give a .recipe.json that secateur prune wrote`,
  );
}

/** An interrupted run left its state and this run was not told what to do with it. */
export function stateLeftBehind(path: string): PruneError {
  return new PruneError(
    "ERR_RESUME",
    `${path}: an interrupted run left its state here; continue it with --resume, or start afresh with --force`,
  );
}

/** The saved state is of another run, or is damaged. */
export function badState(path: string, found: string): PruneError {
  return new PruneError(
    "ERR_RESUME",
    `${path}: ${found}; repeat the command of the interrupted run with --resume, or start afresh with --force instead of --resume`,
  );
}

/** Ctrl-C or termination; what was saved is said by the caller. */
export function interrupted(remedy: string): PruneError {
  return new PruneError("ERR_ABORTED", `interrupted; ${remedy}`, { fault: "runtime" });
}
