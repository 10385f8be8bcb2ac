/** One round of a run: its stages one after the other, whether all of them together were worth it, and the training that ends it. */
import type { BoundBudget } from "../budget/bound-budget.ts";
import { countKept } from "../budget/constraint.ts";
import { lastUnitsNote } from "../budget/floors.ts";
import { limitsNote } from "../budget/limits/limits-note.ts";
import { type Units, unitMask, weightMask } from "../budget/units.ts";
import type { Model } from "../data/model.ts";
import { readFlat, writeFlat } from "../problem/flat-weights.ts";
import type { Mask } from "../problem/matrix.ts";
import type { Note } from "../problem/note.ts";
import { beginTraining, measured, type Round, trainRound } from "../retraining/train-round.ts";
import { forkContext, type RunContext, throwIfAborted } from "../run-context.ts";
import type { Stage } from "../stages/stage.ts";
import type { Evaluation } from "../task/evaluate.ts";
import type { Taken } from "./accept-step.ts";
import { dataNotes } from "./data-notes.ts";
import { expectedMs, expectedWork } from "./expected-time.ts";
import { finishRun, type RunLoss, sparserNote } from "./finish-run.ts";
import { runLayerStage } from "./layers/layer-stage.ts";
import { measureLoss } from "./measure-loss.ts";
import type { OpenRun } from "./open-run.ts";
import type { PruneRequest } from "./prune.ts";
import { nextDampingFactor, runStage, type StageReport, type StageRun } from "./run-stage.ts";
import type { RunState } from "./run-state.ts";
import { stageConstraint } from "./stage-constraint.ts";
import { scaleNote } from "./stage-notes.ts";

/** Stages [first, end) of the list: those up to a training, or to the end. */
interface StageRange {
  readonly first: number;
  readonly end: number;
}

/** The rounds of a list of stages, in order. */
export function roundsOf(stages: readonly Stage[]): readonly StageRange[] {
  const ends = stages.flatMap(({ train }, index) => (train || index === stages.length - 1 ? [index + 1] : []));
  // Without stages, as for a network of zeros, one round without any still measures and reports.
  return (ends.length === 0 ? [0] : ends).map((end, index) => ({ first: ends[index - 1] ?? 0, end }));
}

interface RoundRun extends StageRange {
  readonly run: OpenRun;
  readonly request: PruneRequest;
  readonly index: number;
}

/** What a round gave. */
export interface PrunedRound {
  readonly state: RunState;
  /** Of the whole round. */
  readonly notes: readonly Note[];
  readonly taken?: Taken;
  readonly loss?: RunLoss;
  /** What its pruning was expected to take. */
  readonly expectedMs?: number;
}

/** Prunes over the stages of a round, from wherever the state has come, and trains where its last stage says so. */
export async function runRound(round: RoundRun, before: RunState, ctx: RunContext): Promise<PrunedRound> {
  const { run, request, index, first, end } = round;
  const { retrain, onState } = request;
  const { stages, params, task } = run;
  const compared = run.heldOut ?? run.data;
  const train = stages[end - 1]?.train;
  if (!train || !retrain) return await pruneRound(round, before, ctx);
  const { training } = before;
  const spec: Round = {
    ...{ index, model: request.model, params, task, retraining: retrain },
    ...(compared ? { compared } : {}),
    ...(onState ? { onState } : {}),
    ...(request.recalibrate ? { recalibrate: request.recalibrate } : {}),
  };
  throwIfAborted(ctx.signal);
  const { sparsity } = retrain.phases[index]!;
  ctx.report({ type: "round:start", index, rounds: retrain.phases.length, sparsity });
  let state = { ...before, training: training! };
  if (!state.training.open) {
    const started = ctx.now();
    const evaluated: Evaluation | undefined = training!.rounds[index - 1]?.retrained ?? (await measured(retrain));
    const start = { weights: await readFlat(request.model, params), mask: training!.mask };
    const pruned = await pruneRound(round, before, ctx);
    const reports = pruned.state.reports.slice(before.reports.length - stagesBetween(stages, first, before.stage));
    const pruning = {
      ...{ start, before: evaluated, taken: pruned.taken, stages: reports.length, pruneMs: ctx.now() - started },
      notes: [...reports.flatMap((report) => report.notes), ...pruned.notes],
    };
    state = await beginTraining(spec, { ...pruned.state, training: training! }, pruning, ctx);
    await onState?.(state);
  }
  state = await trainRound(spec, state, ctx);
  await onState?.(state);
  return { state, notes: [] };
}

/** Runs longer than this are announced. */
const worthSayingMs = 5000;

function timeNote(expected: number, work: number): Note {
  const seconds = Number((expected / 1000).toPrecision(2));
  const message = `about ${seconds} s expected, for ${work.toPrecision(2)} multiply-adds at the speed of short measurements`;
  return { code: "expected-time", level: "info", message };
}

/** How many of the stages [first, end) prune. */
function stagesBetween(stages: readonly Stage[], first: number, end: number): number {
  return stages.slice(first, end).filter(({ prunes }) => prunes).length;
}

/** The first half of a round: its stages, and whether all of them together were worth it. The model ends with the state's weights. */
async function pruneRound(
  { run, request, first, end }: RoundRun,
  before: RunState,
  ctx: RunContext,
): Promise<PrunedRound> {
  const { model, recalibrate, onState } = request;
  const { params, units, bound, task, accept, isHeldOut, data, estimator, fingerprint } = run;
  const stages = run.stages.slice(first, end);
  if (stages.some(({ prunes }) => !prunes)) return { state: { ...before, stage: end }, notes: [] };
  const notes: Note[] = [];
  const note = (one: Note | undefined): void => {
    if (!one) return;
    notes.push(one);
    ctx.report({ type: "note", ...one });
  };
  const start = { weights: await readFlat(model, params), mask: before.training?.mask ?? run.mask };
  const last = stages[stages.length - 1];
  const sparsity = before.training ? last!.sparsity : run.sparsity;
  if (!before.training && !bound?.isStructured)
    note(sparserNote(sparsity, 1 - countKept(start.mask) / start.mask.length));
  if (bound && run.sparsity === 0) note(limitsMet);
  if (!before.training) note(scaleNote(params, start.weights));
  const lossStarted = ctx.now();
  const evaluate = () => measureLoss({ model, params, w: start.weights, accept: accept!, task }, ctx);
  const lossBefore = accept ? await evaluate() : undefined;
  const firstMs = ctx.now() - lossStarted;
  ctx.report({ type: "run:start", stages: stages.length, sparsity, prunable: start.weights.length });
  let expected: number | undefined;
  if (accept && !before.training) {
    const others = isHeldOut && data ? { others: data } : {};
    const { examples } = run.situation;
    for (const one of await dataNotes({ model, accept, ...others, task, isHeldOut, examples }, ctx)) {
      // What is wrong with examples spoils curvatures; a network that says nothing leaves nothing to measure by.
      if (estimator || one.code === "constant-outputs") note(one);
    }
  }
  // A solver without gradients takes no time worth foretelling.
  if (accept && estimator && !before.training) {
    const { plan, situation } = run;
    const names = params.map(({ name }) => name);
    const { batch, ridge, temperature, firstOrder } = plan;
    const spec = {
      ...{ solver: request.solver, plan, situation, accept: accept.size, recalibrates: recalibrate !== undefined },
      request: {
        ...{ model, data: data!, task, params: names, batch, ridge, temperature, firstOrder },
        kept: start.mask,
      },
      ...{ estimator, firstMs, evaluate },
    };
    expected = await expectedMs(spec, ctx);
    if (expected !== undefined && expected >= worthSayingMs) {
      const { gradients, products, losses } = expectedWork(spec);
      ctx.report({ type: "note", ...timeNote(expected, gradients + products + losses) });
    }
  }
  let state = before;
  const common = {
    ...{ model, solver: request.solver, params, task },
    ...(bound ? { bound } : {}),
    ...(estimator ? { curvature: estimator } : {}),
    ...(data ? { data } : {}),
    ...(accept ? { accept } : {}),
    ...(recalibrate ? { recalibrate } : {}),
  };
  const layered = {
    ...{ model, solver: request.solver, data: data!, ...request.layers! },
    ...(bound ? { bound } : {}),
    ...(recalibrate ? { recalibrate } : {}),
  };
  /** The report of the stage before, of this round. */
  const lastReport = (): StageReport | undefined => (state.stage > first ? state.reports.at(-1) : undefined);
  for (let index = state.stage; index < end; index++) {
    const stage = stages[index - first]!;
    const place = { index: index - first, stages: stages.length, sparsity: stage.sparsity };
    throwIfAborted(ctx.signal);
    ctx.report({ type: "stage:start", ...place, ...(stage.limits ? { limits: stage.limits } : {}) });
    await writeFlat(model, params, state.weights);
    const stageContext = forkContext(ctx, `stage ${index}`);
    if (index > first) await recalibrate?.(stageContext);
    const present = { weights: state.weights, mask: state.mask };
    const { weights, mask, report } =
      stage.scope.kind === "layers"
        ? await runLayerStage({ ...layered, ...present, stage, isFirst: index === 0, params }, stageContext)
        : await runNetworkStage(
            {
              ...{ ...common, ...present, stage, isMet: run.hasTeacher && index === 0 },
              dampingFactor: accept ? nextDampingFactor(lastReport(), stage) : 1,
              ...acceptedLossOf(lastReport()),
            },
            units,
            stageContext,
          );
    state = {
      ...{ stage: index + 1, fingerprint, reports: [...state.reports, report], weights, mask },
      ...(before.training ? { training: before.training } : {}),
    };
    reportStage(ctx, place, report);
    await onState?.(state);
  }
  const constraint = stageConstraint({ ...common, ...start, stage: last ?? { sparsity, regrow: true } }, ctx);
  const finished = await finishRun(
    {
      ...{ model, params, task, stages: stages.length },
      // A training of an earlier round may have seen what no gradient was taken of.
      isHeldOut: isHeldOut && (run.heldOut !== undefined || !before.training?.rounds.length),
      ...{ triesMagnitude: last?.accept.tryMagnitude ?? false },
      // Layers are solved one by one, and compared at the end only.
      hasMetMask: stages.length <= 1 && last?.scope.kind !== "layers",
      ...{ dense: start, last: { weights: state.weights, mask: state.mask }, units },
      constraint,
      ...(accept ? { accept } : {}),
      ...(lossBefore === undefined ? {} : { lossBefore }),
      ...acceptedLossOf(lastReport()),
      ...(recalibrate ? { recalibrate } : {}),
    },
    ctx,
  );
  for (const one of finished.notes) note(one);
  if (bound) {
    note(lastUnitsNote(bound.units, unitMask(bound.units, finished.mask)));
    note(removedOutputs(bound, model, finished.mask));
    note(limitsNote({ bound, constraint, weights: start.weights, mask: finished.mask }));
  }
  const { weights, mask, taken, loss } = finished;
  return {
    state: { ...state, weights, mask },
    notes,
    ...(taken ? { taken } : {}),
    ...(loss ? { loss } : {}),
    ...(expected === undefined ? {} : { expectedMs: expected }),
  };
}

async function runNetworkStage(
  spec: StageRun,
  units: Units,
  ctx: RunContext,
): Promise<{ weights: Float32Array; mask: Mask; report: StageReport }> {
  const { solution, report } = await runStage(spec, ctx);
  return { weights: Float32Array.from(solution.w.data), mask: weightMask(units, solution.mask), report };
}

/** Rows of the last layer that are gone, where they are the numbers that the network gives. */
function removedOutputs({ units }: BoundBudget, { outputs }: Model, mask: Mask): Note | undefined {
  const last = units.parts[units.parts.length - 1]!;
  const { name, rows, cols, start } = last.param;
  const own = outputs.length === 1 ? outputs[0]!.shape : [];
  const isOutput = own.reduce<number>((product, extent) => product * (extent ?? 1), 1) === rows;
  if (!isOutput || (last.spec.kind !== "rows" && last.spec.kind !== "channels")) return undefined;
  let gone = 0;
  for (let r = 0; r < rows; r++) if (countKept(mask.subarray(start + r * cols, start + (r + 1) * cols)) === 0) gone++;
  if (gone === 0) return undefined;
  const message = `${gone} of the ${rows} outputs depend on no weight any more, as rows of '${name}' are outputs of the network; leave that layer dense (exclude of the option 'budget'; --keep-dense last on the command line)`;
  return { code: "outputs-removed", level: "warn", message };
}

const limitsMet: Note = {
  code: "limits-met",
  level: "info",
  message: "the dense network is within every limit already, so nothing has to be pruned; ask for less to prune more",
};

/** The loss of the weights that the last stage left, where it measured one. */
function acceptedLossOf(report: StageReport | undefined): { readonly lastLoss?: number } {
  return report?.acceptedLoss === undefined ? {} : { lastLoss: report.acceptedLoss };
}

function reportStage(
  ctx: RunContext,
  place: { index: number; stages: number; sparsity: number },
  report: StageReport,
): void {
  const problem = report.layers ? "layers" : "network";
  const { objective, status, nonzeros, gradientMs, solveMs, stats, loss } = report;
  ctx.report({ type: "solve:end", problem, objective, status });
  const values = loss === undefined ? stats : { ...stats, loss };
  ctx.report({ type: "stage:end", ...place, objective, nonzeros, gradientMs, solveMs, values });
}
