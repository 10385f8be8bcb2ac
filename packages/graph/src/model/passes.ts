/** Examples of a dataset as values of the graph, as many at a time as memory should hold. */
import {
  type Batch,
  type Dataset,
  type FloatTensors,
  formatShape,
  inputName,
  type RunContext,
  sizeOfShape,
  type Tensor,
  type TensorSpec,
  throwIfAborted,
  type Vec,
  zeros,
} from "@secateur/core";
import { badInput, badNode, missingInput } from "../errors.ts";
import type { Plan } from "../plan/plan.ts";
import { numbersOf, type Shape, type Value } from "../value.ts";
import { growsAlong, moved, rowsAreByExample, withExamplesAt, withExamplesFirst } from "./example-order.ts";
import type { GraphState } from "./graph-state.ts";

/** The most examples a pass: how long an abort waits. */
const mostExamples = 512;
/** Numbers that the values of one pass may take: 64 MiB of f32. */
const passNumbers = 16 * 1024 * 1024;

/** Numbers of an input in one pass: 256 MiB of f32, a few hundred images of the usual size. */
const mostInputNumbers = 2 ** 26;

/** Some examples, ready to run. */
export interface Pass {
  /** Place of the first of them among the requested ones. */
  readonly start: number;
  /** How many there are; a graph that takes a fixed number is fed copies of the last one beyond. */
  readonly count: number;
  /** How many the graph is fed. */
  readonly fed: number;
  readonly batch: Batch;
  readonly plan: Plan;
  readonly inputs: ReadonlyMap<string, Value>;
}

/** Examples a pass: a multiple of `group` unless one group is more. Plans the graph for one example of the data. */
export async function passSize(state: GraphState, data: Dataset, group = 1): Promise<number> {
  if (state.fixedBatch !== undefined) return state.fixedBatch;
  const one = await data.batch(Uint32Array.of(0));
  const plan = state.planFor(shapesOf(valuesOf(state, one, 1)));
  const most = Math.min(mostExamples, Math.floor(passNumbers / Math.max(1, plan.size)));
  return Math.max(1, Math.floor(most / group)) * group;
}

/**
 * The same for gradients by example: one at a time where the rows of products are not those of one example after the other. A graph of a fixed number
 * of examples is taken at its word where its inputs have them first: what happens inside cannot be told from one number.
 *
 * @throws ERR_GRAPH_INPUT for a fixed number of examples along another axis
 */
export async function rowPassSize(state: GraphState, data: Dataset, group = 1): Promise<number> {
  const size = await passSize(state, data, group);
  if (size === 1 || !state.mayTurn) return size;
  if (state.fixedBatch === undefined) return (await areRowsByExample(state, data)) ? size : 1;
  const turned = state.inputs.find(({ name }) => state.axes.has(name));
  if (!turned) return size;
  const found = `${state.fixedBatch} examples at a time along axis ${state.axes.get(turned.name)}`;
  const expected = "a model that takes any number of them, for gradients by example";
  throw badInput({ where: state.name, input: turned.name, found, expected });
}

const judged = new WeakMap<GraphState, boolean>();

async function areRowsByExample(state: GraphState, data: Dataset): Promise<boolean> {
  const before = judged.get(state);
  if (before !== undefined) return before;
  const one = await data.batch(Uint32Array.of(0));
  const found = rowsAreByExample((count) => state.planFor(shapesOf(valuesOf(state, one, count))));
  judged.set(state, found);
  return found;
}

/** Walks chosen examples of a dataset. @throws ERR_GRAPH_INPUT, ERR_OPERATOR, ERR_GRAPH_NODE, ERR_ABORTED */
export async function* passesOf(
  state: GraphState,
  request: { readonly data: Dataset; readonly examples: Uint32Array; readonly size: number },
  ctx: RunContext,
): AsyncGenerator<Pass> {
  const { data, examples, size } = request;
  for (let start = 0; start < examples.length; start += size) {
    throwIfAborted(ctx.signal);
    const indices = examples.subarray(start, Math.min(start + size, examples.length));
    yield passOf(state, await data.batch(indices), start);
    await ctx.tick({ task: "gradients", done: start + indices.length, total: examples.length });
  }
}

/** One batch as a pass. */
export function passOf(state: GraphState, batch: Batch, start: number): Pass {
  const fed = Math.max(batch.size, state.fixedBatch ?? 0);
  const inputs = valuesOf(state, batch, fed);
  return { start, count: batch.size, fed, batch, inputs, plan: state.planFor(shapesOf(inputs)) };
}

function shapesOf(values: ReadonlyMap<string, Value>): ReadonlyMap<string, Shape> {
  return new Map([...values].map(([name, { shape }]) => [name, shape]));
}

/** The inputs of a batch, `fed` examples of them. */
function valuesOf(state: GraphState, batch: Batch, fed: number): ReadonlyMap<string, Value> {
  const names = Object.keys(batch.inputs);
  return new Map(
    state.inputs.map((spec): [string, Value] => {
      const sole = state.inputs.length === 1 ? (names.length === 1 ? names[0]! : inputName) : spec.name;
      const tensor = batch.inputs[spec.name] ?? batch.inputs[sole];
      if (!tensor) {
        throw missingInput({ where: state.name, input: spec.name, given: names });
      }
      return [spec.name, toValue(state, spec, { tensor, fed })];
    }),
  );
}

function toValue(state: GraphState, spec: TensorSpec, { tensor, fed }: { tensor: Tensor; fed: number }): Value {
  const shape = fittedShape(state, spec, tensor);
  const kind = state.kinds.get(spec.name)!;
  const axis = state.axes.get(spec.name) ?? 0;
  const size = sizeOfShape(shape);
  const own = fed * size;
  if (!(own <= mostInputNumbers)) {
    throw badInput({
      ...{ where: state.name, input: spec.name, found: `${fed} examples of ${size} numbers in a pass` },
      expected: `at most ${mostInputNumbers} numbers: a file may fix any number of examples`,
    });
  }
  const isPlain = kind === "real" && tensor.data.length === own;
  if (isPlain && state.dtype === (tensor.data instanceof Float64Array ? "f64" : "f32") && isFloat(tensor)) {
    return turned({ kind, shape: [fed, ...shape], data: tensor.data as Vec }, axis);
  }
  const data = numbersOf(kind, own, state.dtype);
  for (let i = 0; i < own; i++) {
    // A graph of a fixed number of examples is fed the last one again.
    data[i] = Number(tensor.data[i < tensor.data.length ? i : tensor.data.length - size + (i % size)]);
  }
  return turned({ kind, shape: [fed, ...shape], data }, axis);
}

/** A value with its examples along the axis where the graph has them. */
function turned(value: Value, axis: number): Value {
  return { kind: value.kind, ...withExamplesAt(value, axis) };
}

function isFloat({ data }: Tensor): boolean {
  return data instanceof Float32Array || data instanceof Float64Array;
}

/** The shape of one example as the graph has it: the data's, or the graph's where axes of extent 1 tell them apart or the data are flat. */
function fittedShape(state: GraphState, spec: TensorSpec, tensor: Tensor): readonly number[] {
  const given = tensor.shape.slice(1);
  const fits = given.length === spec.shape.length && spec.shape.every((e, i) => e === null || e === given[i]);
  if (fits) return given;
  const isWhole = spec.shape.every((extent) => extent !== null);
  const wanted = spec.shape as readonly number[];
  const isSame = withoutOnes(wanted) === withoutOnes(given) || given.length === 1;
  if (isWhole && sizeOfShape(wanted) === sizeOfShape(given) && isSame) return wanted;
  const found = `examples of shape ${formatShape(given)}`;
  throw badInput({ where: state.name, input: spec.name, found, expected: formatShape(spec.shape) });
}

function withoutOnes(shape: readonly number[]): string {
  return shape.filter((extent) => extent !== 1).join();
}

/** Outputs of a run by their names, the examples that were asked for only. Two outputs of one value share its memory. */
export function outputsOf(state: GraphState, pass: Pass, values: ReadonlyMap<string, Value>): FloatTensors {
  const { count, fed, plan, inputs } = pass;
  const { axes, planOnce, fixedBatch } = state;
  return Object.fromEntries(
    [...state.sourceOf].map(([name, value]) => {
      const axis = state.axes.get(name) ?? 0;
      const made = values.get(value)!;
      const isThere =
        axis === 0 ||
        (made.shape[axis] === fed &&
          (fixedBatch !== undefined || growsAlong(axis, value, { plan, inputs, axes, planFor: planOnce })));
      if (!isThere) {
        const found = `an array of ${formatShape(made.shape)} for ${fed} examples`;
        const expected = `examples along axis ${axis}, as the model says`;
        throw badNode({ node: `that gives the output '${name}'`, found, expected });
      }
      const { shape, data } = withExamplesFirst(made, axis);
      const [first = 1, ...rest] = shape;
      const perExample = Math.floor((first * sizeOfShape(rest)) / fed);
      // Of an output that is not by example nothing is anybody's, and the only one is no answer at all.
      if (perExample * fed !== shape.reduce((product, extent) => product * extent, 1) && state.sourceOf.size === 1) {
        const found = `an array of ${formatShape(shape)} for ${fed} examples`;
        throw badNode({ node: `that gives the output '${name}'`, found, expected: "numbers of each example" });
      }
      const kept = (data as Vec).subarray(0, count * perExample);
      // An output whose first axis counts more than examples keeps its numbers by example.
      const fitted = first === fed ? [count, ...rest] : [count, perExample];
      return [name, { shape: fitted, data: kept }];
    }),
  );
}

/** Slopes at the outputs, by the values they are read from, zero for examples that are only there to fill up. */
export function deltasOf(state: GraphState, { plan }: Pass, slopes: FloatTensors): ReadonlyMap<string, Vec> {
  const deltas = new Map<string, Vec>();
  for (const [name, value] of state.sourceOf) {
    const { shape } = plan.types[plan.outputs.get(value)!]!;
    const axis = state.axes.get(name) ?? 0;
    const zero = (): Vec => zeros(sizeOfShape(shape), state.dtype);
    const own = zero();
    own.set(slopes[name]!.data);
    const placed = withExamplesAt({ shape: moved(shape, axis, 0), data: own }, axis).data;
    const delta = deltas.get(value) ?? zero();
    // Two outputs may be of one value: its slope is the sum of theirs.
    for (let i = 0; i < placed.length; i++) delta[i]! += placed[i]!;
    deltas.set(value, delta);
  }
  return deltas;
}
