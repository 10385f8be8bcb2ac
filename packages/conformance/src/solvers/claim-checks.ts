/** Optimality, where a solver claims it, against brute force over every mask. */
import { createRunContext, keepCount, matrix, objective, type Solver, weightUnits } from "@secateur/core";
import { ensure } from "../assertions.ts";
import type { Check } from "../check.ts";
import { denseHessian, minimiserOn, optimumOf } from "./brute-force.ts";
import { objectiveScale } from "./solution-checks.ts";
import { everyProblem, type OptimalityClaim, refusalFor, type SolverSpec } from "./solver-suite.ts";
import { type TinySpec, tinyProblem } from "./tiny-problems.ts";

/** One check for each claim. */
export function claimChecks(spec: SolverSpec): readonly Check[] {
  return (spec.claims ?? []).map((claim) => ({
    name: `ends ${sentences[claim]}, as it claims`,
    async run() {
      for (const one of problemsOf(claim).filter((candidate) => !refusalFor(candidate, spec.refuses))) {
        await (claim === "mask" ? ensureMinimiser(spec, one) : ensureOptimum(spec, one));
      }
    },
  }));
}

const sentences: Readonly<Record<OptimalityClaim, string>> = {
  identity: "at the optimum where H = I",
  diagonal: "at the optimum where H is diagonal",
  one: "at the optimum where one weight has to go",
  mask: "at the minimiser on its mask",
  "any-k": "at the optimum where any k weights may stay",
  always: "at the optimum of every tiny problem",
};

function problemsOf(claim: OptimalityClaim): readonly TinySpec[] {
  switch (claim) {
    case "identity":
      return withBudgets({ gradientRows: ({ cols }) => matrix(1, cols), damping: 1 });
    case "diagonal":
      return withBudgets({
        gradientRows: ({ cols }) =>
          matrix(
            cols,
            cols,
            Float64Array.from({ length: cols * cols }, (_, i) => (i % (cols + 1) === 0 ? 1 + (i % 5) : 0)),
          ),
        damping: 0.1,
      });
    case "one":
      return [0, 1, 2, 3, 4, 5, 6, 7].map((seed) => ({
        seed,
        budget: ({ cols }) => ({ units: weightUnits(cols), constraint: keepCount({ count: cols, keep: cols - 1 }) }),
      }));
    case "mask":
      return everyProblem();
    case "any-k":
      return problemsOf("always").filter(({ budget = "sparsity" }) => budget === "sparsity" || budget === "eligible");
    case "always":
      return [
        ...everyProblem().filter(({ productsOnly }) => !productsOnly),
        ...[1, 2, 3, 4, 5].flatMap((seed) => [{ seed }, { seed, examples: 30 }, { seed, firstOrder: true }]),
      ];
    default:
      return claim satisfies never;
  }
}

function withBudgets(spec: TinySpec): readonly TinySpec[] {
  return (["sparsity", "eligible", "pattern", "blocks", "channels"] as const).map((budget) => ({ ...spec, budget }));
}

/** f32 solvers work in f32 inside: their optimum is known to about half the digits. */
const roundoff = { f32: 1e-3, f64: 1e-7 } as const;

async function solved(create: () => Solver | Promise<Solver>, one: TinySpec) {
  const tiny = tinyProblem(one);
  const solution = await (await create()).solve(tiny.problem, createRunContext());
  const found = await objective(tiny.problem, solution.w);
  return { tiny, solution, found, scale: await objectiveScale(tiny.problem) };
}

async function ensureOptimum({ create, slack = 0 }: SolverSpec, one: TinySpec): Promise<void> {
  const { tiny, solution, found, scale } = await solved(create, one);
  const best = await optimumOf(tiny.problem);
  const allowed = (slack + roundoff[one.dtype ?? "f64"]) * scale;
  ensure(found <= best.objective + allowed, () => {
    return `${tiny.label}: the mask ${solution.mask.join("")} has Q = ${found}, the optimum ${best.mask.join("")} has ${best.objective}`;
  });
}

async function ensureMinimiser({ create, slack = 0 }: SolverSpec, one: TinySpec): Promise<void> {
  const { tiny, solution, found, scale } = await solved(create, one);
  const best = await minimiserOn(tiny.problem, solution.mask, await denseHessian(tiny.problem));
  ensure(best !== undefined, () => `${tiny.label}: brute force finds the curvature singular`);
  const allowed = (slack + roundoff[one.dtype ?? "f64"]) * scale;
  ensure(found <= best.objective + allowed, () => {
    return `${tiny.label}: on its mask ${solution.mask.join("")} Q = ${found}, the minimum there is ${best.objective}`;
  });
}
