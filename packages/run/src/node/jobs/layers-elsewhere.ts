/** The layers of `secateur sensitivity` as jobs. */
import { type Evaluation, keptCount } from "@secateur/core";
import type { Job, JobEvent } from "@secateur/jobs";
import type { ScanElsewhere, SensitivitySpec } from "../sensitivity/run-sensitivity.ts";
import { storeInputs } from "./input-files.ts";
import { jobPackages } from "./job-packages.ts";
import { keepScan, layerJob, type PortableScan } from "./kinds/layer-kind.ts";
import { startJobs } from "./run-jobs.ts";
import { openWorkPlace, refuseContradictions, type WorkFlags, type WorkPlace } from "./work-place.ts";

/** Opens the work place once the scan is known to be in order, and hands all layers out. */
export function layersElsewhere(
  spec: Omit<SensitivitySpec, "elsewhere"> & { flags: WorkFlags; fallback: string },
): ScanElsewhere {
  const { flags, fallback, session, cwd } = spec;
  refuseContradictions(flags);
  let place: WorkPlace | undefined;
  return {
    async open(start) {
      const onEvent = (event: JobEvent): void => {
        if (event.type === "note") session.onEvent(event);
      };
      place = await openWorkPlace({ flags, fallback, isPassing: true, cwd, session, onEvent });
      const work = place;
      const inputs = await storeInputs(work.store, { ...spec, preprocess: spec.preprocess }, session);
      const { arch, normalize, task, reestimateBatchNorm, solver, sparsity, sparsities, examples, heldOut, ridge } =
        spec;
      const portable: PortableScan = {
        ...{ ...inputs, arch, normalize, task, reestimateBatchNorm },
        ...{ solver, sparsity, sparsities, examples, heldOut, ridge },
        // Decides what is proposed, and no measurement.
        tolerance: undefined,
        // What runs the model decides its numbers.
        engine: start.opened.tfjs?.engine.name,
        ...{ seed: session.seed, kernels: session.kernelChoice },
      };
      const packages = await jobPackages({
        session,
        found: [start.found, ...start.opened.packages],
        data: spec.data,
        cwd,
      });
      if (work.host) await keepScan(work.host, { portable, session }, async () => ({ ...start, close: () => {} }));
      const jobOf = (names: readonly string[], keep: number): Job =>
        layerJob({ scan: portable, names, keep }, packages);
      const planned = start.params.flatMap(({ name, size }) =>
        start.sparsities.flatMap((one) => {
          const keep = keptCount(size, one);
          return keep === 0 ? [] : [jobOf([name], keep)];
        }),
      );
      const running = await startJobs({ jobs: planned, place: work, session });
      const ids = new Set(planned.map(({ id }) => id));
      return async (names, keep) => {
        const job = jobOf(names, keep);
        // What is tried at the end depends on what the layers gave.
        const from = ids.has(job.id) ? running : await startJobs({ jobs: [job], place: work, session });
        return (await from.result(job)).result as unknown as Evaluation;
      };
    },
    close: async () => await place?.close(),
  };
}
