import { pairsBySolver } from "@secateur/run";
import { type ComparedSolver, findSolver } from "@secateur/run/node";
import { planFromFlags } from "../flags/plan-flags.ts";
import { solverSettings } from "../flags/solver-flags.ts";
import type { Terminal } from "../terminal.ts";

/** The methods that --solvers names, each with what --option SOLVER:KEY=VALUE sets of it and of its plan. */
export async function comparedSolvers(
  names: readonly string[],
  option: readonly string[],
  { cwd }: Terminal,
): Promise<readonly ComparedSolver[]> {
  const pairs = pairsBySolver(option, names);
  return await Promise.all(
    names.map(async (name) => {
      const found = await findSolver(name, cwd);
      const given = { flags: {}, ownFlags: new Set<string>(), pairs: pairs.get(name) ?? [] };
      const { options, plan } = solverSettings({ entry: found.entry, hasPlan: true, ...given });
      return { found, options, plan: planFromFlags(plan) };
    }),
  );
}
