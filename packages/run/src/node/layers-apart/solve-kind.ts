/** The job that solves the problem of one layer: what layer-wise pruning with parallel inputs is made of. */
import { createRunContext, type Solution } from "@secateur/core";
import { type Hash, type Job, type JobContent, type JobKind, type Json, makeJob } from "@secateur/jobs";
import type { KernelChoice } from "../../session.ts";
import { readySolver } from "../compare/compared-method.ts";
import type { JobHost } from "../jobs/job-host.ts";
import { checkJob } from "../jobs/kinds/check-job.ts";
import { checkNames } from "../jobs/kinds/check-names.ts";
import { findSolver } from "../plugins/find-solver.ts";
import { holdJobNotes, type JobNote } from "./job-notes.ts";
import { decodeProblem, encodeWeights } from "./portable-problem.ts";

/** The name of the kind. */
export const solveKindName = "solve";

/** How a layer is solved. */
export interface SolveLayerSettings {
  readonly solver: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly kernels: KernelChoice;
}

/** What it gives; `weights` is the hash of weights and mask. */
export interface SolvedLayer extends Omit<Solution, "w" | "mask"> {
  readonly weights: Hash;
  readonly notes: readonly JobNote[];
}

/** The kind. */
export function solveKind(host: JobHost): JobKind {
  return async (content, { store, signal, onEvent }) => {
    checkJob(content, {
      what: "a job that solves a layer",
      settings: { solver: "text", options: "object", seed: "whole", kernels: "kernels" },
      inputs: ["problem"],
    });
    const settings = content.settings as unknown as SolveLayerSettings;
    const { solver: name, options, seed } = settings;
    await checkNames({ what: "a job that solves a layer", methods: [name] }, host.cwd);
    const { notes, hear } = holdJobNotes(onEvent);
    const { kernels } = await host.session(settings, { signal, onEvent: hear });
    const { solver } = await readySolver({ found: await findSolver(name, host.cwd), options, plan: {} }, {});
    const problem = decodeProblem(await store.get(content.inputs["problem"]!), kernels);
    const ctx = createRunContext({ seed, kernels, signal, onEvent: hear });
    const { w, mask, ...rest } = await solver.solve(problem, ctx);
    const solved: SolvedLayer = { ...rest, weights: await store.put(encodeWeights({ w, mask })), notes };
    return { result: solved as unknown as Json };
  };
}

/** A job of this kind. @param spec.problem - hash of the problem's bytes */
export function solveJob(
  settings: SolveLayerSettings,
  { problem, packages, label }: { problem: Hash; packages: JobContent["packages"]; label: string },
): Job {
  const content = {
    kind: solveKindName,
    settings: settings as unknown as Json,
    inputs: { problem },
    after: [],
    packages,
  };
  return makeJob(content, label);
}
