/** The layers of `secateur prune --inputs parallel`, and the traces by which layers share a budget, as jobs. */
import type { Problem, RunContext, Solution, Solver } from "@secateur/core";
import type { JobEvent } from "@secateur/jobs";
import { asksForTraces, traceLosses } from "@secateur/solvers-layerwise";
import { badUsage } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { jobPackages } from "../jobs/job-packages.ts";
import { resultOfJob } from "../jobs/result-of-job.ts";
import { openWorkPlace, type WorkFlags } from "../jobs/work-place.ts";
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
  close(): Promise<void>;
}

/** Rules that share a budget by traces, each of which stands for itself. */
const tracing: ReadonlySet<string> = new Set(["global", "loss-database", "auto", "evolution"]);

/** Only layers that do not depend on each other's new weights can be solved apart; their traces for a shared budget can be in any case. @throws ERR_USAGE */
export function assertParallelLayers(settings: Pick<PruneSettings, "layers">): void {
  if (hasLayersApart(settings)) return;
  throw badUsage(
    "--workers and --queue spread what does not wait for each other; add --inputs parallel to a layer-wise solver, or --layer-allocation global or loss-database, whose traces are spread, or --soup, whose members are, or leave them out",
  );
}

/** Whether something of the layers can be done apart. */
export function hasLayersApart({ layers }: Pick<PruneSettings, "layers">): boolean {
  return layers?.inputs === "parallel" || tracing.has(layers?.allocation ?? "");
}

/**
 * Opens the work place.
 *
 * @param spec.fallback - absolute path of the store where none is named
 * @throws ERR_STORE, ERR_QUEUE, ERR_STORE_NOT_SHARED
 */
export async function solvesApart(spec: {
  settings: Pick<PruneSettings, "solver" | "found" | "options" | "layers">;
  flags: WorkFlags;
  fallback: string;
  cwd: string;
  session: Session;
}): Promise<SolvesApart> {
  const { settings, flags, session, cwd } = spec;
  const { solver, found, options, layers } = settings;
  const onEvent = (event: JobEvent): void => {
    if (event.type === "note") session.onEvent(event);
  };
  const place = await openWorkPlace({ ...spec, isPassing: true, onEvent });
  const packages = await jobPackages({ session, found: [found], data: "npy:", cwd }).catch(async (error) => {
    await place.close();
    throw error;
  });
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
    close: () => place.close(),
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
