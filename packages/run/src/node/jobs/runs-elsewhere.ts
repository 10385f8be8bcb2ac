/** The runs of `secateur compare` as jobs. */
import type { Job, JobEvent } from "@secateur/jobs";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import type { Session } from "../../session.ts";
import { gradientsOf } from "../compare/compared-method.ts";
import type { RunsElsewhere } from "../compare/run-compare.ts";
import { storeInputs } from "./input-files.ts";
import { jobPackages } from "./job-packages.ts";
import { pruneJob, runOfJob } from "./kinds/prune-kind.ts";
import { type JobReport, type RunningJobs, startJobs } from "./run-jobs.ts";
import { openWorkPlace, refuseContradictions, type WorkFlags, type WorkPlace } from "./work-place.ts";

/** Runs of a comparison in a work place, with what became of them. */
export interface ElsewhereRuns extends RunsElsewhere {
  report(): readonly JobReport[];
  close(): Promise<void>;
}

/** Opens the work place when the comparison is known to be in order. */
export function runsElsewhere(spec: {
  flags: WorkFlags;
  fallback: string;
  cwd: string;
  session: Session;
  curvatureOptions: Readonly<Record<string, unknown>>;
}): ElsewhereRuns {
  const { session, cwd, curvatureOptions } = spec;
  refuseContradictions(spec.flags);
  let place: WorkPlace | undefined;
  let running: RunningJobs | undefined;
  return {
    async start(setting, runs) {
      const onEvent = (event: JobEvent): void => {
        if (event.type === "note") session.onEvent(event);
      };
      place = await openWorkPlace({ ...spec, isPassing: true, onEvent });
      const inputs = await storeInputs(place.store, setting.spec, session);
      const { arch, engine, includeFrozen, normalize, task, reestimateBatchNorm, keepDense, data } = setting.spec;
      const portable = {
        ...{ ...inputs, arch, includeFrozen, normalize, task, reestimateBatchNorm, keepDense },
        // What runs the model decides its numbers.
        engine: setting.first.tfjs?.engine.name ?? engine,
        ...{ seed: session.seed, kernels: session.kernelChoice, chooses: false },
      };
      const jobs: Job[] = [];
      for (const { one, options, solver, plan, sparsity } of runs) {
        const found = [one, ...setting.sources, ...setting.first.packages];
        const { key, curvature } = await gradientsOf(setting, { solver, plan, sparsity, curvatureOptions });
        const named = key === undefined ? undefined : curvature;
        const packages = await jobPackages({ session, found, curvature: named, data, cwd });
        const settings = { setting: portable, solver: one.entry.name, options, plan, sparsity, curvatureOptions };
        jobs.push(pruneJob(settings, packages, `${one.entry.name} at ${sparsity}`));
      }
      await place.host?.remember(portable, session, setting);
      running = await startJobs({ jobs, place, session });
      return async (turn) => {
        const { result, measured } = await running!.result(jobs[turn]!);
        const { run, curvature } = runOfJob(result, measured);
        return { run, ...(curvature ? { curvature: curvature as FoundEntry } : {}) };
      };
    },
    report: () => running?.report() ?? [],
    close: async () => await place?.close(),
  };
}
