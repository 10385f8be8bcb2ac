/**
 * The second half of a round: what a pruning kept is trained with its mask (Han et al. 2015; Zimmer et al. 2023). What was pruned stays
 * 0; a training that ends worse than it began is undone.
 */
import { countKept } from "../budget/constraint.ts";
import { type Dataset, subset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { maskBroken } from "../errors.ts";
import type { Phase } from "../plugin/schedule.ts";
import { type FlatParam, readFlat, writeFlat } from "../problem/flat-weights.ts";
import type { Mask } from "../problem/matrix.ts";
import type { Note } from "../problem/note.ts";
import { sampleIndices } from "../rng.ts";
import { forkContext, quietContext, type RunContext } from "../run-context.ts";
import type { Taken } from "../runner/accept-step.ts";
import { ifFinite, lossOf } from "../runner/measure-loss.ts";
import type { RunState } from "../runner/run-state.ts";
import type { Evaluation } from "../task/evaluate.ts";
import type { Task } from "../task/task.ts";
import { closeRound } from "./close-round.ts";
import { isOver, type StoppingState, withLoss } from "./early-stopping.ts";
import type { RetrainingState } from "./retrainer.ts";
import type { Retraining } from "./retraining.ts";
import { norm, relativeDistance, roundValues } from "./round-report.ts";
import type { TrainingProgress } from "./training-progress.ts";

/** A round of a run. */
export interface Round {
  /** Counted from 0. */
  readonly index: number;
  readonly model: Model;
  readonly params: readonly FlatParam[];
  readonly task: Task;
  /** Training examples on which its end is compared with its start; best held-out ones, which the training does not see. */
  readonly compared?: Dataset;
  readonly retraining: Retraining;
  /** See PruneRequest: what follows from weights that a rewinding brought back. */
  readonly recalibrate?: (ctx: RunContext) => Promise<void>;
  readonly onState?: (state: RunState) => void | Promise<void>;
}

/** A state of a run that trains. */
export type TrainedState = RunState & { readonly training: TrainingProgress };

/** What a round's pruning was. */
export interface RoundPruning {
  /** Flat weights before it, and their mask. */
  readonly start: { readonly weights: Float32Array; readonly mask: Mask };
  /** The model before it, where it is measured. */
  readonly before: Evaluation | undefined;
  readonly taken: Taken | undefined;
  readonly stages: number;
  readonly notes: readonly Note[];
  readonly pruneMs: number;
}

/** Opens a round once its pruning is over: rewinds, measures. The model holds `state.weights`. */
export async function beginTraining(
  { model, params, retraining, recalibrate }: Round,
  state: TrainedState,
  pruning: RoundPruning,
  ctx: RunContext,
): Promise<TrainedState> {
  const { retrainer, rewindTo } = retraining;
  const { start, before, taken, stages, notes, pruneMs } = pruning;
  if (rewindTo) {
    await retrainer.restore(rewindTo);
    await writeFlat(model, params, zeroed(await readFlat(model, params), state.mask));
    // The checkpoint's own are of weights that nothing was pruned of.
    await recalibrate?.(quietContext(ctx));
  }
  const kept = countKept(start.mask);
  const pruned = await measured(retraining);
  const round = {
    ...(before ? { before } : {}),
    ...(pruned ? { pruned } : {}),
    ...(taken ? { taken } : {}),
    pruningDistance: relativeDistance(start.weights, state.weights),
    ...{ stages, notes, pruneMs, retrainMs: 0 },
    normBefore: norm(start.weights),
    normAfter: norm(state.weights),
    prunedFraction: kept === 0 ? 0 : Math.max(0, 1 - countKept(state.mask) / kept),
  };
  return {
    ...state,
    weights: await readFlat(model, params),
    training: { ...state.training, tensors: retrainer.capture(), open: { round } },
  };
}

/** Trains with masks, and closes the round. @throws ERR_MASK where the training brought pruned weights back */
export async function trainRound(spec: Round, state: TrainedState, outer: RunContext): Promise<TrainedState> {
  const { index, model, params, retraining } = spec;
  const { retrainer, phases, earlyStopping } = retraining;
  const phase = phases[index]!;
  const { round: open } = state.training.open!;
  const ctx = forkContext(outer, `retrain ${index}`);
  const rates = phase.rates(phase.epochs * retrainer.stepsPerEpoch, open);
  const started = ctx.now();
  const spentMs = (): number => open.retrainMs + ctx.now() - started;
  // One training that spans several rounds may climb in between; early stopping looks at losses by itself.
  const isWhole = !phase.keepsMomentum && !phases[index + 1]?.keepsMomentum && !earlyStopping;
  const lossBefore = isWhole && phase.epochs > 0 ? await comparedLoss(spec, outer) : undefined;
  const { trained, stopping } = await train({ ...spec, state, phase, rates, spentMs }, ctx);
  if (stopping && stopping.best < trained.epoch) await retrainer.restore(stopping.tensors);
  const lossAfter = lossBefore === undefined ? undefined : await comparedLoss(spec, outer);
  const isUndone = lossBefore !== undefined && !(lossAfter! <= lossBefore);
  const notes = isUndone ? [roundUndone({ round: index + 1, lossBefore, lossAfter: lossAfter! })] : [];
  if (isUndone) await retrainer.restore(state.training.tensors);
  for (const note of notes) ctx.report({ type: "note", ...note });
  const retrainMs = spentMs();
  const weights = await readFlat(model, params);
  const broken = weights.reduce((count, value, j) => (value !== 0 && state.mask[j] === 0 ? count + 1 : count), 0);
  if (broken > 0) throw maskBroken(index + 1, broken);
  const retrained = phase.epochs === 0 ? open.pruned : await measured(retraining);
  const { examples } = retrainer;
  const done = { phase, weights, rates, trained, stopping, retrainMs, retrained, notes };
  const round = closeRound({ params, examples, round: open, pruned: state, ...done });
  const { sparsity } = phase;
  outer.report({ type: "round:end", index, rounds: phases.length, sparsity, values: roundValues(round) });
  const { rounds } = state.training;
  return {
    ...state,
    weights,
    training: {
      ...{ rounds: [...rounds, round], tensors: retrainer.capture(), mask: state.mask },
      ...(phases[index + 1]?.keepsMomentum ? { trained } : {}),
    },
  };
}

/** How many of them, at most. */
const mostCompared = 2000;

/** Mean loss of the model as it is on training examples, the same in every round; nothing without data. Infinite where outputs are not finite. */
async function comparedLoss({ model, compared: data, task }: Round, ctx: RunContext): Promise<number | undefined> {
  if (!data || !model.evaluate) return undefined;
  const some = sampleIndices(data.size, Math.min(mostCompared, data.size), ctx.rng.fork("retraining compared"));
  return lossOf(await ifFinite(() => model.evaluate!(subset(data, some), quietContext(ctx), { task })));
}

/** The measurement of a report, which decides nothing: absent too where outputs are not finite. */
export async function measured({ measure }: Retraining): Promise<Evaluation | undefined> {
  return measure && (await ifFinite(() => measure()));
}

function roundUndone(spec: { round: number; lossBefore: number; lossAfter: number }): Note {
  const { round, lossBefore, lossAfter } = spec;
  // As many digits as tell them apart.
  const digits = [3, 5, 8].find((count) => lossBefore.toPrecision(count) !== lossAfter.toPrecision(count)) ?? 17;
  const [before, after] = [lossBefore, lossAfter].map((loss) => loss.toPrecision(digits));
  return {
    code: "round-undone",
    level: "warn",
    message: `round ${round}: training ended with a loss of ${after} on the training examples it is judged by, above the ${before} right after pruning, so its start is kept; a lower learning rate, or augmentation as in the first training, may help`,
  };
}

/** The training of a round, from wherever it was interrupted. */
async function train(
  spec: Round & { state: TrainedState; phase: Phase; rates: ArrayLike<number>; spentMs: () => number },
  ctx: RunContext,
): Promise<{ trained: RetrainingState; stopping: StoppingState | undefined }> {
  const { state, params, phase, rates, spentMs, onState } = spec;
  const { retrainer, earlyStopping } = spec.retraining;
  const open = state.training.open!;
  let stopping = await lossBeforeTraining(spec.retraining, open.stopping);
  // Interrupted right after the epoch that ended it, a training has nothing left to do.
  const isDone = stopping !== undefined && earlyStopping !== undefined && isOver(stopping, earlyStopping.patience);
  const onEpoch = async (training: RetrainingState): Promise<"go on" | "stop"> => {
    let answer: "go on" | "stop" = "go on";
    if (stopping && earlyStopping) {
      stopping = withLoss(stopping, lossOf(await ifFinite(() => earlyStopping.evaluate())), retrainer.capture());
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
    const now = { ...open, round, training, ...(stopping ? { stopping } : {}) };
    await onState?.({ ...state, training: { ...state.training, open: now } });
    return answer;
  };
  const trained = await retrainer.retrain(
    {
      epochs: isDone ? (open.training?.epoch ?? 0) : phase.epochs,
      learningRate: (step) => rates[step]!,
      masks: masksByName(state.mask, params),
      ...(open.training ? { resume: open.training } : {}),
      ...(!open.training && phase.keepsMomentum && state.training.trained ? { after: state.training.trained } : {}),
      onEpoch,
    },
    ctx,
  );
  return { trained, stopping };
}

/** The held-out loss before the first epoch: a round that only makes things worse keeps its start. */
async function lossBeforeTraining(
  { earlyStopping, retrainer }: Retraining,
  saved: StoppingState | undefined,
): Promise<StoppingState | undefined> {
  if (!earlyStopping || saved) return saved;
  return withLoss(undefined, lossOf(await ifFinite(() => earlyStopping.evaluate())), retrainer.capture());
}

function masksByName(mask: Mask, params: readonly FlatParam[]): ReadonlyMap<string, Mask> {
  return new Map(params.map(({ name, start, size }) => [name, mask.slice(start, start + size)]));
}

function zeroed(weights: Float32Array, mask: Mask): Float32Array {
  return weights.map((value, j) => (mask[j] === 1 ? value : 0));
}
