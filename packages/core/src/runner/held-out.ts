/**
 * Held-out training examples, of which no gradient is taken: steps and ridges are accepted on their loss. The loss on the examples
 * that gave the gradients is too optimistic.
 */
import { type Dataset, subset } from "../data/dataset.ts";
import { keptInMemory } from "../data/kept-in-memory.ts";
import type { Model } from "../data/model.ts";
import { type Rng, sampleIndices } from "../rng.ts";
import type { RunContext } from "../run-context.ts";
import type { ResolvedPlan } from "../stages/plan.ts";

/** Held-out examples, at most, and their share of all. */
const most = 5000;
const share = 0.1;
/** Where that share is smaller than this, twice the share is held out, up to as many: on data of few examples the loss of those that gave the gradients means nothing. */
const few = 500;
const shareOfFew = 0.2;
/** Multiply-adds that one evaluation of them may cost: networks that take more an example get fewer, but never fewer than `few`. */
const costLimit = 4e10;

/**
 * How many of so many training examples are set aside.
 *
 * @param size - training examples
 * @param macs - multiply-adds of a forward pass of one example; default 0
 */
export function heldOutCount(size: number, macs = 0): number {
  const count = Math.min(most, affordableCount(macs), Math.floor(size * share));
  return count < few ? Math.min(few, Math.floor(size * shareOfFew)) : count;
}

function affordableCount(macs: number): number {
  return macs > 0 ? Math.max(few, Math.floor(costLimit / macs)) : most;
}

/**
 * On what layers, pruned from their inputs, are compared with their masks alone when all are done: held-out examples where there are some,
 * else some of all. None is set aside from calibration, which reads no labels.
 */
export function splitOfLayers(spec: { data?: Dataset; heldOut?: Dataset; macs: number }, ctx: RunContext): Split {
  const { data, heldOut, macs } = spec;
  const all = heldOut ?? data;
  if (!all) return { isHeldOut: false };
  return { accept: someOf(all, affordable(macs), ctx.rng.fork("judge")), isHeldOut: heldOut !== undefined };
}

function affordable(macs: number): number {
  return Math.min(most, affordableCount(macs));
}

function someOf(all: Dataset, count: number, rng: Rng): Dataset {
  return keptInMemory(all.size <= count ? all : subset(all, sampleIndices(all.size, count, rng)));
}

/** Examples on which steps are accepted, and what is left for gradients. */
export interface Split {
  /** What gradients are taken of; absent: all. */
  readonly data?: Dataset;
  /** Where steps are accepted; absent: no examples, or a model that cannot be evaluated. */
  readonly accept?: Dataset;
  /** Whether no gradient is taken of `accept`. */
  readonly isHeldOut: boolean;
}

/**
 * The held-out examples of a run and the examples that are left for gradients. Where none can be spared, because there are few or the
 * plan needs them, `accept` is drawn from all.
 */
export function splitHeldOut(
  spec: { model: Model; data?: Dataset; heldOut?: Dataset; plan: ResolvedPlan; macs: number },
  ctx: RunContext,
): Split {
  const { model, data, heldOut, plan, macs } = spec;
  if (!model.evaluate) return { isHeldOut: false };
  const rng = ctx.rng.fork("judge");
  if (heldOut) return { accept: someOf(heldOut, affordable(macs), rng), isHeldOut: true };
  if (!data) return { isHeldOut: false };
  const count = heldOutCount(data.size, macs);
  const needed = Math.max(plan.examples, plan.targetExamples) * plan.batch;
  if (count === 0 || data.size - count < Math.min(needed, data.size)) {
    return { accept: someOf(data, most, rng), isHeldOut: false };
  }
  const isOut = new Uint8Array(data.size);
  for (const index of sampleIndices(data.size, count, rng)) isOut[index] = 1;
  const chosen = (bit: number) =>
    subset(
      data,
      Uint32Array.from({ length: data.size }, (_, index) => index).filter((index) => isOut[index] === bit),
    );
  return { data: chosen(0), accept: keptInMemory(chosen(1)), isHeldOut: true };
}
