/** What a strategy asks of a problem, and whether it asks for no more than it declares. */
import { type CurvatureView, createRunContext, type Solution, type Solver } from "@secateur/core";
import { ensure } from "../assertions.ts";
import type { Check } from "../check.ts";
import { ensureSolution } from "./solution-checks.ts";
import type { SolverSpec } from "./solver-suite.ts";
import { tinyProblem } from "./tiny-problems.ts";

const views: readonly string[] = ["diagonal", "apply", "factor", "gram", "blocks", "inverse"];
const methods: readonly string[] = ["relax", "canSwap"];

/** Checks of `needs`. */
export function needsChecks({ create }: SolverSpec): readonly Check[] {
  return [
    {
      name: "declares what it needs by the names of views and methods",
      async run() {
        const { needs } = await create();
        ensure(
          typeof needs === "object" && needs !== null,
          () => `needs is ${String(needs)}, expected an object; {} for nothing`,
        );
        for (const view of (needs.curvature ?? []).flat()) {
          ensure(views.includes(view), () => `needs.curvature names '${view}', expected ${views.join(", ")}`);
        }
        for (const method of needs.constraint ?? []) {
          ensure(methods.includes(method), () => `needs.constraint names '${method}', expected ${methods.join(", ")}`);
        }
      },
    },
    {
      name: "works on a curvature that has only what it needs",
      async run() {
        for (const chosen of alternatives(await create())) {
          const tiny = tinyProblem({ views: chosen });
          const label = `a curvature with ${["diagonal", "apply", ...chosen].join(", ")}`;
          let solution: Solution;
          try {
            solution = await (await create()).solve(tiny.problem, createRunContext());
          } catch (cause) {
            throw new Error(`${label}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
          }
          await ensureSolution(tiny.problem, solution, label);
        }
      },
    },
  ];
}

/** Every way to meet the needs with as few views as possible. */
function alternatives({ needs }: Solver): readonly (readonly CurvatureView[])[] {
  let ways: readonly (readonly CurvatureView[])[] = [[]];
  for (const need of needs.curvature ?? []) {
    const any = typeof need === "string" ? [need] : need;
    ways = ways.flatMap((way) => any.map((view) => [...way, view]));
  }
  return ways;
}
