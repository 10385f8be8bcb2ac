import { createRunContext, identityCurvature, matrix, type Problem, parseOptions, type Solver } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { chita } from "./chita.ts";
import plugin from "./plugin.ts";
import { problemFrom, randomProblem } from "./problem.test-support.ts";
import { chitaBlock, chitaBso, chitaCd, chitaIht } from "./published/named-solvers.ts";

const ctx = createRunContext();
const solvers: Readonly<Record<string, Solver>> = {
  chita: chita(),
  "chita.iht": chitaIht(),
  "chita.cd": chitaCd(),
  "chita.bso": chitaBso(),
  "chita.block": chitaBlock({ blockSize: 4 }),
};
const problem = randomProblem({ n: 5, p: 8, keep: 3, firstOrder: true });

describe("options out of range are refused where they enter", () => {
  test.each([
    ["maxRows", () => chita({ maxRows: 0 })],
    ["iterations", () => chita({ iterations: 1.5 })],
    ["pool", () => chita({ pool: -1 })],
    ["rounds", () => chita({ rounds: Number.NaN })],
    ["maxIterations", () => chitaIht({ maxIterations: 0 })],
    ["tolerance", () => chitaIht({ tolerance: -1 })],
    ["maxSweeps", () => chitaCd({ maxSweeps: -1 })],
    ["tolerance", () => chitaCd({ tolerance: Number.POSITIVE_INFINITY })],
    ["blockSize", () => chitaBlock({ blockSize: 0 })],
  ])("%s", (name, create) => {
    expect(create).toThrow(expect.objectContaining({ code: "ERR_OPTION", fault: "input" }));
    expect(create).toThrow(new RegExp(`option '${name}' is .*; give`));
  });
});

describe.each(Object.entries(solvers))("%s refuses", (_name, solver) => {
  const refused = (wrong: Partial<Problem>): Promise<unknown> => solver.solve({ ...problem, ...wrong }, ctx);

  test("a curvature without gradient rows", async () => {
    await expect(refused({ curvature: identityCurvature(8) })).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
  });

  test("rows that the curvature does not fit", async () => {
    await expect(refused({ w: matrix(2, 4, problem.w.data) })).rejects.toMatchObject({ code: "ERR_SHAPE" });
  });

  test("weights, curvature and gradient of different sizes", async () => {
    const long = matrix(1, 9, new Float64Array(9));
    await expect(refused({ gradient: long })).rejects.toMatchObject({ code: "ERR_SHAPE" });
    await expect(refused({ curvature: randomProblem({ n: 5, p: 9, keep: 3 }).curvature })).rejects.toMatchObject({
      code: "ERR_SHAPE",
    });
  });

  test("numbers whose squares overflow", async () => {
    const rows = matrix(
      5,
      8,
      new Float64Array(40).map((_, i) => 1e200 * ((i % 7) - 3)),
    );
    const large = problemFrom({ rows, w: problem.w, keep: 3, ridge: 0.1 });
    await expect(solver.solve(large, ctx)).rejects.toMatchObject({ code: "ERR_OVERFLOW", fault: "runtime" });
  });
});

describe.each(Object.entries(solvers))("%s on weights as small as 1e-30, some of them 0", (_name, solver) => {
  test.each([1, 4])("keeps the larger ones where all rows are 0, of %i that it may keep", async (keep) => {
    const w = matrix(1, 8, Float32Array.of(0, 3e-30, 0, 1e-30, -2e-30, 0, 0, 0));
    const flat = problemFrom({ rows: matrix(5, 8, new Float32Array(40)), w, keep, ridge: 1 });
    const { mask, w: kept } = await solver.solve(flat, ctx);
    const largest = [1, 4, 3].slice(0, keep);
    expect(largest.map((j) => mask[j])).toEqual(largest.map(() => 1));
    expect([...kept.data].flatMap((value, j) => (value !== 0 && mask[j] === 0 ? [j] : []))).toEqual([]);
  });
});

const solverEntries = plugin.entries.flatMap((entry) => (entry.kind === "solver" ? [entry] : []));

describe("the plugin's manifest", () => {
  test("lists every solver once, each with a summary, a reference and an explanation", () => {
    expect(solverEntries.map(({ name }) => name)).toEqual(Object.keys(solvers));
    for (const { summary, reference, explanation } of solverEntries) {
      for (const text of [summary, reference, explanation]) expect(text!.length).toBeGreaterThan(10);
    }
  });

  test.each(solverEntries)("$name solves with its default options as its factory does without any", async (entry) => {
    const options = await parseOptions(entry.name, entry.options, {});
    const byManifest = await entry.create(options as never).solve(problem, ctx);
    const byFactory = await { ...solvers, "chita.block": chitaBlock() }[entry.name]!.solve(problem, ctx);
    expect(byManifest).toEqual(byFactory);
  });

  test.each([
    ["chita", { pool: -1 }, "pool"],
    ["chita", { rounds: "many" }, "rounds"],
    ["chita", { ridge: 1 }, "ridge"],
    ["chita.iht", { maxIterations: 0 }, "maxIterations"],
    ["chita.cd", { residual: "wrong" }, "residual"],
    ["chita.bso", { form: "lu" }, "form"],
    ["chita.block", { blockSize: 0 }, "blockSize"],
  ])("%s refuses %j, naming it and the options there are", async (name, options, option) => {
    const entry = plugin.entries.find((candidate) => candidate.name === name)!;
    await expect(parseOptions(name, entry.options as never, options)).rejects.toMatchObject({ code: "ERR_OPTION" });
    await expect(parseOptions(name, entry.options as never, options)).rejects.toThrow(
      new RegExp(`${option}.*known options: `, "s"),
    );
  });
});
