/** After the last stage: whether all of them together were worth it, and what has to be said about the result. */

import type { Constraint } from "../budget/constraint.ts";
import { magnitudes } from "../budget/magnitudes.ts";
import { type Units, weightMask, weightUnits } from "../budget/units.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { impossibleRun } from "../errors.ts";
import { countZeros, type FlatParam, writeFlat } from "../problem/flat-weights.ts";
import { masked } from "../problem/lift.ts";
import { type Mask, matrix } from "../problem/matrix.ts";
import type { Note } from "../problem/note.ts";
import { quietContext, type RunContext } from "../run-context.ts";
import type { Task } from "../task/task.ts";
import type { Taken } from "./accept-step.ts";
import { areAlike } from "./data-notes.ts";
import { measureLoss } from "./measure-loss.ts";
import { largestLayer, largestWeight } from "./stage-notes.ts";

/** Mean loss before a run and after it, on the same examples. */
export interface RunLoss {
  readonly before: number;
  readonly after: number;
  /** How many examples. */
  readonly examples: number;
  /** Whether no gradient was taken of them, neither for a curvature nor in the training of an earlier round. */
  readonly isHeldOut: boolean;
}

/** Flat weights and their mask. */
export interface Weights {
  readonly weights: Float32Array;
  readonly mask: Mask;
}

/** Everything that is known when the stages are over. */
export interface FinishedStages {
  readonly model: Model;
  readonly params: readonly FlatParam[];
  readonly task: Task;
  /** Examples on which steps were accepted. */
  readonly accept?: Dataset;
  readonly isHeldOut: boolean;
  readonly recalibrate?: (ctx: RunContext) => Promise<void>;
  /** Before the first stage. */
  readonly dense: Weights;
  readonly lossBefore?: number;
  /** After the last stage, and their loss where the stage has measured it. */
  readonly last: Weights;
  readonly lastLoss?: number;
  readonly stages: number;
  /** Whether the last stage has met its own mask already. */
  readonly hasMetMask: boolean;
  readonly triesMagnitude: boolean;
  readonly units: Units;
  /** The budget of the last stage, over those units. */
  readonly constraint: Constraint;
}

/** Takes the best of what several stages gave and what their mask, or the largest magnitudes, give by themselves. Leaves it in the model. @throws ERR_IMPOSSIBLE where that is no weight at all */
export async function finishRun(
  spec: FinishedStages,
  ctx: RunContext,
): Promise<Weights & { readonly taken?: Taken; readonly loss?: RunLoss; readonly notes: readonly Note[] }> {
  const { model, params, accept, lossBefore } = spec;
  const { chosen, loss: after, recalibrated } = await bestOfRun(spec, ctx);
  if (
    countZeros(chosen.weights) === chosen.weights.length &&
    countZeros(spec.dense.weights) < spec.dense.weights.length
  )
    throw impossibleRun(
      "no weight is left: the limit is below what the layers need to keep any as they share it; raise the limit, or leave layers that a limit counts little out of it (keepDense; --keep-dense on the command line)",
    );
  let isRecalibrated = recalibrated === chosen.weights || spec.stages === 0;
  const notes: Note[] = chosen.taken ? [fallbackNote(chosen.taken)] : [];
  if (accept && lossBefore !== undefined && after !== undefined) {
    const nothing = await lossOfNothing({ ...spec, accept, lossBefore, after }, ctx);
    if (nothing !== undefined) isRecalibrated = false;
    const grown = lossNote({ ...spec, lossBefore, after, nothing });
    if (grown) notes.push(grown);
  }
  await writeFlat(model, params, chosen.weights);
  if (!isRecalibrated) await spec.recalibrate?.(quietContext(ctx));
  notes.push(...(await emptiedNotes({ ...spec, weights: chosen.weights }, ctx)));
  return {
    ...chosen,
    notes,
    ...(accept && lossBefore !== undefined && after !== undefined
      ? { loss: { before: lossBefore, after, examples: accept.size, isHeldOut: spec.isHeldOut } }
      : {}),
  };
}

async function bestOfRun(
  spec: FinishedStages,
  ctx: RunContext,
): Promise<{ chosen: Weights & { taken?: Taken }; loss?: number; recalibrated?: Float32Array }> {
  const { accept, dense, last } = spec;
  if (!accept) return { chosen: last };
  const over = (mask: Mask, taken: Taken): Weights & { taken: Taken } => {
    const w = masked(matrix(1, dense.weights.length, dense.weights), weightUnits(mask.length), mask);
    return { weights: Float32Array.from(w.data), mask, taken };
  };
  const rivals: (Weights & { taken: Taken })[] = [];
  const addRival = (rival: Weights & { taken: Taken }): void => {
    const known = [last, ...rivals].some(({ weights }) => weights.every((value, j) => value === rival.weights[j]));
    if (!known) rivals.push(rival);
  };
  if (!spec.hasMetMask) addRival(over(last.mask, "mask"));
  if (spec.triesMagnitude) addRival(over(largestUnits(spec), "magnitude"));
  let chosen: Weights & { taken?: Taken } = last;
  /** What the model was measured with last. */
  let recalibrated: Float32Array | undefined;
  const measure = async (w: Float32Array): Promise<number> => {
    recalibrated = w;
    return await measureLoss({ ...spec, accept, w }, ctx);
  };
  let loss = spec.lastLoss ?? (await measure(last.weights));
  for (const rival of rivals) {
    const rivalLoss = await measure(rival.weights);
    if (rivalLoss < loss || (chosen === last && !Number.isFinite(loss))) [chosen, loss] = [rival, rivalLoss];
  }
  return { chosen, loss, ...(recalibrated ? { recalibrated } : {}) };
}

function largestUnits({ units, constraint, dense }: FinishedStages): Mask {
  return weightMask(units, constraint.select(units.reduce(magnitudes(dense.weights, constraint))));
}

function fallbackNote(taken: Taken): Note {
  return taken === "magnitude"
    ? {
        code: "magnitude-mask",
        level: "warn",
        message:
          "what the solver made of this budget has a higher loss than plain magnitude pruning of the original weights: the latter was taken, and an objective told beside it is of the former; more training examples, or fewer or more stages, may help",
      }
    : {
        code: "mask-alone",
        level: "warn",
        message:
          "what the solver made of the weights that stay has a higher loss than these as they were: those were taken, and an objective told beside it is of the former; more training examples, or fewer or more stages, may help",
      };
}

/** Loss after a run above so many times the one before, and above this share of what a network without these weights has, is worth a warning. */
const muchMore = 2;
const shareOfNothing = 0.5;

type Compared = FinishedStages & { readonly lossBefore: number; readonly after: number };

/** The loss without any of the weights, where it has grown so much that this matters. */
async function lossOfNothing(spec: Compared & { accept: Dataset }, ctx: RunContext): Promise<number | undefined> {
  const { lossBefore, after, last } = spec;
  const isFine = Number.isFinite(after) && after <= muchMore * lossBefore;
  if (isFine || !Number.isFinite(lossBefore)) return undefined;
  return await measureLoss({ ...spec, w: new Float32Array(last.weights.length) }, ctx);
}

function lossNote({
  lossBefore,
  after,
  isHeldOut,
  nothing,
}: Compared & { nothing: number | undefined }): Note | undefined {
  const words = (value: number): string => (Number.isFinite(value) ? value.toPrecision(3) : "not finite");
  if (!Number.isFinite(lossBefore)) {
    const message = `the loss was ${words(lossBefore)} before pruning already; check the weights and the data`;
    return { code: "loss-not-finite", level: "warn", message };
  }
  if (nothing === undefined || after <= shareOfNothing * nothing) return undefined;
  return {
    code: "loss-grew",
    level: "warn",
    message: `the loss on ${isHeldOut ? "held-out" : "the"} training examples grew from ${words(lossBefore)} to ${words(after)}, and without any of these weights it is ${words(nothing)}: little is left of what the network had learned; prune less, or train what is left (--retrain on the command line, with more rounds where it is on already)`,
  };
}

/** Weights of another layer so many times as large are why a layer is emptied. */
const dwarfed = 100;

/** Layers that lost every weight, and whether the output still depends on the input. */
async function emptiedNotes(
  spec: FinishedStages & { weights: Float32Array },
  ctx: RunContext,
): Promise<readonly Note[]> {
  const { params, dense, weights } = spec;
  const isEmpty = (of: Float32Array, { start, size }: FlatParam): boolean =>
    size > 0 && countZeros(of.subarray(start, start + size)) === size;
  const emptied = params.filter((param) => isEmpty(weights, param) && !isEmpty(dense.weights, param));
  if (emptied.length === 0) return [];
  const names = emptied.map(({ name }) => `'${name}'`).join(", ");
  const lost = (await hasConstantOutput(spec, ctx))
    ? "the output no longer depends on the input"
    : "nothing passes through there any more";
  const most = largestLayer(params, dense.weights);
  const ratio = most.largest / Math.max(...emptied.map((param) => largestWeight(param, dense.weights)));
  const cause =
    ratio > dwarfed
      ? ` (the weights of '${most.name}' are ${ratio.toPrecision(2)} times as large as any there were)`
      : "";
  const message = `${names} ${emptied.length === 1 ? "has" : "have"} no weight left${cause}, so ${lost}; bound what a layer may lose (bounds of the option 'budget'; --layer-limit NAME=0.95 on the command line)`;
  return [{ code: "layer-emptied", level: "warn", message }];
}

/** Examples that show whether outputs differ. */
const probes = 64;

async function hasConstantOutput({ model, accept }: FinishedStages, ctx: RunContext): Promise<boolean> {
  if (!model.run || !accept || accept.size < 2) return false;
  const count = Math.min(probes, accept.size);
  const outputs = await model.run(
    await accept.batch(Uint32Array.from({ length: count }, (_, i) => i)),
    quietContext(ctx),
  );
  return areAlike(outputs, count);
}

/** What a run starts with that the user should know: it is sparser than asked for. */
export function sparserNote(sparsity: number, initial: number): Note | undefined {
  if (!(initial > sparsity)) return undefined;
  const message = `the network is sparser than asked for already: ${(100 * initial).toFixed(1)} % of its weights are zero, asked for are ${100 * sparsity} %; no weight is brought back, so it keeps that sparsity`;
  return { code: "input-sparser", level: "warn", message };
}
