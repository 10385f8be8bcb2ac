/**
 * Rounds of pruning and retraining around any solver: prune to the sparsity of the phase, train what is kept with masks, repeat
 * (Han et al. 2015; Zimmer et al. 2023). Each phase's pruning is a run of core's `prune` with the solver's own plan, so with chita it
 * may take several stages. What a phase prunes stays pruned in its training; a later phase brings a weight back only
 * where the solver's plan says `regrow`.
 */
import {
  type BudgetRule,
  countKept,
  countZeros,
  createRng,
  createRunContext,
  describeDifferences,
  type Evaluation,
  type FlatParam,
  forkContext,
  isPruneError,
  keptCount,
  type LayerReport,
  layoutParams,
  type Mask,
  type Note,
  type Phase,
  type PruneRequest,
  type PruneResult,
  prune,
  quietContext,
  type Retrainer,
  type RetrainingState,
  type RunContext,
  readFlat,
  resumeMismatch,
  type StateTensor,
  sampleIndices,
  subset,
  throwIfAborted,
  writeFlat,
} from "@secateur/core";
import { maskBroken } from "../errors.ts";
import { assertRising } from "../phases/phase-sparsities.ts";
import { closeRound } from "./close-round.ts";
import { type EarlyStopping, isOver, type StoppingState, withLoss } from "./early-stopping.ts";
import type { OpenRound, PhaseState } from "./phase-state.ts";
import { norm, type RoundReport, relativeDistance, roundValues } from "./round-report.ts";

/** What to prune and retrain, with what. Everything of core's `prune` applies to each phase's pruning. */
export interface RetrainingRequest extends Omit<PruneRequest, "sparsity" | "budget" | "onStage" | "resume" | "mask"> {
  /** How the weights that a phase keeps are spread over the layers; default: anywhere. */
  readonly budget?: BudgetRule;
  /** Trains `model`. */
  readonly retrainer: Retrainer;
  /** In order; sparsities never decrease. */
  readonly phases: readonly Phase[];
  /** What identifies the rates of the phases, which are functions, in a saved state. */
  readonly schedule: string;
  /** Weight rewinding (Frankle et al. 2020): after every pruning all tensors go back to these, the pruned weights stay 0. */
  readonly rewindTo?: readonly StateTensor[];
  readonly earlyStopping?: EarlyStopping;
  /** Measures the model for the reports; its results decide nothing. */
  readonly measure?: () => Promise<Evaluation>;
  /** Called wherever the run can be continued, after every stage and epoch; awaited. */
  readonly onState?: (state: PhaseState) => void | Promise<void>;
  /** Continues from a state of `onState`: the result is the same bytes as without the interruption. */
  readonly resume?: PhaseState;
}

/** What a run gave; the weights are in the model. */
export interface RetrainingResult extends Omit<PruneResult, "plan" | "taken" | "loss"> {
  /** The plan of the last phase that pruned. */
  readonly plan: PruneResult["plan"] | undefined;
  readonly rounds: readonly RoundReport[];
}

/**
 * Prunes and retrains a model in place.
 *
 * @throws what core's `prune` throws; ERR_OPTION for sparsities that go down, ERR_MASK when training moved a pruned weight, ERR_RESUME
 * @example
 * const phases = impPhases({ sparsities: phaseSparsities({ target: 0.9, phases: 3 }), epochs: 9, schedule: "llr", dense });
 * await retrainInPhases({ model, solver: magnitude(), retrainer, phases, schedule: "llr" });
 */
export async function retrainInPhases(request: RetrainingRequest): Promise<RetrainingResult> {
  const { model, retrainer, phases, resume, measure } = request;
  assertRising(phases.map(({ sparsity }) => sparsity));
  const ctx = createRunContext(request);
  const started = ctx.now();
  const params = layoutParams(model, request.params);
  const fingerprint = fingerprintOf(request, ctx);
  if (resume && resume.fingerprint !== fingerprint) {
    throw resumeMismatch(describeDifferences(resume.fingerprint, fingerprint));
  }
  if (resume) retrainer.restore(resume.tensors);
  const run: Run = { request, ctx, params, fingerprint };
  let state: PhaseState = resume ?? {
    ...{ phase: 0, fingerprint, rounds: [], tensors: retrainer.capture() },
    mask: Uint8Array.from(await readFlat(model, params), (value) => (value === 0 ? 0 : 1)),
  };
  let measured: Evaluation | undefined = state.rounds[state.rounds.length - 1]?.retrained;
  for (let index = state.phase; index < phases.length; index++) {
    throwIfAborted(ctx.signal);
    const { sparsity } = phases[index]!;
    ctx.report({ type: "round:start", index, rounds: phases.length, sparsity });
    if (!state.open) {
      measured ??= await measure?.();
      const opened = await prunePhase(run, state, { index, before: measured });
      state = opened;
      await request.onState?.(state);
    }
    state = await retrainPhase(run, state, index);
    const round = state.rounds[index]!;
    measured = round.retrained;
    ctx.report({ type: "round:end", index, rounds: phases.length, sparsity, values: roundValues(round) });
    await request.onState?.(state);
  }
  return await resultOf(run, state, started);
}

interface Run {
  readonly request: RetrainingRequest;
  readonly ctx: RunContext;
  readonly params: readonly FlatParam[];
  readonly fingerprint: string;
}

function fingerprintOf(request: RetrainingRequest, ctx: RunContext): string {
  const { retrainer, phases, schedule, seed = 0, plan, budget, earlyStopping, rewindTo } = request;
  return JSON.stringify({
    schedule,
    phases: phases.map(({ sparsity, epochs, keepsMomentum }) => ({ sparsity, epochs, keepsMomentum })),
    retrainer: retrainer.settings,
    seed,
    kernels: ctx.kernels.name,
    plan,
    budget: budget?.settings,
    patience: earlyStopping?.patience,
    rewinds: rewindTo !== undefined,
  });
}

/** The first half of a phase: prune, rewind, measure. */
async function prunePhase(
  run: Run,
  state: PhaseState,
  spec: { index: number; before: Evaluation | undefined },
): Promise<PhaseState> {
  const { request, ctx, params, fingerprint } = run;
  const { model, phases, retrainer, rewindTo, measure } = request;
  const started = ctx.now();
  const before = await readFlat(model, params);
  const { sparsity } = phases[spec.index]!;
  const kept = countKept(state.mask);
  // A phase at the sparsity reached already, such as the dense training of BIMP, has nothing to prune.
  const isDue = keptCount(before.length, sparsity) < kept;
  const result = isDue ? await prune(pruning(run, state, spec.index)) : undefined;
  const mask: Mask = result?.mask ?? state.mask;
  const stages = result?.stages ?? [];
  const after = await readFlat(model, params);
  if (rewindTo) {
    retrainer.restore(rewindTo);
    await writeFlat(model, params, zeroed(await readFlat(model, params), mask));
  }
  const weights = await readFlat(model, params);
  const pruned = await measure?.();
  const round: OpenRound = {
    ...(spec.before ? { before: spec.before } : {}),
    ...(pruned ? { pruned } : {}),
    pruningDistance: relativeDistance(before, after),
    stages,
    notes: result?.notes ?? [],
    ...(result ? { plan: result.plan } : {}),
    pruneMs: ctx.now() - started,
    retrainMs: 0,
    normBefore: norm(before),
    normAfter: norm(after),
    prunedFraction: kept === 0 ? 0 : Math.max(0, 1 - countKept(mask) / kept),
  };
  const { phase, rounds, trained } = state;
  return {
    ...{ phase, rounds, fingerprint, mask, tensors: retrainer.capture(), open: { round, weights } },
    ...(trained ? { trained } : {}),
  };
}

function pruning(run: Run, state: PhaseState, index: number): PruneRequest {
  const { request } = run;
  const { model, solver, data, task, curvature, plan, budget, phases, kernels, signal, onEvent } = request;
  const { seed = 0 } = request;
  return {
    ...{ model, solver, sparsity: phases[index]!.sparsity, mask: state.mask },
    // The first phase draws what a run without retraining draws.
    seed:
      index === 0
        ? seed
        : createRng(seed)
            .fork(`phase ${index}`)
            .integer(2 ** 31),
    ...(data ? { data } : {}),
    ...(task ? { task } : {}),
    ...(curvature ? { curvature } : {}),
    ...(plan ? { plan } : {}),
    ...(budget ? { budget } : {}),
    ...(request.params ? { params: request.params } : {}),
    ...(kernels ? { kernels } : {}),
    ...(signal ? { signal } : {}),
    ...(onEvent ? { onEvent } : {}),
    onStage: (stage) => request.onState?.({ ...state, pruning: stage }),
    ...(state.pruning ? { resume: state.pruning } : {}),
  };
}

/** The second half of a phase: train with masks, and close the round. */
async function retrainPhase(run: Run, state: PhaseState, index: number): Promise<PhaseState> {
  const { request, params, fingerprint } = run;
  const { model, retrainer, phases, measure } = request;
  const phase = phases[index]!;
  const open = state.open!;
  const ctx = forkContext(run.ctx, `retrain ${index}`);
  const rates = phase.rates(phase.epochs * retrainer.stepsPerEpoch, open.round);
  const started = ctx.now();
  const spentMs = (): number => open.round.retrainMs + ctx.now() - started;
  // One training that spans several phases may climb in between; early stopping judges by itself.
  const isWhole = !phase.keepsMomentum && !phases[index + 1]?.keepsMomentum && !request.earlyStopping;
  const lossBefore = isWhole && phase.epochs > 0 ? await trainingLoss(run) : undefined;
  const { trained, stopping } = await trainPhase({ run, state, phase, index, rates, spentMs }, ctx);
  if (stopping && stopping.best < trained.epoch) retrainer.restore(stopping.tensors);
  const lossAfter = lossBefore === undefined ? undefined : await trainingLoss(run);
  const isUndone = lossBefore !== undefined && !(lossAfter! <= lossBefore);
  if (isUndone) {
    retrainer.restore(state.tensors);
    ctx.report({ type: "note", ...roundUndone({ round: index + 1, lossBefore, lossAfter: lossAfter! }) });
  }
  const retrainMs = spentMs();
  const weights = await readFlat(model, params);
  const broken = weights.reduce((count, value, j) => (value !== 0 && state.mask[j] === 0 ? count + 1 : count), 0);
  if (broken > 0) throw maskBroken(index + 1, broken);
  const retrained = phase.epochs === 0 ? open.round.pruned : await measure?.();
  const { examples } = retrainer;
  const notes = isUndone ? [roundUndone({ round: index + 1, lossBefore, lossAfter: lossAfter! })] : [];
  const done = { state, phase, weights, rates, trained, stopping, retrainMs, retrained, notes };
  const round = closeRound({ params, examples, ...done });
  return {
    ...{ phase: index + 1, fingerprint, mask: state.mask, tensors: retrainer.capture() },
    rounds: [...state.rounds, round],
    ...(phases[index + 1]?.keepsMomentum ? { trained } : {}),
  };
}

/** Examples on which a round's end is compared with its start. */
const compared = 2000;

/** Mean loss of the model as it is on training examples, the same in every round; nothing without data. Infinite where outputs are not finite. */
async function trainingLoss({ request, ctx }: Run): Promise<number | undefined> {
  const { model, data, task } = request;
  if (!data || !model.evaluate) return undefined;
  const some = sampleIndices(data.size, Math.min(compared, data.size), ctx.rng.fork("retraining compared"));
  try {
    const { loss } = await model.evaluate(subset(data, some), quietContext(ctx), task ? { task } : {});
    return Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss;
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_NOT_FINITE") return Number.POSITIVE_INFINITY;
    throw error;
  }
}

function roundUndone(spec: { round: number; lossBefore: number; lossAfter: number }): Note {
  const { round, lossBefore, lossAfter } = spec;
  const [before, after] = [lossBefore, lossAfter].map((loss) => loss.toPrecision(3));
  return {
    code: "round-undone",
    level: "warn",
    message: `round ${round}: training ended with a loss of ${after} on training examples, above the ${before} right after pruning, so its start is kept; a lower learning rate, or augmentation as in the first training, may help`,
  };
}

/** The training of a phase, from wherever it was interrupted. */
async function trainPhase(
  spec: {
    run: Run;
    state: PhaseState;
    phase: Phase;
    index: number;
    rates: ArrayLike<number>;
    spentMs: () => number;
  },
  ctx: RunContext,
): Promise<{ trained: RetrainingState; stopping: StoppingState | undefined }> {
  const { run, state, phase, rates, spentMs } = spec;
  const { retrainer, earlyStopping, onState } = run.request;
  const open = state.open!;
  let stopping = await firstJudgement(run.request, open.stopping);
  // Interrupted right after the epoch that ended it, a training has nothing left to do.
  const isDone = stopping !== undefined && earlyStopping !== undefined && isOver(stopping, earlyStopping.patience);
  const onEpoch = async (training: RetrainingState): Promise<"go on" | "stop"> => {
    let answer: "go on" | "stop" = "go on";
    if (stopping && earlyStopping) {
      const { loss } = await earlyStopping.evaluate();
      stopping = withLoss(stopping, loss, retrainer.capture());
      if (isOver(stopping, earlyStopping.patience)) answer = "stop";
    }
    const done = training.epochs[training.epochs.length - 1]!;
    const rate = rates[training.epoch * retrainer.stepsPerEpoch - 1]!;
    const heldOut = stopping ? { heldOutLoss: stopping.losses[stopping.losses.length - 1]! } : {};
    ctx.report({
      type: "epoch:end",
      epoch: training.epoch,
      epochs: phase.epochs,
      values: { ...done, rate, ...heldOut },
    });
    const round = { ...open.round, retrainMs: spentMs() };
    await onState?.({ ...state, open: { ...open, round, training, ...(stopping ? { stopping } : {}) } });
    return answer;
  };
  const trained = await retrainer.retrain(
    {
      epochs: isDone ? (open.training?.epoch ?? 0) : phase.epochs,
      learningRate: (step) => rates[step]!,
      masks: masksByName(state.mask, run.params),
      ...(open.training ? { resume: open.training } : {}),
      ...(!open.training && phase.keepsMomentum && state.trained ? { after: state.trained } : {}),
      onEpoch,
    },
    ctx,
  );
  return { trained, stopping };
}

/** The held-out loss before the first epoch: a phase that only makes things worse keeps its start. */
async function firstJudgement(
  { earlyStopping, retrainer }: RetrainingRequest,
  saved: StoppingState | undefined,
): Promise<StoppingState | undefined> {
  if (!earlyStopping || saved) return saved;
  const { loss } = await earlyStopping.evaluate();
  return withLoss(undefined, Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss, retrainer.capture());
}

function masksByName(mask: Mask, params: readonly FlatParam[]): ReadonlyMap<string, Mask> {
  return new Map(params.map(({ name, start, size }) => [name, mask.slice(start, start + size)]));
}

function zeroed(weights: Float32Array, mask: Mask): Float32Array {
  return weights.map((value, j) => (mask[j] === 1 ? value : 0));
}

async function resultOf(
  { request, ctx, params }: Run,
  { rounds, mask }: PhaseState,
  started: number,
): Promise<RetrainingResult> {
  const weights = await readFlat(request.model, params);
  const stages = rounds.flatMap((round) => round.stages);
  const kept = countKept(mask);
  const layers = params.map(({ name, shape, start, size }): LayerReport => {
    return { name, shape, size, nonzeros: size - countZeros(weights.subarray(start, start + size)) };
  });
  return {
    sparsity: 1 - kept / weights.length,
    kept,
    nonzeros: weights.length - countZeros(weights),
    prunable: weights.length,
    objective: stages[stages.length - 1]?.objective ?? 0,
    layers,
    stages,
    notes: rounds.flatMap((round) => round.notes),
    plan: [...rounds].reverse().find(({ plan }) => plan !== undefined)?.plan,
    mask,
    timing: {
      gradientMs: stages.reduce((sum, { gradientMs }) => sum + gradientMs, 0),
      solveMs: stages.reduce((sum, { solveMs }) => sum + solveMs, 0),
      totalMs: ctx.now() - started,
    },
    rounds,
  };
}
