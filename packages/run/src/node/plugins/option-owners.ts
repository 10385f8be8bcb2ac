import { isPruneError, nearestName, optionProperties, PruneError } from "@secateur/core";
import { kebab } from "../../plugins/option-schema.ts";
import { firstPartyPlugins } from "./first-party.ts";

/** Kinds of methods that `prune` takes, whose options a user may have given to another. */
const kinds: readonly string[] = ["solver", "selector", "saliency", "updater", "curvature"];

/**
 * Adds to an error about an unknown option which of our methods have one of that name, or of nearly that name. Any other error
 * comes back as it is.
 */
export async function withOptionOwners(error: unknown): Promise<unknown> {
  if (!isPruneError(error) || error.code !== "ERR_USAGE") return error;
  const { flag, found, solver, known } = error.details as Readonly<Record<string, unknown>>;
  const typed = typeof flag === "string" && flag.startsWith("--") ? flag.slice(2) : solver === undefined ? "" : found;
  if (typeof typed !== "string" || typed === "" || !Array.isArray(known)) return error;
  const key = kebab(typed.split("=", 1)[0]!);
  const owners = await ownersByOption();
  const exact = owners.get(key);
  const isNearHere = nearestName(String(flag ?? found), known as readonly string[]) !== undefined;
  const near = exact || isNearHere ? undefined : nearestName(key, [...owners.keys()]);
  const name = exact ? key : near;
  if (name === undefined) return error;
  const who = [...owners.get(name)!].slice(0, 6).join(", ");
  const hint = exact ? `'${name}' is an option of ${who}` : `did you mean '${name}' of ${who}?`;
  return new PruneError(error.code, `${error.message}; ${hint}`, { details: { ...error.details, owners: who } });
}

/** The names of our methods that have an option, by the option's name as a flag. */
async function ownersByOption(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const owners = new Map<string, Set<string>>();
  for (const { entries } of await Promise.all(firstPartyPlugins.map((own) => own.load()))) {
    for (const entry of entries) {
      if (!kinds.includes(entry.kind) || !("options" in entry)) continue;
      for (const key of Object.keys(optionProperties(entry.options))) {
        owners.set(kebab(key), (owners.get(kebab(key)) ?? new Set()).add(entry.name));
      }
    }
  }
  return owners;
}
