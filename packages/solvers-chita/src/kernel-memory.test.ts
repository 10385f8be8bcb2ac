import { createRunContext, type Solver } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { chita } from "./chita.ts";
import { countingContext, randomProblem } from "./problem.test-support.ts";
import { chitaBlock, chitaBso, chitaCd, chitaIht } from "./published/named-solvers.ts";

const solvers: Readonly<Record<string, Solver>> = {
  chita: chita(),
  "chita with small pools": chita({ pool: 2 }),
  "chita without swaps": chita({ pool: 0 }),
  "chita along its path": chita({ maxRows: 1 }),
  "chita.iht": chitaIht(),
  "chita.cd": chitaCd(),
  "chita.bso, primal": chitaBso({ form: "primal" }),
  "chita.bso, dual": chitaBso({ form: "dual" }),
  "chita.bso, conjugate gradients": chitaBso({ form: "cg" }),
  "chita.block": chitaBlock({ blockSize: 7 }),
};

const problems = [
  { n: 6, p: 30, keep: 5 },
  { n: 6, p: 30, keep: 25 },
  { n: 40, p: 20, keep: 6, firstOrder: true },
].map((spec) => randomProblem({ ...spec, ridge: 0.05 }));

describe.each(Object.entries(solvers))("%s", (_name, solver) => {
  test("frees what it takes from the kernels' memory, and uses nothing afterwards", async () => {
    for (const problem of problems) {
      const { ctx, live } = countingContext();
      const { w, objective } = await solver.solve(problem, ctx);
      expect(live()).toBe(0);
      const plain = await solver.solve(problem, createRunContext());
      expect(w.data).toEqual(plain.w.data);
      expect(objective).toBe(plain.objective);
    }
  });

  test("frees it also when it is aborted, wherever that is", async () => {
    for (const problem of problems) {
      for (const after of [1, 2, 3, 5, 8]) {
        const controller = new AbortController();
        let events = 0;
        const onEvent = (): void => {
          if (++events === after) controller.abort();
        };
        const { ctx, live } = countingContext({ signal: controller.signal, onEvent });
        await solver.solve(problem, ctx).then(
          // A short solve is over before so many events.
          () => expect(events).toBeLessThan(after),
          (error: unknown) => expect(error).toMatchObject({ code: "ERR_ABORTED" }),
        );
        expect(live()).toBe(0);
      }
    }
  });
});
