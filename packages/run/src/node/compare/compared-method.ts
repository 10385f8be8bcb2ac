/** One method at one sparsity, from the model as it is. */
import { createRunContext, type RunEvent, type RunPlan, type Solver } from "@secateur/core";
import type { ComparedRun } from "../../compare/compare-document.ts";
import { gradientKey, type SharedGradients } from "../../compare/shared-gradients.ts";
import type { FoundEntry, SolverEntry } from "../../plugins/found-entry.ts";
import { resolveOptions } from "../../plugins/resolve-options.ts";
import { noteUnread } from "../../plugins/unread-options.ts";
import { needsGradients, plannedRun, pruneNetwork } from "../../prune/prune-network.ts";
import type { Session } from "../../session.ts";
import { followingBiases } from "../norm/bias-matching.ts";
import type { AnyModel } from "../open/open-any-model.ts";
import { findCurvature } from "../plugins/find-entry.ts";
import { layerScope } from "../prune/layer-scope.ts";
import type { ComparedSetting } from "./compared-setting.ts";

/** One of the methods that are compared. */
export interface ComparedSolver {
  readonly found: FoundEntry<SolverEntry>;
  /** By name; those left out have their defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly plan: RunPlan;
}

/** A method with all its options, ready to run. */
export interface ReadySolver {
  readonly one: FoundEntry<SolverEntry>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly solver: Solver;
  /** What is fixed for all, and for this one. */
  readonly plan: RunPlan;
  /** Names of what was given. */
  readonly given: readonly string[];
}

/** Completes the options. @param common - what is fixed of every method's plan. @throws ERR_OPTION */
export async function readySolver(
  { found: one, options: given, plan: own }: ComparedSolver,
  common: RunPlan,
): Promise<ReadySolver> {
  const options = await resolveOptions(one.entry, given);
  const plan = { ...common, ...own };
  const solver = one.entry.create(options as never);
  return { one, options, solver, plan, given: [...Object.keys(given), ...Object.keys(plan)] };
}

/** What a run's gradients depend on, where it takes some, whose curvature they make, and how many stages it has. */
export async function gradientsOf(
  setting: ComparedSetting,
  spec: Pick<ReadySolver, "solver" | "plan"> & {
    sparsity: number;
    curvatureOptions: Readonly<Record<string, unknown>>;
  },
): Promise<{ key: string | undefined; curvature: string; stages: number }> {
  const { solver, plan, sparsity, curvatureOptions } = spec;
  const { first, params, data } = setting;
  const planned = await plannedRun({ network: first.network, params, solver, sparsity, plan, train: data.train });
  return {
    key: needsGradients(solver) ? JSON.stringify([gradientKey(planned), curvatureOptions]) : undefined,
    curvature: planned.curvature,
    stages: planned.stages + planned.targetStages,
  };
}

/**
 * Prunes a copy of the model and measures it.
 *
 * @param spec.shared - gradients that runs have in common; `isKept` says whether this one leaves its own behind
 * @param spec.onPruned - sees the pruned copy before it is closed
 * @returns the run, and where its curvature came from
 */
export async function runMethod(
  setting: ComparedSetting,
  spec: ReadySolver & {
    readonly sparsity: number;
    readonly curvatureOptions: Readonly<Record<string, unknown>>;
    readonly shared: SharedGradients;
    readonly key: string | undefined;
    readonly isKept: boolean;
    readonly session: Session;
    readonly onPruned?: (model: AnyModel) => Promise<void>;
  },
): Promise<{ run: ComparedRun; curvature?: FoundEntry }> {
  const { one, options, solver, plan, given, sparsity, session, curvatureOptions, shared, key = "", isKept } = spec;
  const { params, data, dense, posed, measurements } = setting;
  const own = labelled(session, `${one.entry.name} at ${sparsity}`);
  let wasShared = (): boolean => false;
  const model = await setting.openCopy();
  try {
    const { network } = model;
    const { before, recalibrate, after } = measurements.forCopy(model);
    await before();
    const isLayered = solver.scope === "layers";
    const follow = isLayered ? await followingBiases({ network, params, data, session, recalibrate }) : { recalibrate };
    const { result: whole, curvature } = await pruneNetwork({
      ...{ network, solver, sparsity, plan, params },
      ...(follow.recalibrate ? { recalibrate: follow.recalibrate } : {}),
      session: own,
      onCurvature: ({ entry }) => noteUnread({ entry: one.entry, given, curvature: entry, onEvent: own.onEvent }),
      ...{ train: data.train, task: posed.task, curvatureOptions },
      ...("offsets" in follow ? layerScope({}, follow) : {}),
      findCurvature: (name) => findCurvature(name, setting.spec.cwd),
      wrapEstimator: (inner) => {
        const run = shared.forRun({ key, inner, isKept });
        wasShared = run.wasShared;
        return run.estimator;
      },
    });
    await after();
    // The setting may have been opened for another run, which was called off since.
    const pruned = await posed.evaluate(network, own.context());
    const { mask: _mask, ...result } = whole;
    await spec.onPruned?.(model);
    const run = { solver: one.entry.name, options, sparsity, dense, pruned, result, sharesGradients: wasShared() };
    return { run, ...(curvature ? { curvature } : {}) };
  } finally {
    model.close();
  }
}

/** The session with notes that say of which run they are. */
function labelled(session: Session, label: string): Session {
  const { seed, kernels, signal } = session;
  const onEvent = (event: RunEvent): void =>
    session.onEvent(event.type === "note" ? { ...event, message: `${label}: ${event.message}` } : event);
  return { ...session, onEvent, context: () => createRunContext({ seed, kernels, signal, onEvent }) };
}
