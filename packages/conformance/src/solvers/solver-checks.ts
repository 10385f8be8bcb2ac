import {
  assertNeeds,
  createRunContext,
  keepCount,
  type Problem,
  type RunContextOptions,
  type Solution,
  type Solver,
  weightUnits,
} from "@secateur/core";
import { abortChecks } from "../abort-checks.ts";
import { ensure, ensureSameBytes, errorOf, watch } from "../assertions.ts";
import { type Check, registerChecks } from "../check.ts";
import type { Budget } from "./budgets.ts";
import { claimChecks } from "./claim-checks.ts";
import { needsChecks } from "./needs-checks.ts";
import { planChecks } from "./plan-checks.ts";
import { ensureSolution, objectiveScale, objectiveTolerance } from "./solution-checks.ts";
import { everyProblem, refusalFor, type SolverSpec, type SolverSuite } from "./solver-suite.ts";
import { type TinyProblem, type TinySpec, tinyProblem } from "./tiny-problems.ts";

/**
 * Registers a solver's suite: about twenty tests on problems of a dozen weights, compared with brute force where the
 * solver claims optimality. A second or two in all.
 *
 * @example
 * import { test } from "node:test"; // or from "vitest"
 * describeSolver({ test, create: () => mySolver(), claims: ["mask"] });
 */
export function describeSolver(suite: SolverSuite): void {
  registerChecks(suite.test, suite.name ?? "the solver", solverChecks(suite));
}

/** The checks of {@link describeSolver}, for use without a test runner. */
export function solverChecks(spec: SolverSpec): readonly Check[] {
  const specs = everyProblem();
  const takenOf = (some: readonly TinySpec[]) => some.filter((one) => refusalFor(one, spec.refuses) === undefined);
  const taken = takenOf(specs);
  const refused = specs.filter((one) => refusalFor(one, spec.refuses) !== undefined);
  return [
    ...needsChecks(spec),
    {
      name: "keeps exactly what the constraint allows, with zeros where the mask is 0 and the objective it has",
      run: () => onEach(spec, taken, ensureSolution),
    },
    ...(refused.length > 0 ? [refusals(spec, refused)] : []),
    {
      name: "keeps nothing for k = 0",
      run: () =>
        onEach(spec, takenOf(budgetCases(0)), async (problem, solution, label) => {
          await ensureSolution(problem, solution, label);
          ensure(
            solution.w.data.every((value) => value === 0),
            () => `${label}: a weight is left`,
          );
        }),
    },
    {
      name: "keeps everything for k = all, and loses nothing",
      run: () => onEach(spec, takenOf(budgetCases(12)), keepsAll),
    },
    {
      name: "solves at damping 0, or says that the curvature is singular",
      run: () => singularProblems(spec),
    },
    { name: "leaves its inputs as they were", run: () => inputsUnchanged(spec, taken) },
    { name: "gives the same bytes for the same seed, also after other problems", run: () => sameSeed(spec) },
    ...orderChecks(spec),
    ...claimChecks(spec),
    ...(spec.baseline
      ? [{ name: "is never worse than its baseline", run: () => neverWorse(spec, spec.baseline!, taken) }]
      : []),
    ...abortChecks(spec),
    ...planChecks(spec),
  ];
}

/** Solves one problem in a context of its own. */
async function solveTiny(
  solver: Solver,
  { problem, label }: TinyProblem,
  options: RunContextOptions = {},
): Promise<Solution> {
  try {
    return await solver.solve(problem, createRunContext(options));
  } catch (error) {
    throw new Error(`${label}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

type Judge = (problem: Problem, solution: Solution, label: string) => void | Promise<void>;

async function onEach({ create }: SolverSpec, specs: readonly TinySpec[], judge: Judge): Promise<void> {
  for (const one of specs) {
    const tiny = tinyProblem(one);
    await judge(tiny.problem, await solveTiny(await create(), tiny), tiny.label);
  }
}

function refusals({ create, refuses = [] }: SolverSpec, specs: readonly TinySpec[]): Check {
  return {
    name: `refuses what it does not solve (${refuses.join(", ")}) with ERR_INCOMPATIBLE`,
    async run() {
      const solver = await create();
      for (const { problem, label } of specs.map(tinyProblem)) {
        const call = (): unknown => {
          assertNeeds("the solver", solver.needs, problem);
          return solver.solve(problem, createRunContext());
        };
        await errorOf(call, ["ERR_INCOMPATIBLE"], label);
      }
    },
  };
}

/** Problems that keep 0 or all weights. */
function budgetCases(keep: number): readonly TinySpec[] {
  const budget = ({ rows, cols }: { rows: number; cols: number }): Budget => {
    const count = rows * cols;
    return { units: weightUnits(count), constraint: keepCount({ count, keep }) };
  };
  return (["f64", "f32"] as const).flatMap((dtype) => [
    { budget, dtype },
    { budget, dtype, firstOrder: true },
    { budget, dtype, kind: "dead columns" },
    { budget, dtype, kind: "zero weights" },
  ]);
}

const keepsAll: Judge = async (problem, solution, label) => {
  await ensureSolution(problem, solution, label);
  const slack = objectiveTolerance(problem) * (await objectiveScale(problem));
  ensure(
    solution.objective <= slack,
    () => `${label}: the objective is ${solution.objective}, above that of the dense weights, 0`,
  );
};

async function singularProblems({ create }: SolverSpec): Promise<void> {
  for (const kind of ["dead columns", "equal columns", "rank two"] as const) {
    for (const dtype of ["f64", "f32"] as const) {
      const tiny = tinyProblem({ kind, dtype, damping: 0, examples: 4 });
      const solver = await create();
      let solution: Solution;
      try {
        solution = await solver.solve(tiny.problem, createRunContext());
      } catch (error) {
        await errorOf(
          () => {
            throw error;
          },
          ["ERR_SINGULAR", "ERR_INCOMPATIBLE"],
          tiny.label,
        );
        continue;
      }
      await ensureSolution(tiny.problem, solution, tiny.label);
    }
  }
}

async function inputsUnchanged({ create }: SolverSpec, specs: readonly TinySpec[]): Promise<void> {
  for (const one of specs) {
    const tiny = tinyProblem(one);
    const ensureUnchanged = watch(tiny.inputs);
    const solution = await solveTiny(await create(), tiny);
    ensureUnchanged(`${tiny.label}: the solver`);
    for (const [name, input] of Object.entries(tiny.inputs)) {
      const isShared = input !== undefined && solution.w.data.buffer === input.buffer;
      ensure(!isShared, () => `${tiny.label}: the solution's weights are the input '${name}' itself; return a copy`);
    }
  }
}

async function sameSeed({ create }: SolverSpec): Promise<void> {
  for (const one of [{ cols: 24 }, { cols: 24, dtype: "f32" }, { kind: "ties" }] satisfies readonly TinySpec[]) {
    const fresh = await solveTiny(await create(), tinyProblem(one), { seed: 5 });
    const used = await create();
    await solveTiny(used, tinyProblem({ ...one, seed: 1 }), { seed: 5 });
    await solveTiny(used, tinyProblem({ ...one, cols: 8 }), { seed: 6 });
    const again = await solveTiny(used, tinyProblem(one), { seed: 5 });
    const { label } = tinyProblem(one);
    ensureSameBytes(again.mask, fresh.mask, `${label}: the mask of a second run`);
    ensureSameBytes(again.w.data, fresh.w.data, `${label}: the weights of a second run`);
    ensure(
      Object.is(again.objective, fresh.objective),
      () => `${label}: objectives ${fresh.objective}, ${again.objective}`,
    );
  }
}

async function otherSeeds({ create }: SolverSpec): Promise<void> {
  const masks = new Set<string>();
  for (const seed of [0, 1, 2, 3, 4, 5, 6, 7]) {
    masks.add((await solveTiny(await create(), tinyProblem({ cols: 24 }), { seed })).mask.join(""));
  }
  ensure(masks.size > 1, () => "eight seeds gave one mask; draw from ctx.rng, or leave out 'randomised'");
}

function orderChecks(spec: SolverSpec): readonly Check[] {
  if (spec.randomised) return [{ name: "gives other masks for other seeds", run: () => otherSeeds(spec) }];
  if (spec.ordered) return [];
  return [{ name: "permutes its answer when the weights are permuted", run: () => permuted(spec) }];
}

/** New weight j is old weight order[j]. */
const order = [7, 2, 9, 0, 11, 4, 1, 10, 3, 8, 5, 6];

async function permuted({ create, refuses }: SolverSpec): Promise<void> {
  for (const one of [{}, { firstOrder: true }, { examples: 30 }] satisfies readonly TinySpec[]) {
    if (refusalFor(one, refuses)) continue;
    const plain = tinyProblem(one);
    const moved = tinyProblem({ ...one, order });
    const solution = await solveTiny(await create(), plain);
    const answer = await solveTiny(await create(), moved);
    const expected = Uint8Array.from(order, (from) => solution.mask[from]!);
    ensureSameBytes(answer.mask, expected, `${plain.label}: the mask of the permuted weights`);
    const slack = 1e-6 * (await objectiveScale(plain.problem));
    ensure(Math.abs(answer.objective - solution.objective) <= slack, () => {
      return `${plain.label}: the objective changed from ${solution.objective} to ${answer.objective}`;
    });
  }
}

async function neverWorse(
  { create }: SolverSpec,
  baseline: () => Solver | Promise<Solver>,
  specs: readonly TinySpec[],
): Promise<void> {
  for (const one of specs) {
    const tiny = tinyProblem(one);
    const base = await solveTiny(await baseline(), tiny);
    const found = await solveTiny(await create(), tiny);
    const slack = objectiveTolerance(tiny.problem) * (await objectiveScale(tiny.problem));
    ensure(found.objective <= base.objective + slack, () => {
      return `${tiny.label}: the objective is ${found.objective}, that of the baseline ${base.objective}`;
    });
  }
}
