/** From the arguments of a sweep to those that decide its result, and to those of the prune that one configuration is. */
import { kebab } from "../plugins/option-schema.ts";
import { gradientPlanKeys } from "../recipe/plan-keys.ts";

/** Where runs are made, and what is printed and written: nothing of it decides a result. */
const aside = ["shard", "out", "workers", "queue", "store", "report", "events", "threads"];
const asideBare = ["force", "json", "quiet", "profile"];

/** The arguments that decide a sweep's result. @param argv - from "sweep" on */
export function decidingArguments(argv: readonly string[]): readonly string[] {
  return without(argv, aside, asideBare);
}

/**
 * The arguments of `prune` for a configuration.
 *
 * @param spec.command - see {@link decidingArguments}
 * @param spec.takesGradients - whether the solver takes some; else flags of gradients would be refused
 */
export function pruneArguments(spec: {
  command: readonly string[];
  solver: string;
  sparsity: number;
  ridge?: number | "auto" | undefined;
  seed: number;
  takesGradients: boolean;
}): readonly string[] {
  const { command, solver, sparsity, ridge, seed, takesGradients } = spec;
  const gradients = takesGradients ? [] : [...gradientPlanKeys.map(kebab), "curvature-option"];
  const bare = takesGradients ? [] : gradients.flatMap((flag) => [flag, `no-${flag}`]);
  const rest = without(
    command.slice(1),
    ["solvers", "sparsities", "seeds", "ridges", "goal", "seed", ...gradients],
    bare,
  );
  const own: string[] = [];
  for (let place = 0; place < rest.length; place++) {
    const word = rest[place]!;
    const pair = word === "--option" ? rest[++place] : word.startsWith("--option=") ? word.slice(9) : undefined;
    // An option is that of one solver.
    if (pair === undefined) own.push(word);
    else if (pair.startsWith(`${solver}:`)) own.push("--option", pair.slice(solver.length + 1));
  }
  return [
    ...["prune", ...own, "--solver", solver, "--sparsity", String(sparsity)],
    ...(ridge === undefined ? [] : ["--ridge", String(ridge)]),
    ...(seed === 0 ? [] : ["--seed", String(seed)]),
  ];
}

/** Arguments without some flags: those with a value, and those without one. */
function without(argv: readonly string[], valued: readonly string[], bare: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let place = 0; place < argv.length; place++) {
    const word = argv[place]!;
    const name = /^--([\w-]+)/.exec(word)?.[1];
    if (name !== undefined && bare.includes(name) && !valued.includes(name)) continue;
    if (name === undefined || !valued.includes(name)) {
      kept.push(word);
      continue;
    }
    // The value is behind "=" or the next word, unless the flag is one of those that are on or off.
    if (
      !word.includes("=") &&
      argv[place + 1] !== undefined &&
      !argv[place + 1]!.startsWith("--") &&
      !switches.has(name)
    ) {
      place += 1;
    }
  }
  return kept;
}

/** Flags of gradients that take no value. */
const switches = new Set(["first-order", "distill", "line-search", "try-magnitude"]);
