import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createRng,
  createRunContext,
  keepCount,
  keepOfEvery,
  referenceKernels as kernels,
  matrix,
  type Problem,
  weightUnits,
  withoutRegrowth,
} from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";
import { inProcess, openStore, readResult, runPlan } from "@secateur/jobs";
import { alps, traceLosses } from "@secateur/solvers-layerwise";
import { expect, onTestFinished, test } from "vitest";
import { jobHost } from "../jobs/job-host.ts";
import { decodeProblem, decodeWeights, encodeProblem } from "./portable-problem.ts";
import { type SolvedLayer, solveJob, solveKind } from "./solve-kind.ts";

/** A layer of 4 rows of 8 weights; with a slope, means, weights that may not come back, a pattern. */
function layer(kind: "plain" | "all" | "pattern"): Problem {
  const rng = createRng(kind);
  const [rows, cols] = [4, 8];
  const numbers = (length: number): Float64Array => Float64Array.from({ length }, () => rng.normal());
  const H = matrix(cols, cols, new Float64Array(cols * cols));
  kernels.gram({ a: matrix(20, cols, numbers(20 * cols)), transpose: true, out: H });
  const w = matrix(rows, cols, Float32Array.from(numbers(rows * cols)));
  const eligible = Uint8Array.from({ length: rows * cols }, (_, i) => (i % 5 === 0 ? 0 : 1));
  const count = rows * cols;
  const budget =
    kind === "pattern" ? keepOfEvery({ count, cols, keep: 2, of: 4 }) : keepCount({ count, keep: 12, kernels });
  return {
    ...{ id: `layer ${kind}`, w, units: weightUnits(count) },
    curvature: gramCurvature(H, { kernels, ...(kind === "all" ? { means: numbers(cols) } : {}) }),
    ...(kind === "all" ? { gradient: matrix(rows, cols, numbers(count)) } : {}),
    constraint: kind === "plain" ? budget : withoutRegrowth(budget, eligible),
  };
}

test("a layer's problem is the same again, and so are its bytes", () => {
  for (const kind of ["plain", "all", "pattern"] as const) {
    const problem = layer(kind);
    const bytes = encodeProblem(problem)!;
    const again = decodeProblem(bytes, kernels);
    expect(encodeProblem(again)).toEqual(bytes);
    expect(again.w).toEqual(problem.w);
    expect(again.curvature.gram!()).toEqual(problem.curvature.gram!());
    const score = Float64Array.from(problem.w.data, Math.abs);
    expect(again.constraint.select(score)).toEqual(problem.constraint.select(score));
  }
});

test("a layer without H, or of other units than weights, is not sent away", () => {
  const { gram: _, ...products } = layer("plain").curvature;
  expect(encodeProblem({ ...layer("plain"), curvature: products })).toBeUndefined();
  const units = { ...weightUnits(32), perWeight: false };
  expect(encodeProblem({ ...layer("plain"), units })).toBeUndefined();
});

test("a mask that comes from a store is read and left as it is, also where some rows stand for all", async () => {
  const folder = await mkdtemp(join(tmpdir(), "secateur-apart-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = await openStore(join(folder, "store"));
  const mask = Uint8Array.from({ length: 32 }, (_, i) => (i % 3 === 0 || i < 8 ? 1 : 0));
  const stored = await store.get(await store.put(mask));
  const ctx = createRunContext({ kernels });
  const asked = { rules: ["loss-database"], mostWork: 1 } as const;
  const traced = await traceLosses(layer("plain"), { ...asked, eligible: mask.slice() }, ctx);
  expect(await traceLosses(layer("plain"), { ...asked, eligible: stored }, ctx)).toEqual(traced);
  expect([...stored]).toEqual([...mask]);
  expect(traced.levels!.kept[0]).toBe(mask.filter(Boolean).length);
});

test("the job gives the bytes of the solver in this process, and what it noted", async () => {
  const folder = await mkdtemp(join(tmpdir(), "secateur-apart-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = await openStore(join(folder, "store"));
  const problem = layer("all");
  const settings = { solver: "alps", options: {}, seed: 0, kernels: "reference" } as const;
  const hash = await store.put(encodeProblem(problem)!);
  const job = solveJob(settings, { problem: hash, packages: {}, label: problem.id });
  const kinds = { solve: solveKind(jobHost({ cwd: "." })) };
  const { signal } = new AbortController();
  const [outcome] = await runPlan({ jobs: [job], store, executor: inProcess({ store, kinds }), signal });
  if (!("record" in outcome!)) throw outcome!.error;
  const solved = (await readResult(store, job.id, outcome.record)) as unknown as SolvedLayer;
  const notes: unknown[] = [];
  const ctx = createRunContext({ kernels, onEvent: (event) => event.type === "note" && notes.push(event) });
  const { w, mask, ...rest } = await alps().solve(problem, ctx);
  expect(decodeWeights(await store.get(solved.weights))).toEqual({ w, mask });
  expect(solved).toMatchObject({ objective: rest.objective, status: rest.status, stats: rest.stats, notes });
});
