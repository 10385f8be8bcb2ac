import { incompatible, modelLacks } from "../errors.ts";
import type { CurvatureView } from "./curvature.ts";
import type { Problem } from "./problem.ts";
import type { Needs } from "./strategy.ts";

const mandatory = ["dim", "kind"];

/** What the empirical Fisher of gradient rows, the curvature that most have at hand, gives. */
const fisherViews: readonly CurvatureView[] = ["diagonal", "apply", "factor", "inverse"];

/** Checks a strategy's needs against a problem before anything runs. @throws ERR_INCOMPATIBLE naming all that is missing */
export function assertNeeds(who: string, needs: Needs, problem: Problem): void {
  const missing: string[] = [];
  const views: CurvatureView[] = [];
  for (const view of needs.curvature ?? []) {
    const alternatives: readonly CurvatureView[] = typeof view === "string" ? [view] : view;
    if (!alternatives.some((name) => problem.curvature[name] !== undefined)) {
      missing.push(alternatives.map((name) => `curvature.${name}`).join(" or "));
      views.push(alternatives[0]!);
    }
  }
  for (const method of needs.constraint ?? []) {
    if (problem.constraint[method] === undefined) missing.push(`constraint.${method}`);
  }
  const unmet = (needs.model ?? []).filter((method) => problem.source?.model[method] === undefined);
  if (unmet.length > 0) throw modelLacks({ who, problem: problem.id, model: problem.source?.model.name, unmet });
  if (missing.length === 0) return;
  throw incompatible({
    who,
    problem: problem.id,
    missing: missing.join(" and "),
    has: `the curvature has ${capabilities(problem.curvature)}; the constraint '${problem.constraint.kind}' has ${capabilities(problem.constraint)}`,
    remedy:
      problem.id !== "network"
        ? "this is one layer with its inputs alone: leave the scope layers out, or take a solver for layers (layerwise, obc, alps)"
        : views.length > 0
          ? `take ${views.every((view) => fisherViews.includes(view)) ? "the empirical-fisher curvature, which has it," : "a curvature that has it,"} or another solver`
          : "limit single weights by their number alone (no units, patterns or other limits), or take another solver",
  });
}

function capabilities(value: object): string {
  return Object.entries(value)
    .filter(([name, member]) => member !== undefined && !mandatory.includes(name))
    .map(([name]) => name)
    .join(", ");
}

/** The needs of a strategy made of two. */
export function joinNeeds(a: Needs, b: Needs): Needs {
  return {
    curvature: [...(a.curvature ?? []), ...(b.curvature ?? [])],
    constraint: [...(a.constraint ?? []), ...(b.constraint ?? [])],
    model: [...(a.model ?? []), ...(b.model ?? [])],
  };
}
