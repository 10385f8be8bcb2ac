/** Stopping: before the start, and soon after the signal has fired. */
import { createRunContext, isPruneError, type RunContext, type Solver } from "@secateur/core";
import { describe, ensure, errorOf } from "./assertions.ts";
import type { Check } from "./check.ts";
import type { SolverSpec } from "./solvers/solver-suite.ts";
import { type TinySpec, tinyProblem } from "./solvers/tiny-problems.ts";

/** Calls of the curvature that may follow an abort: a round of an inner loop, not the rest of the work. */
const callsAfterAbort = 100;

/** Large enough that iterative methods take many products. */
const larger: TinySpec = { cols: 120, examples: 40, damping: 1e-3 };

/** Checks of how a solver ends when it is asked to. */
export function abortChecks({ create, refuses = [] }: SolverSpec): readonly Check[] {
  return [
    {
      name: "does not start when the run is aborted already",
      async run() {
        const signal = AbortSignal.abort();
        const solver = await create();
        await errorOf(
          () => solver.solve(tinyProblem(larger).problem, createRunContext({ signal })),
          ["ERR_ABORTED"],
          "a run aborted before its start",
        );
      },
    },
    {
      name: `ends soon after an abort: within ${callsAfterAbort} calls of the curvature, and without a result once a tick has thrown`,
      async run() {
        for (const firstOrder of refuses.includes("gradient") ? [false] : [false, true]) {
          for (const after of [1, 4, 16, 64]) await abortAfter(await create(), { ...larger, firstOrder }, after);
        }
      },
    },
  ];
}

/** Aborts at the given call of the curvature. */
async function abortAfter(solver: Solver, spec: TinySpec, after: number): Promise<void> {
  const controller = new AbortController();
  let calls = 0;
  let thrown = 0;
  const onCall = (): void => {
    if (++calls === after) controller.abort();
  };
  const { problem } = tinyProblem({ ...spec, onCall });
  const plain = createRunContext({ signal: controller.signal });
  const ctx: RunContext = {
    ...plain,
    async tick(progress) {
      if (controller.signal.aborted) thrown++;
      await plain.tick(progress);
    },
  };
  const what = `aborted at call ${after} of the curvature`;
  let hasEnded = false;
  try {
    await solver.solve(problem, ctx);
    hasEnded = true;
  } catch (error) {
    ensure(
      isPruneError(error) && error.code === "ERR_ABORTED",
      () => `${what}: ended with ${describe(error)}, expected ERR_ABORTED`,
    );
  }
  ensure(!(hasEnded && thrown > 0), () => `${what}: a tick threw ERR_ABORTED and the solver went on to a result`);
  const more = Math.max(0, calls - after);
  ensure(more <= callsAfterAbort, () => {
    return `${what}: ${more} further calls, expected at most ${callsAfterAbort}; await ctx.tick() in every outer round`;
  });
}
