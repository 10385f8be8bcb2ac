/** `secateur sweep`: methods, sparsities, seeds and ridges as a plan of jobs, wherever they run, and one table of all. */
import { isPruneError, layoutParams, mainMeasure, type RunPlan } from "@secateur/core";
import { encodePart, type Json, jobsOfShard, type Shard } from "@secateur/jobs";
import { formatMeasure } from "@secateur/report/text";
import { notePlugin } from "../../plugins/note-plugin.ts";
import { needsGradients } from "../../prune/prune-network.ts";
import type { Session } from "../../session.ts";
import { parseGoal } from "../../sweep/goal.ts";
import { decidingArguments } from "../../sweep/prune-command.ts";
import {
  type FailedSweepRun,
  measureNames,
  type SweepDocument,
  type SweepFrame,
  type SweepPoint,
  type SweepRun,
  sweepDocument,
} from "../../sweep/sweep-document.ts";
import { type ComparedSolver, gradientsOf, type ReadySolver, readySolver } from "../compare/compared-method.ts";
import { openSetting, type SettingSpec } from "../compare/compared-setting.ts";
import { storeInputs } from "../jobs/input-files.ts";
import { jobPackages } from "../jobs/job-packages.ts";
import { runOfJob } from "../jobs/kinds/prune-kind.ts";
import { type JobReport, type RunningJobs, startJobs } from "../jobs/run-jobs.ts";
import { openWorkPlace, refuseContradictions, type WorkFlags } from "../jobs/work-place.ts";
import { asksForMatching } from "../open/any-model-settings.ts";
import { openAnyModel } from "../open/open-any-model.ts";
import { versions } from "../versions.ts";
import { sweepPlan } from "./sweep-plan.ts";

/** What to sweep over. */
export interface Sweep extends SettingSpec {
  readonly solvers: readonly ComparedSolver[];
  readonly sparsities: readonly number[];
  readonly seeds: readonly number[];
  /** Empty: what each method's plan says. */
  readonly ridges: readonly (number | "auto")[];
  /** What is fixed of every method's plan, unless its own says otherwise. */
  readonly plan: RunPlan;
  readonly curvatureOptions: Readonly<Record<string, unknown>>;
  /** MODEL and DATA as typed: the same on every machine, unlike where they lie. */
  readonly typed: { readonly model: string; readonly data: string };
  /** All arguments as typed, from "sweep" on. */
  readonly argv: readonly string[];
  /** The text of --goal. */
  readonly goal?: string | undefined;
  readonly work: WorkFlags;
  /** Absolute path of the store where the flags name none. */
  readonly storeFallback: string;
  /** Its seed counts for nothing: `seeds` says them. */
  readonly session: Session;
  /** Told of every run that is over; `value` is what runs are chosen by. */
  readonly onRun?: ((label: string, outcome: SweepProgress) => void) | undefined;
}

/** What became of a run, and how many are over. */
export type SweepProgress = { readonly done: number; readonly total: number } & (
  | { readonly value: string }
  | { readonly error: string }
);

/** A sweep's results, and what ran where, which is no part of them. */
export interface FinishedSweep {
  readonly document: SweepDocument;
  readonly work: readonly JobReport[];
}

/** A part of a sweep as the bytes of its file. */
export interface SweepPart {
  readonly part: Uint8Array;
  readonly shard: Shard;
  readonly runs: number;
  readonly total: number;
  readonly work: readonly JobReport[];
}

/**
 * Runs a sweep, or a part of one. What is finished in the store is not done again. A run that fails costs no other its result.
 *
 * @throws whatever is wrong with the input; the first error where no run was finished, or where one of a part failed
 */
export async function runSweep(spec: Sweep): Promise<FinishedSweep | SweepPart> {
  const { path, data, cwd, curvatureOptions, goal, seeds } = spec;
  refuseContradictions(spec.work);
  const session = { ...spec.session, seed: seeds[0]! };
  const { onEvent } = session;
  const found = spec.solvers.map((one) => one.found);
  for (const one of found) notePlugin(one, session);
  const solvers = await Promise.all(spec.solvers.map((one) => readySolver(one, spec.plan)));
  const { arch, engine, includeFrozen } = spec;
  const corrects = asksForMatching(spec.reestimateBatchNorm);
  const first = await openAnyModel({ path, arch, engine, includeFrozen, corrects, cwd, onEvent });
  const setting = await openSetting({ ...spec, first, heldOut: "auto" }, session);
  const { dense, keptDense, params } = setting;
  if (goal !== undefined) parseGoal(goal, measureNames(dense));
  const place = await openWorkPlace({
    ...{ flags: spec.work, fallback: spec.storeFallback, cwd, session },
    onEvent: (event) => event.type === "note" && onEvent(event),
  });
  try {
    const inputs = await storeInputs(place.store, spec, spec.session);
    const { normalize, task, reestimateBatchNorm, keepDense } = spec;
    const common = {
      ...{ ...inputs, arch, includeFrozen, normalize, task, reestimateBatchNorm, keepDense },
      // What runs the model decides its numbers.
      engine: first.tfjs?.engine.name ?? engine,
      ...{ kernels: session.kernelChoice, chooses: true },
    };
    const packages = new Map<ReadySolver, Readonly<Record<string, string>>>();
    for (const one of solvers) {
      const [sparsity = 0] = spec.sparsities;
      const { key, curvature } = await gradientsOf(setting, { ...one, sparsity, curvatureOptions });
      const sources = [one.one, ...setting.sources, ...first.packages];
      const needed = { session, data, cwd, found: sources, curvature: key === undefined ? undefined : curvature };
      packages.set(one, await jobPackages(needed));
    }
    const plan = sweepPlan({
      ...{ setting: common, solvers, sparsities: spec.sparsities, seeds, ridges: spec.ridges, curvatureOptions },
      packages: (one) => packages.get(one)!,
    });
    await place.host?.remember({ ...common, seed: session.seed }, session, setting);
    const all = plan.map(({ job }) => job);
    const own = place.shard ? jobsOfShard(all, place.shard) : all;
    const jobs = await startJobs({ jobs: own, place, session });
    const frame: SweepFrame = {
      ...{ ...spec.typed, modelSha256: first.sha256, arch: first.arch, dense, measuredOn: setting.measuredOn },
      ...(setting.isRemeasured ? { remeasured: true as const } : {}),
      ...{ command: decidingArguments(spec.argv), seeds },
      takesGradients: solvers.filter(({ solver }) => needsGradients(solver)).map(({ one }) => one.entry.name),
      prunable: layoutParams(first.network, params).reduce((sum, { size }) => sum + size, 0),
      ...(keptDense.length === 0 ? {} : { keptDense }),
      ...(goal === undefined ? {} : { goal }),
      ...{ backend: session.kernels.name, versions: versions([...found, ...setting.sources, ...first.packages]) },
    };
    const { runs, failed, isInterrupted, firstError } = await collect(
      plan.filter(({ job }) => own.includes(job)),
      { ...jobs, onRun: spec.onRun },
    );
    if (place.shard) {
      if (firstError !== undefined) throw firstError;
      const request = { command: "sweep", frame, points: plan.map(({ job, point }) => ({ ...point, id: job.id })) };
      const part = await encodePart({
        ...{ store: place.store, jobs: all, own, shard: place.shard },
        request: request as unknown as Json,
      });
      return { part, shard: place.shard, runs: own.length, total: all.length, work: jobs.report() };
    }
    if (runs.length === 0) throw firstError;
    return { document: sweepDocument({ frame, runs, failed, isInterrupted }), work: jobs.report() };
  } finally {
    await place.close();
    first.close();
  }
}

type Collected = {
  runs: SweepRun[];
  failed: FailedSweepRun[];
  isInterrupted: boolean;
  firstError: unknown;
};

async function collect(
  plan: ReturnType<typeof sweepPlan>,
  from: Pick<RunningJobs, "result"> & Pick<Sweep, "onRun">,
): Promise<Collected> {
  const found: Collected = { runs: [], failed: [], isInterrupted: false, firstError: undefined };
  for (const [place, { job, point }] of plan.entries()) {
    const at = { done: place + 1, total: plan.length };
    try {
      const { result, measured } = await from.result(job);
      const run = sweepRun(point, result, measured);
      found.runs.push(run);
      from.onRun?.(job.label, { ...at, value: chosenBy(run) });
    } catch (error) {
      if (!isPruneError(error)) throw error;
      found.firstError ??= error;
      if (error.code === "ERR_ABORTED") found.isInterrupted = true;
      else {
        found.failed.push({ ...point, code: error.code, message: error.message });
        from.onRun?.(job.label, { ...at, error: error.message });
      }
    }
  }
  return found;
}

function chosenBy({ choice }: SweepRun): string {
  return formatMeasure(mainMeasure(choice));
}

/** A run of a sweep from what its job gave. */
export function sweepRun(point: SweepPoint, result: Json, measured: Json): SweepRun {
  const { run, choice, packed } = runOfJob(result, measured);
  return {
    ...{ ...point, options: run.options, choice: choice!, pruned: run.pruned },
    ...{ nonzeros: run.result.nonzeros, objective: run.result.objective },
    ...(packed ? { bytes: packed.bytes, milliseconds: packed.milliseconds } : {}),
  };
}
