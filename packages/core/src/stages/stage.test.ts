import { describe, expect, test } from "vitest";
import type { Phase } from "../plugin/schedule.ts";
import type { Solver } from "../problem/strategy.ts";
import { makeStages } from "./stage.ts";

const situation = { sparsity: 0.9, prunable: 1000, examples: 5000, initialSparsity: 0 };
const asked: object[] = [];
const rows = { examples: 100, targetExamples: 50 };
const solver: Solver = {
  needs: { curvature: ["diagonal"] },
  solve: async () => Promise.reject(new Error("only its plan is asked")),
  plan: (given) => {
    asked.push(given);
    return { stages: 2, targetStages: 2, schedule: "linear", from: given.initialSparsity, growth: 0.2, ...rows };
  },
};
const phase = (sparsity: number, epochs = 1): Phase => ({ sparsity, epochs, rates: () => [] });

describe("the stages of a run", () => {
  test("of one target are those of the solver's plan, with what it tries again falling to nothing", () => {
    const { stages, plan } = makeStages({ solver, situation, takesGradients: true });
    expect(stages.map(({ sparsity, regrowFraction }) => [sparsity, regrowFraction])).toEqual([
      [0, 0],
      [0.9, 0],
      [0.9, 0.2],
      [0.9, 0.1],
    ]);
    expect(stages.every(({ prunes, train }) => prunes && !train)).toBe(true);
    expect(stages.map(({ curvature }) => curvature?.rows)).toEqual([100, 100, 50, 50]);
    expect(plan.stages).toBe(2);
    expect(makeStages({ solver, situation, takesGradients: false }).stages[0]!.curvature).toBeUndefined();
  });

  test("are as many as were asked for, also where the solver advises another number, and the reason says so", () => {
    const one: Solver = { ...solver, plan: () => ({ stages: 1, reason: "one stage, as published" }) };
    const run = (overrides: object) => makeStages({ solver: one, situation, takesGradients: true, overrides });
    expect(run({}).plan.reason).toBe("one stage, as published");
    const { stages, plan } = run({ stages: 4, schedule: "poly" });
    expect(stages).toHaveLength(4);
    expect(plan).toMatchObject({ stages: 4, targetStages: 0, schedule: "poly", reason: "4 stages, as asked" });
    // A solver that answers with as many splits them as it sees fit.
    expect(makeStages({ solver, situation, takesGradients: true, overrides: { stages: 4 } }).plan).toMatchObject({
      ...{ stages: 2, targetStages: 2 },
    });
  });

  test("that start above the target are refused, unless the network is there already", () => {
    const run = (from: number, initialSparsity = 0) =>
      makeStages({
        solver,
        situation: { ...situation, initialSparsity },
        takesGradients: true,
        overrides: { from, stages: 1 },
      });
    expect(() => run(0.95)).toThrow(/would start at sparsity 0.95 and end at 0.9/);
    expect(() => run(0.95, 0.95)).not.toThrow();
  });

  test("of phases follow one another, each planned from the sparsity before, and a training ends each", () => {
    asked.length = 0;
    const phases = [phase(0, 3), phase(0.5), { ...phase(0.9), keepsMomentum: true }];
    const { stages } = makeStages({ solver, situation, takesGradients: true, phases });
    // The first phase is the dense training of BIMP: nothing is pruned.
    expect(stages.map(({ prunes }) => prunes)).toEqual([false, ...new Array(8).fill(true)]);
    expect(stages.flatMap(({ train }, index) => (train ? [[index, train.epochs, train.keepsMomentum]] : []))).toEqual([
      [0, 3, false],
      [4, 1, false],
      [8, 1, true],
    ]);
    expect(asked.slice(-2)).toMatchObject([
      { sparsity: 0.5, initialSparsity: 0 },
      { sparsity: 0.9, initialSparsity: 0.5 },
    ]);
    const rising = stages.map(({ sparsity }) => sparsity);
    expect(rising).toEqual([...rising].sort((a, b) => a - b));
  });

  test("never ask for less than what is gone already, and of a network of zeros there are none", () => {
    const { stages } = makeStages({ solver, situation, takesGradients: true, reached: 0.6 });
    expect(stages.map(({ sparsity }) => sparsity)).toEqual([0.6, 0.9, 0.9, 0.9]);
    expect(makeStages({ solver, situation, takesGradients: true, reached: 1 }).stages).toEqual([]);
  });

  test("over layers follow no plan that was made for the whole network", () => {
    const scope = { kind: "layers", inputs: "sequential" } as const;
    const { stages } = makeStages({ solver, situation, takesGradients: false, scope });
    expect(stages).toMatchObject([{ sparsity: 0.9, scope }]);
  });

  test("that go back are refused before anything runs", () => {
    const back = () => makeStages({ solver, situation, takesGradients: true, phases: [phase(0.5), phase(0.4)] });
    expect(back).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: expect.stringMatching(/goes down from 0.5 to 0.4/) }),
    );
    expect(() => makeStages({ solver, situation, takesGradients: true, phases: [phase(1)] })).toThrow(/stage 1/);
  });
});
