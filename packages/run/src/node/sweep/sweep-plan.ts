/** The jobs of a sweep: every method at every sparsity, with every ridge where it takes one, by every seed. */
import type { RunPlan } from "@secateur/core";
import type { Job } from "@secateur/jobs";
import { flagWithoutEffect } from "../../errors.ts";
import { needsGradients } from "../../prune/prune-network.ts";
import type { SweepPoint } from "../../sweep/sweep-document.ts";
import type { ReadySolver } from "../compare/compared-method.ts";
import type { PortableSetting } from "../jobs/job-host.ts";
import { pruneJob } from "../jobs/kinds/prune-kind.ts";

/** A job and what it is in the sweep. */
export interface SweepJob {
  readonly job: Job;
  readonly point: SweepPoint;
}

/**
 * The plan. Runs of one seed and method stand together, so that a process that runs them one after the other takes their gradients once.
 *
 * @param spec.ridges - empty: what each plan says
 * @throws ERR_USAGE for ridges where no solver takes one
 */
export function sweepPlan(spec: {
  setting: Omit<PortableSetting, "seed">;
  solvers: readonly ReadySolver[];
  sparsities: readonly number[];
  seeds: readonly number[];
  ridges: readonly (number | "auto")[];
  curvatureOptions: Readonly<Record<string, unknown>>;
  packages: (solver: ReadySolver) => Readonly<Record<string, string>>;
}): readonly SweepJob[] {
  const { setting, solvers, sparsities, seeds, ridges, curvatureOptions, packages } = spec;
  if (ridges.length > 0 && !solvers.some(({ solver }) => needsGradients(solver))) {
    throw flagWithoutEffect({ flag: "--ridges", reason: "no solver named takes gradients" });
  }
  return seeds.flatMap((seed) =>
    solvers.flatMap((ready) => {
      const takesRidge = ridges.length > 0 && needsGradients(ready.solver);
      return (takesRidge ? ridges : [undefined]).flatMap((ridge) =>
        sparsities.map((sparsity): SweepJob => {
          const { one, options } = ready;
          const plan: RunPlan = ridge === undefined ? ready.plan : { ...ready.plan, ridge };
          const solver = one.entry.name;
          const settings = { setting: { ...setting, seed }, solver, options, plan, sparsity, curvatureOptions };
          const withRidge = ridge === undefined ? "" : `, ridge ${ridge}`;
          const label = `${solver} at ${sparsity}${withRidge}${seeds.length > 1 ? `, seed ${seed}` : ""}`;
          const point = { solver, sparsity, ...(ridge === undefined ? {} : { ridge }), seed };
          return { job: pruneJob(settings, packages(ready), label), point };
        }),
      );
    }),
  );
}
