/**
 * Which steps of a plan one convolution of the kernels does: a product with weights, a batch normalisation behind it as the scale and bias of
 * its sums, a bias that is added, another value that is added, and the positive part. A value between them is never written out.
 */
import type { ConvolutionShape } from "@secateur/core";
import { ofNode } from "../operators/node-facts.ts";
import type { Plan, Step } from "../plan/plan.ts";

/** A product with weights as a convolution, by positions of inputs of its step. */
export interface ConvolutionView {
  readonly shape: ConvolutionShape;
  readonly x: number;
  readonly weights: number;
  readonly bias: number | undefined;
  /** Whether the weights lie as [channels, outputs] and have to be transposed: a constant. */
  readonly isTransposed?: boolean;
  /** Numbers that the kernels compute. */
  readonly length: number;
  /** Images as the kernels want them, where those of the input are not. */
  readonly images?: MovedRuns;
  /** Outputs that are kept, where the kernels compute more. */
  readonly kept?: MovedRuns;
}

/** Numbers that lie together, moved to a vector of `length`: triples of where they go, where they come from (-1: zeros), and how many. */
export interface MovedRuns {
  readonly length: number;
  readonly runs: Int32Array;
}

/** Steps that are one call. `bias` and `sum` are numbers of values of the plan. */
export interface Layer {
  readonly step: Step;
  readonly view: ConvolutionView;
  /** The step whose output is the call's. */
  readonly last: Step;
  readonly norm?: Step;
  readonly bias?: number;
  /** What is added to the sums. */
  readonly sum?: number;
  readonly isRectified: boolean;
}

/** Values that a layer reads. */
export function readBy({ step, norm, bias, sum }: Layer): readonly number[] {
  const own = [...step.inputs, ...(norm?.inputs.slice(1) ?? []), bias, sum];
  return own.filter((slot) => slot !== undefined);
}

/** The layer that a step is, by itself. */
export function layerOf(step: Step, { types, constants, live }: Plan): Layer | undefined {
  const inputs = step.inputs.map((slot) => {
    if (slot === undefined) return undefined;
    // Numbers of statistics and biases may change while the plan is in use.
    const { data } = live.has(slot) ? {} : (constants.get(slot) ?? {});
    return { ...types[slot]!, ...(data ? { data } : {}) };
  });
  const view = ofNode(step.node, () => step.operator.convolution?.({ ...step, inputs }));
  if (!view) return undefined;
  const bias = view.bias === undefined ? undefined : step.inputs[view.bias];
  return { step, view, last: step, isRectified: false, ...(bias === undefined ? {} : { bias }) };
}

/**
 * The layer with `step` added, a step that alone reads its output; undefined where that is another call.
 *
 * @param isFree - whether some step (no input, no constant) makes the value and no other step reads it
 */
export function withStep(
  before: Layer,
  step: Step,
  at: { readonly plan: Plan; readonly isFree: (slot: number) => boolean },
): Layer | undefined {
  const { plan, isFree } = at;
  const [output] = before.last.outputs;
  if (before.isRectified) return undefined;
  const after = { ...before, last: step };
  if (step.operator.name === "BatchNormalization") {
    const areKnown = step.inputs.slice(1, 5).every((slot) => slot !== undefined && plan.constants.has(slot));
    const isNext = !before.norm && before.sum === undefined && step.inputs[0] === output && areKnown;
    return isNext && step.types.length === 1 ? { ...after, norm: step } : undefined;
  }
  const { program } = step;
  if (program?.steps.length !== 1) return undefined;
  const [name, a, b] = program.steps[0]!;
  if (name === "max")
    return program.inputs === 1 && program.numbers[0] === 0 ? { ...after, isRectified: true } : undefined;
  if (name !== "add" || before.sum !== undefined || program.inputs !== 2 || a === b) return undefined;
  const other = step.inputs.slice(0, 2).find((slot) => slot !== output);
  if (other === undefined) return undefined;
  const { shape, kind } = plan.types[other]!;
  if (kind !== "real") return undefined;
  const { outputs } = before.view.shape;
  const isRow =
    plan.constants.has(other) &&
    shape.at(-1) === outputs &&
    shape.every((e, axis) => e === 1 || axis === shape.length - 1);
  if (isRow && shape.length <= step.types[0]!.shape.length && before.bias === undefined && !before.norm)
    return { ...after, bias: other };
  const isWhole =
    shape.join() === plan.types[output!]!.shape.join() && !plan.constants.has(other) && !plan.params.has(other);
  // What is computed besides what is kept has nothing to be added to.
  if (!isWhole || before.view.kept || !isFree(other) || readBy(before).includes(other)) return undefined;
  return { ...after, sum: other };
}
