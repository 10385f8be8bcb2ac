/** A comparison: every method at every sparsity, each from the checkpoint as it is. */
import { existsSync } from "node:fs";
import { isPruneError, type RunPlan } from "@secateur/core";
import { checkOutput, readFileBytes } from "@secateur/formats";
import {
  type CompareDocument,
  type ComparedRun,
  compareDocument,
  type FailedRun,
} from "../../compare/compare-document.ts";
import { shareGradients, sharingOrder } from "../../compare/shared-gradients.ts";
import { flagWithoutEffect } from "../../errors.ts";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import { notePlugin } from "../../plugins/note-plugin.ts";
import { kebab } from "../../plugins/option-schema.ts";
import { needsGradients } from "../../prune/prune-network.ts";
import { gradientPlanKeys } from "../../recipe/plan-keys.ts";
import type { Session } from "../../session.ts";
import { peakMemoryBytes } from "../memory.ts";
import { asksForMatching } from "../open/any-model-settings.ts";
import { openAnyModel } from "../open/open-any-model.ts";
import { openComparison } from "../state/comparison-file.ts";
import { type FinishedRun, finishedRun, requestHash } from "../state/finished-run.ts";
import { packageVersions, versions } from "../versions.ts";
import { type ComparedSolver, gradientsOf, type ReadySolver, readySolver, runMethod } from "./compared-method.ts";
import { type ComparedSetting, openSetting, type SettingSpec } from "./compared-setting.ts";
import { comparisonIdentity } from "./comparison-identity.ts";

/** Runs of a comparison in other threads or on other machines. */
export interface RunsElsewhere {
  /** Hands all runs out, in their order. @returns each by its place, as it comes; where one failed, its error */
  start(
    setting: ComparedSetting,
    jobs: readonly (ReadySolver & { readonly sparsity: number })[],
  ): Promise<(place: number) => Promise<{ run: ComparedRun; curvature?: FoundEntry }>>;
}

/** What to compare. */
export interface Comparison extends SettingSpec {
  /** At least one, each with the options and the settings of its plan that are its own. */
  readonly solvers: readonly ComparedSolver[];
  readonly sparsities: readonly number[];
  /** What is fixed of every method's plan, unless its own says otherwise. */
  readonly plan: RunPlan;
  /** Of the model of the loss that every plan takes; default: its own defaults. */
  readonly curvatureOptions?: Readonly<Record<string, unknown>>;
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
  /** Runs the methods somewhere else; default: here, one after the other. */
  readonly elsewhere?: RunsElsewhere;
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
  const solvers = await Promise.all(spec.solvers.map((one) => readySolver(one, spec.plan)));
  for (const [place, { one, solver }] of solvers.entries()) {
    if (!needsGradients(solver)) assertNoGradientSetting(spec.solvers[place]!.plan, one.entry.name);
  }
  if (!solvers.some(({ solver }) => needsGradients(solver))) {
    assertNoGradientSetting(spec.plan);
    if (Object.keys(curvatureOptions).length > 0) {
      throw flagWithoutEffect({ flag: "--curvature-option", reason: "no solver named takes gradients" });
    }
  }
  const { onEvent } = session;
  const corrects = asksForMatching(spec.reestimateBatchNorm);
  const first = await openAnyModel({
    ...{ path, includeFrozen, cwd, corrects, onEvent },
    arch: spec.arch,
    engine: spec.engine,
  });
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
  const setting = await openSetting({ ...spec, first }, session);
  const { dense, keptDense } = setting;
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
  const plans = await Promise.all(jobs.map((job) => gradientsOf(setting, { ...job, curvatureOptions })));
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
  const sources: FoundEntry[] = [...found, ...setting.sources];
  const away = await spec.elsewhere?.start(
    setting,
    order.map((position) => jobs[position]!),
  );
  try {
    for (const [turn, position] of order.entries()) {
      const { one, sparsity } = jobs[position]!;
      const { key, stages } = plans[position]!;
      // Kept for runs of one stage only: longer ones take many gradients, and need the memory for them.
      const next = order[turn + 1];
      const isKept = next !== undefined && plans[next]!.key === key && stages === 1;
      const at = { done: doneBefore + turn + 1, total: jobs.length };
      try {
        const { run, curvature } = away
          ? await away(turn)
          : await runMethod(setting, { ...jobs[position]!, ...{ curvatureOptions, shared, key, isKept, session } });
        if (curvature) sources.push(curvature);
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
    measuredOn: setting.measuredOn,
    remeasured: setting.isRemeasured,
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

/** Where no gradients are taken, a setting of them would change nothing. @param solver - the method whose own setting it is */
function assertNoGradientSetting(plan: RunPlan, solver?: string): void {
  const key = gradientPlanKeys.find((candidate) => plan[candidate] !== undefined);
  if (key === undefined) return;
  const setting = solver === undefined ? `--${kebab(key)}` : `--option ${solver}:${kebab(key)}`;
  const reason = solver === undefined ? "no solver named takes gradients" : "it takes no gradients";
  throw flagWithoutEffect({ flag: setting, reason });
}
