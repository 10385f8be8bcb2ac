/** The layers of `secateur prune --inputs parallel` as jobs. */
import type { Solver } from "@secateur/core";
import { type JobEvent, readResult, runPlan } from "@secateur/jobs";
import { badUsage } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { jobPackages } from "../jobs/job-packages.ts";
import { openWorkPlace, type WorkFlags } from "../jobs/work-place.ts";
import type { PruneSettings } from "../prune/prune-settings.ts";
import { decodeWeights, encodeProblem } from "./portable-problem.ts";
import { type SolvedLayer, solveJob } from "./solve-kind.ts";

/** Layers that are handed out at a time on a queue: H of each stays in memory until its weights are back. */
const onQueueAtOnce = 16;

/** A solver that has its problems solved somewhere. */
export interface SolvesApart {
  readonly solver: Solver;
  /** How many problems it can have under way. */
  readonly atOnce: number;
  close(): Promise<void>;
}

/** Only layers that do not depend on each other's new weights can be solved apart. @throws ERR_USAGE */
export function assertParallelLayers({ layers }: Pick<PruneSettings, "layers">): void {
  if (layers?.inputs === "parallel") return;
  throw badUsage(
    "--workers and --queue spread layers that do not wait for each other; add --inputs parallel to a layer-wise solver, or leave them out",
  );
}

/**
 * Opens the work place.
 *
 * @param spec.fallback - absolute path of the store where none is named
 * @throws ERR_STORE, ERR_QUEUE, ERR_STORE_NOT_SHARED
 */
export async function solvesApart(spec: {
  settings: Pick<PruneSettings, "solver" | "found" | "options">;
  flags: WorkFlags;
  fallback: string;
  cwd: string;
  session: Session;
}): Promise<SolvesApart> {
  const { settings, flags, session, cwd } = spec;
  const { solver, found, options } = settings;
  const onEvent = (event: JobEvent): void => {
    if (event.type === "note") session.onEvent(event);
  };
  const place = await openWorkPlace({ ...spec, onEvent });
  const packages = await jobPackages({ session, found: [found], data: "npy:", cwd });
  const { seed, kernelChoice: kernels } = session;
  const shared = { solver: found.entry.name, options, seed, kernels };
  const { store } = place;
  return {
    atOnce: flags.queue === undefined ? (flags.workers ?? 1) : onQueueAtOnce,
    close: () => place.close(),
    solver: {
      ...solver,
      async solve(problem, ctx) {
        const bytes = encodeProblem(problem);
        if (!bytes) return await solver.solve(problem, ctx);
        const job = solveJob(shared, { problem: await store.put(bytes), packages, label: problem.id });
        const executor = await place.executor([job]);
        const [outcome] = await runPlan({ jobs: [job], store, executor, signal: session.signal });
        if ("error" in outcome!) throw outcome.error;
        const result = await readResult(store, job.id, outcome!.record);
        const { weights, notes, ...rest } = result as unknown as SolvedLayer;
        for (const note of notes) ctx.report(note);
        return { ...rest, ...decodeWeights(await store.get(weights)) };
      },
    },
  };
}
