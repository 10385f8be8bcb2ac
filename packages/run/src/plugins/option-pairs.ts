/** The texts KEY=VALUE of flags that set options. */
import { nearestName, type PruneError } from "@secateur/core";
import { badUsage } from "../errors.ts";

/** The two sides of KEY=VALUE. @throws ERR_USAGE */
export function splitPair(flag: string, pair: string): [string, string] {
  const at = pair.indexOf("=");
  if (at < 1) throw badUsage(`${flag}: found '${pair}', allowed is KEY=VALUE such as ridge=0.05`, { flag, pair });
  return [pair.slice(0, at), pair.slice(at + 1)];
}

/** Options by name, their values read as JSON where they are JSON: a schema judges them later. @throws ERR_USAGE */
export function optionsFromPairs(flag: string, pairs: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(pairs.map((pair) => splitPair(flag, pair)).map(([key, text]) => [key, jsonOr(text)]));
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * The texts of `--option SOLVER:KEY=VALUE` of a command that runs several methods, by the method that each is for.
 *
 * @param solvers - names as typed; one may have colons of its own (PACKAGE:NAME)
 * @returns for each name its texts KEY=VALUE, in the order given; none: an empty list
 * @throws ERR_USAGE for a text that names none of them
 */
export function pairsBySolver(
  pairs: readonly string[],
  solvers: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const own = new Map<string, string[]>(solvers.map((name) => [name, []]));
  for (const pair of pairs) {
    // The longest name that fits: one may begin as another does.
    const fitting = solvers.filter((name) => pair.startsWith(`${name}:`));
    const [solver] = fitting.sort((a, b) => b.length - a.length);
    if (solver === undefined) throw namesNoSolver(pair, solvers);
    own.get(solver)!.push(pair.slice(solver.length + 1));
  }
  return own;
}

function namesNoSolver(pair: string, solvers: readonly string[]): PruneError {
  const key = pair.split("=", 1)[0]!;
  const found = key.slice(0, Math.max(0, key.lastIndexOf(":")));
  const near = found === "" ? undefined : nearestName(found, solvers);
  const hint = near === undefined ? "" : `; did you mean '${near}'?`;
  const problem = found === "" ? `found '${pair}'` : `'${found}' is none of --solvers`;
  const allowed = `SOLVER:KEY=VALUE with SOLVER one of ${solvers.join(", ")}`;
  return badUsage(`--option: ${problem}, allowed is ${allowed}${hint}`, { pair, solvers });
}
