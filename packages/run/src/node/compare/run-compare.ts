/** A comparison: every method at every sparsity, each from the checkpoint as it is. */
import { existsSync } from "node:fs";
import { createRunContext, isPruneError, type RunEvent, type RunPlan } from "@secateur/core";
import { checkOutput, readFileBytes } from "@secateur/formats";
import {
  type CompareDocument,
  type ComparedRun,
  compareDocument,
  type FailedRun,
} from "../../compare/compare-document.ts";
import { gradientKey, shareGradients, sharingOrder } from "../../compare/shared-gradients.ts";
import { flagWithoutEffect, keepsAll } from "../../errors.ts";
import type { FoundEntry, SolverEntry } from "../../plugins/found-entry.ts";
import { notePlugin } from "../../plugins/note-plugin.ts";
import { kebab } from "../../plugins/option-schema.ts";
import { resolveOptions } from "../../plugins/resolve-options.ts";
import { noteUnread } from "../../plugins/unread-options.ts";
import type { ReestimateTime } from "../../prune/augmentation.ts";
import { poseTask } from "../../prune/pose-task.ts";
import { needsGradients, plannedRun, pruneNetwork } from "../../prune/prune-network.ts";
import { gradientPlanKeys } from "../../recipe/plan-keys.ts";
import type { Session } from "../../session.ts";
import { peakMemoryBytes } from "../memory.ts";
import { followingBiases } from "../norm/bias-matching.ts";
import {
  asksForMatching,
  batchNormOfModel,
  chosenDense,
  noteCorrected,
  remeasuringModel,
} from "../open/any-model-settings.ts";
import type { EngineChoice } from "../open/load-tensorflow.ts";
import { openAnyModel } from "../open/open-any-model.ts";
import { openData } from "../open/open-data.ts";
import { findCurvature } from "../plugins/find-entry.ts";
import { findTask } from "../plugins/find-task.ts";
import { layerScope } from "../prune/layer-scope.ts";
import { openComparison } from "../state/comparison-file.ts";
import { type FinishedRun, finishedRun, requestHash } from "../state/finished-run.ts";
import { packageVersions, versions } from "../versions.ts";
import { comparisonIdentity } from "./comparison-identity.ts";

/** One of the methods that are compared. */
export interface ComparedSolver {
  readonly found: FoundEntry<SolverEntry>;
  /** By name; those left out have their defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly plan: RunPlan;
}

/** What to compare. */
export interface Comparison {
  /** Absolute path of the model. */
  readonly path: string;
  readonly arch?: string | undefined;
  /** Of a TensorFlow.js model. */
  readonly engine?: EngineChoice | undefined;
  /** Whether weights of a TensorFlow.js model's frozen layers are pruned too. */
  readonly includeFrozen?: boolean | undefined;
  /** The DATA argument with absolute paths. */
  readonly data: string;
  readonly normalize?: string | undefined;
  /** The text of --preprocess. */
  readonly preprocess?: string | undefined;
  /** NAME or NAME:KEY=VALUE,...; default: told from the model and the data. */
  readonly task?: string | undefined;
  /** When statistics of batch normalisation are measured anew; default: where the network has any, before and after. */
  readonly reestimateBatchNorm?: ReestimateTime | undefined;
  /** At least one, each with the options and the settings of its plan that are its own. */
  readonly solvers: readonly ComparedSolver[];
  readonly sparsities: readonly number[];
  /** Weights that are left alone: "first", "last", or names. */
  readonly keepDense: readonly string[];
  /** What is fixed of every method's plan, unless its own says otherwise. */
  readonly plan: RunPlan;
  /** Of the model of the loss that every plan takes; default: its own defaults. */
  readonly curvatureOptions?: Readonly<Record<string, unknown>>;
  /** The folder from which plugins and TensorFlow.js are looked for. */
  readonly cwd: string;
  readonly session: Session;
  /** Absolute path of the file in which finished runs are kept as they come; absent: they are not. */
  readonly state?: string | undefined;
  /** Whether runs that are in it already are taken from there; default: it is begun anew. */
  readonly resume?: boolean;
  /** Absolute path of the report, if one is to be made: a run that goes on is finished where this one has its request. */
  readonly report?: string | undefined;
  /** Whether a report that is there may be replaced; default: not, but where a comparison goes on. */
  readonly overwrite?: boolean;
  /** Told of every run that is done. */
  readonly onRun?: (run: ComparedRun, at: { readonly done: number; readonly total: number }) => void;
  /** Told of every run that failed. */
  readonly onFailure?: (run: FailedRun, at: { readonly done: number; readonly total: number }) => void;
}

/**
 * Runs every method at every sparsity. Gradients that runs ask for alike are taken once. A run that fails, or an interrupt,
 * costs no other run its result. Asked to go on with a comparison whose report is there, it does nothing.
 *
 * @returns the document, and the finished runs, which a report draws
 * @throws whatever is wrong with the input; the first run's error, or ERR_ABORTED, where no run was finished
 */
export async function runCompare(
  spec: Comparison,
): Promise<{ document: CompareDocument | FinishedRun; runs: readonly ComparedRun[] }> {
  const { path, data: source, sparsities, cwd, session, includeFrozen, curvatureOptions = {} } = spec;
  const found = spec.solvers.map((one) => one.found);
  for (const one of found) notePlugin(one, session);
  const solvers = await Promise.all(
    spec.solvers.map(async ({ found: one, options: given, plan: own }) => {
      const options = await resolveOptions(one.entry, given);
      const solver = one.entry.create(options as never);
      if (!needsGradients(solver)) assertNoGradientSetting(own, one.entry.name);
      const all = { ...spec.plan, ...own };
      return { one, options, solver, plan: all, given: [...Object.keys(given), ...Object.keys(all)] };
    }),
  );
  if (!solvers.some(({ solver }) => needsGradients(solver))) {
    assertNoGradientSetting(spec.plan);
    if (Object.keys(curvatureOptions).length > 0) {
      throw flagWithoutEffect({ flag: "--curvature-option", reason: "no solver named takes gradients" });
    }
  }
  const { onEvent } = session;
  const corrects = asksForMatching(spec.reestimateBatchNorm);
  const opening = { path, includeFrozen, cwd, corrects };
  const first = await openAnyModel({ ...opening, arch: spec.arch, engine: spec.engine, onEvent });
  const { classes, spec: layers } = first;
  const comparison = comparisonIdentity(spec, first);
  const requestSha256 = requestHash(
    JSON.stringify([comparison, solvers.map(({ one, options, plan }) => [one.entry.name, options, plan]), sparsities]),
  );
  if (spec.resume && (await isReportOf(spec, requestSha256))) {
    first.close();
    return { document: finishedRun(spec.report!, session), runs: [] };
  }
  const isContinued = spec.resume === true && spec.state !== undefined && existsSync(spec.state);
  if (spec.report !== undefined) await checkOutput(spec.report, { overwrite: spec.overwrite === true || isContinued });
  const { pruned: params, dense: keptDense } = chosenDense(first, spec.keepDense);
  if (params.length === 0) throw keepsAll(path);
  const named = spec.task === undefined ? undefined : await findTask(spec.task, cwd);
  const data = await openData({
    data: source,
    ...{ normalize: spec.normalize, preprocess: { text: spec.preprocess }, stated: first.stated },
    task: named?.task ?? first.own?.trainedFor,
    classes,
    network: layers,
    inputs: first.network.inputs,
    onEvent,
    cwd,
  });
  const { reestimateBatchNorm: when } = spec;
  const settings = batchNormOfModel(first, when === undefined ? {} : { when });
  if (settings) noteCorrected(first, session);
  const measurements = remeasuringModel({ model: first, data, settings, session });
  await measurements.before();
  const posed = await poseTask({ network: first.network, data, named: named?.task, session });
  await measurements.judgeBy(posed);
  const dense = await posed.evaluate(first.network);
  const jobs = solvers.flatMap((method) => sparsities.map((sparsity) => ({ ...method, sparsity })));
  const keeper =
    spec.state === undefined
      ? undefined
      : await openComparison({
          ...{ path: spec.state, comparison, resume: spec.resume === true, session },
          methods: new Map(
            solvers.map(({ one, options, plan }) => [
              one.entry.name,
              { packages: packageVersions([one]), options, plan },
            ]),
          ),
        });
  const plans = await Promise.all(
    jobs.map(async ({ solver, sparsity, plan }) => {
      const planned = await plannedRun({ network: first.network, params, solver, sparsity, plan, train: data.train });
      const stages = planned.stages + planned.targetStages;
      return { key: needsGradients(solver) ? gradientKey(planned) : undefined, stages };
    }),
  );
  const shared = shareGradients();
  const finished = new Map<number, ComparedRun>();
  for (const [position, { one, sparsity }] of jobs.entries()) {
    const earlier = keeper?.finished.find((run) => run.solver === one.entry.name && run.sparsity === sparsity);
    if (earlier) finished.set(position, earlier);
  }
  const order = sharingOrder(plans).filter((position) => !finished.has(position));
  const doneBefore = finished.size;
  const failed: FailedRun[] = [];
  let firstError: unknown;
  let isInterrupted = false;
  const sources: FoundEntry[] = [...found, ...(named?.sources ?? [])];
  try {
    for (const [turn, position] of order.entries()) {
      const { one, options, solver, plan, given, sparsity } = jobs[position]!;
      const { key = "" } = plans[position]!;
      // Kept for runs of one stage only: longer ones take many gradients, and need the memory for them.
      const next = order[turn + 1];
      const isKept = next !== undefined && plans[next]!.key === key && plans[position]!.stages === 1;
      let wasShared = (): boolean => false;
      const engine = first.tfjs?.engine.name;
      const model = await openAnyModel({ ...opening, arch: first.arch, engine, onEvent: () => {} });
      const { network } = model;
      const own = labelled(session, `${one.entry.name} at ${sparsity}`);
      const at = { done: doneBefore + turn + 1, total: jobs.length };
      try {
        const { before, recalibrate, after } = measurements.forCopy(model);
        await before();
        const isLayered = solver.scope === "layers";
        const follow = isLayered
          ? await followingBiases({ network, params, data, session, recalibrate })
          : { recalibrate };
        const { result: whole, curvature } = await pruneNetwork({
          ...{ network, solver, sparsity, plan, params },
          ...(follow.recalibrate ? { recalibrate: follow.recalibrate } : {}),
          session: own,
          onCurvature: ({ entry: curvature }) =>
            noteUnread({ entry: one.entry, given, curvature, onEvent: own.onEvent }),
          ...{ train: data.train, task: posed.task, curvatureOptions },
          ...("offsets" in follow ? layerScope({}, follow) : {}),
          findCurvature: (name) => findCurvature(name, cwd),
          wrapEstimator: (inner) => {
            const run = shared.forRun({ key, inner, isKept });
            wasShared = run.wasShared;
            return run.estimator;
          },
        });
        await after();
        if (curvature) sources.push(curvature);
        const pruned = await posed.evaluate(network);
        const { mask: _mask, ...result } = whole;
        const run = { solver: one.entry.name, options, sparsity, dense, pruned, result, sharesGradients: wasShared() };
        finished.set(position, run);
        await keeper?.keep(run);
        spec.onRun?.(run, at);
      } catch (error) {
        if (!isPruneError(error)) throw error;
        firstError ??= error;
        if (error.code === "ERR_ABORTED") {
          isInterrupted = true;
          break;
        }
        const run = { solver: one.entry.name, sparsity, code: error.code, message: error.message };
        failed.push(run);
        spec.onFailure?.(run, at);
      } finally {
        model.close();
      }
    }
  } finally {
    shared.release();
  }
  if (finished.size === 0) throw firstError;
  const runs = jobs.flatMap((_, position) => finished.get(position) ?? []);
  const document = compareDocument({
    model: { path, sha256: first.sha256, arch: first.arch },
    data: source,
    dense,
    measuredOn: posed.measuredOn,
    keptDense,
    ...{ runs, failed, isInterrupted },
    ...{ seed: session.seed, backend: session.kernels.name, requestSha256 },
    versions: versions([...sources, ...first.packages]),
    peakMemoryBytes: peakMemoryBytes(),
  });
  first.close();
  return { document, runs };
}

/** Whether a report is there that names the request; without a state beside it, it was made when all runs had been. */
async function isReportOf({ report, state }: Comparison, request: string): Promise<boolean> {
  if (report === undefined || !existsSync(report) || (state !== undefined && existsSync(state))) return false;
  return new TextDecoder().decode(await readFileBytes(report)).includes(request);
}

/** The session with notes that say of which run they are. */
function labelled(session: Session, label: string): Session {
  const { seed, kernels, signal } = session;
  const onEvent = (event: RunEvent): void =>
    session.onEvent(event.type === "note" ? { ...event, message: `${label}: ${event.message}` } : event);
  return { ...session, onEvent, context: () => createRunContext({ seed, kernels, signal, onEvent }) };
}

/** Where no gradients are taken, a setting of them would change nothing. @param solver - the method whose own setting it is */
function assertNoGradientSetting(plan: RunPlan, solver?: string): void {
  const key = gradientPlanKeys.find((candidate) => plan[candidate] !== undefined);
  if (key === undefined) return;
  const setting = solver === undefined ? `--${kebab(key)}` : `--option ${solver}:${kebab(key)}`;
  const reason = solver === undefined ? "no solver named takes gradients" : "it takes no gradients";
  throw flagWithoutEffect({ flag: setting, reason });
}
