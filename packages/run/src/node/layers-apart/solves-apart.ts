/** The layers of `secateur prune --inputs parallel`, and the traces by which layers share a budget, as jobs. */
import type { Problem, RunContext, Solution, Solver } from "@secateur/core";
import { asksForTraces, traceLosses } from "@secateur/solvers-layerwise";
import { badUsage } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { jobPackages } from "../jobs/job-packages.ts";
import { resultOfJob } from "../jobs/result-of-job.ts";
import type { WorkFlags, WorkPlace } from "../jobs/work-place.ts";
import type { PruneSettings } from "../prune/prune-settings.ts";
import { decodeWeights, encodeProblem } from "./portable-problem.ts";
import { type SolvedLayer, solveJob } from "./solve-kind.ts";
import { type TracedLayer, traceJob, tracesOf } from "./trace-kind.ts";

/** Layers that are handed out at a time on a queue: H of each stays in memory until its weights are back. */
const onQueueAtOnce = 16;

/** What solves and traces layers somewhere. */
export interface SolvesApart {
  readonly solver: Solver;
  readonly traces: typeof traceLosses;
  /** How many problems it can have under way. */
  readonly atOnce: number;
}

/** Rules that share a budget by traces, each of which stands for itself. */
const tracing: ReadonlySet<string> = new Set(["global", "loss-database", "auto", "evolution"]);

/** Curvatures that are made of other things than gradient rows. */
export const withoutRows: ReadonlySet<string> = new Set(["gauss-newton", "kronecker-gauss-newton"]);

/** Only layers that do not depend on each other's new weights can be solved apart; their traces for a shared budget can be in any case. @throws ERR_USAGE */
export function assertParallelLayers(settings: Pick<PruneSettings, "layers">): void {
  if (settings.layers && !hasLayersApart(settings)) throw nothingApart();
}

/** @param why - what takes no gradient rows that jobs could take, where that is why */
export function nothingApart(why?: string): Error {
  const found = why === undefined ? "" : ` (${why} takes no gradient rows that jobs can take)`;
  return badUsage(
    `--workers and --queue spread what does not wait for each other, and this run has nothing of that${found}; add --inputs parallel to a layer-wise solver, or --layer-allocation global or loss-database, whose traces are spread, or --curvature empirical-fisher over the whole network, whose gradient rows are, or --soup, whose members are, or leave them out`,
  );
}

/** Whether something of the layers can be done apart. */
export function hasLayersApart({ layers }: Pick<PruneSettings, "layers">): boolean {
  return layers?.inputs === "parallel" || tracing.has(layers?.allocation ?? "");
}

/** Has layers solved and traced in a work place. */
export async function solvesApart(spec: {
  settings: Pick<PruneSettings, "solver" | "found" | "options" | "layers">;
  flags: WorkFlags;
  place: WorkPlace;
  cwd: string;
  session: Session;
}): Promise<SolvesApart> {
  const { settings, flags, place, session, cwd } = spec;
  const { solver, found, options, layers } = settings;
  const packages = await jobPackages({ session, found: [found], data: "npy:", cwd });
  const { seed, kernelChoice: kernels } = session;
  const { store } = place;
  const solve = async (problem: Problem, ctx: RunContext): Promise<Solution> => {
    const bytes = encodeProblem(problem);
    if (!bytes) return await solver.solve(problem, ctx);
    const shared = { solver: found.entry.name, options, seed, kernels };
    const job = solveJob(shared, { problem: await store.put(bytes), packages, label: problem.id });
    const { weights, notes: _, ...rest } = await resultOfJob<SolvedLayer>(job, place, ctx);
    return { ...rest, ...decodeWeights(await store.get(weights)) };
  };
  return {
    atOnce: flags.queue === undefined ? (flags.workers ?? 1) : onQueueAtOnce,
    // One layer after the other is solved where its inputs are.
    solver: layers?.inputs === "parallel" ? { ...solver, solve } : solver,
    async traces(problem, asked, ctx) {
      const { rules, eligible, mostWork } = asked;
      const bytes = asksForTraces(rules) && mostWork === undefined ? encodeProblem(problem) : undefined;
      if (!bytes) return await traceLosses(problem, asked, ctx);
      const inputs = {
        problem: await store.put(bytes),
        eligible: eligible === undefined ? undefined : await store.put(eligible),
      };
      const job = traceJob({ rules, seed, kernels }, { ...inputs, packages, label: problem.id });
      return await tracesOf(await resultOfJob<TracedLayer>(job, place, ctx), store);
    },
  };
}
