import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { referenceKernels } from "@secateur/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ComparedRun } from "../../compare/compare-document.ts";
import type { Session } from "../../session.ts";
import { comparisonIdentity } from "../compare/comparison-identity.ts";
import { openComparison } from "./comparison-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "comparison-"));
});
afterAll(async () => await rm(folder, { recursive: true }));

const session = { onEvent: () => {} } as unknown as Session;
const runOf = (solver: string): ComparedRun =>
  ({ solver, sparsity: 0.5, dense: {}, pruned: {}, result: { stages: [], timing: {} } }) as unknown as ComparedRun;
const open = (packages: Record<string, Record<string, string>>, resume = true) =>
  openComparison({
    ...{ path: join(folder, "net.compare.resume.json"), comparison: "{}", resume, session },
    methods: new Map(Object.entries(packages).map(([name, own]) => [name, { packages: own, options: {}, plan: {} }])),
  });

test("methods of other packages may join a comparison that goes on, other versions of its methods may not", async () => {
  const [one, other] = [{ "solvers-a": "1.0.0" }, { "solvers-b": "2.0.0" }];
  await (await open({ a: one }, false)).keep(runOf("a"));
  const joined = await open({ a: one, b: other });
  expect(joined.finished).toEqual([runOf("a")]);
  await joined.keep(runOf("b"));
  expect((await open({ a: one, b: other })).finished).toEqual([runOf("a"), runOf("b")]);
  // A method that is not compared now is not looked at, and stays.
  expect((await open({ b: other })).finished).toHaveLength(2);
  await expect(open({ a: { "solvers-a": "1.0.1" } })).rejects.toMatchObject({
    code: "ERR_RESUME",
    message: expect.stringMatching(/runs of a are of other packages or settings.*1\.0\.0.*1\.0\.1/),
  });
});

test("runs with other weights left alone are of another comparison", () => {
  const spec = {
    ...{ path: "net", data: "data", solvers: [], sparsities: [], keepDense: [], plan: {}, cwd: "." },
    session: { seed: 1, kernels: referenceKernels },
  };
  const model = { sha256: "0", arch: "mlp", packages: [] };
  const identity = comparisonIdentity(spec, model);
  expect(comparisonIdentity({ ...spec, includeFrozen: true }, model)).not.toBe(identity);
  expect(comparisonIdentity({ ...spec, sparsities: [0.5] }, model)).toBe(identity);
});
