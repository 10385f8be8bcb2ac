import { checkSolution, createRunContext, keepCount } from "@secateur/core";
import { expect, test } from "vitest";
import { layerOf } from "../layer.test-support.ts";
import { alps } from "./alps.ts";

const ctx = createRunContext();

test("a draft is feasible and some hundredths above the method whose budget it judges", async () => {
  for (const share of [0.3, 0.5]) {
    const constraint = (count: number) => keepCount({ count, keep: share * count });
    const problem = layerOf({ rows: 10, cols: 40, examples: 400, constraint });
    const solver = alps();
    const draft = await solver.draft!.solve(problem, ctx);
    await checkSolution(problem, draft, "draft");
    const { objective } = await solver.solve(problem, ctx);
    expect(draft.objective).toBeGreaterThan(0.99 * objective);
    expect(draft.objective).toBeLessThan(1.1 * objective);
  }
});

test("where no step of a draft can be taken its weights keep to its mask all the same", async () => {
  const problem = layerOf({ rows: 3, cols: 20, examples: 4, constraint: (count) => keepCount({ count, keep: 20 }) });
  const draft = await alps({ damping: 0, rho: 1e-9 }).draft!.solve(problem, ctx);
  await checkSolution(problem, draft, "draft");
});
