/**
 * Products with the exact Hessian of the mean loss, forward over reverse (Pearlmutter 1994): along v, a forward pass of values and tangents gives R{outputs} = J v,
 * the Hessian B of the loss in the outputs R{delta} = B J v, and a backward pass of delta and R{delta} the change of the gradient,
 *   H v = J'B J v + sum over outputs of delta (d2 output / dw2) v.
 * The first term alone is the Gauss-Newton product. B is the task's root R R', which is the Hessian itself for losses that are convex in the outputs.
 * In eval mode, batch normalisations by themselves, not folded. At a kink (ReLU) the slope is that of the side the value is on.
 */
import {
  checkedLoss,
  classification,
  type HessianProducts,
  type HessianRequest,
  inputRows,
  type Mat,
  matrix,
  type RunContext,
  type Task,
  type Tensors,
  targetsOf,
  type Vec,
  zeros,
} from "@secateur/core";
import { type Model, passSize } from "../derivatives/gradient-passes.ts";
import { meanGradient } from "../derivatives/gradients.ts";
import { channelsLast, dtypeOfWeights } from "../derivatives/tape.ts";
import { graphOf } from "../graph/graph.ts";
import { findParam } from "../graph/param-specs.ts";
import { asOutputs, zeroRows } from "../network-tensors.ts";
import type { Direction } from "../ops/op.ts";
import { type Pool, withPool } from "../pool.ts";
import { curvedPass } from "./curved-pass.ts";

/**
 * The gradient of the mean loss, and products with its Hessian, at the weights as they are now.
 * A product costs about four forward passes and two backward ones; nothing is kept between products but the weights and the examples.
 *
 * @throws ERR_LABEL_RANGE, ERR_TASK, ERR_NOT_FINITE, ERR_ABORTED
 */
export async function hessianProducts(
  model: Model,
  request: HessianRequest,
  ctx: RunContext,
): Promise<HessianProducts> {
  const { params, examples, data, task = classification(), temperature = 1 } = request;
  // A copy: trial weights may be written while products go on.
  const frozen = weightsAt(model, request);
  const { weights } = frozen;
  const softened = temperature === 1 ? task : atTemperature(task, temperature);
  const { gradient, loss, count = examples.length } = await meanGradient(frozen, { ...request, task: softened }, ctx);
  for (let j = 0; j < gradient.length; j++) gradient[j] = (gradient[j]! * examples.length) / count;
  const places = layout(frozen, params);
  const size = Math.max(1, Math.floor(passSize(model.spec) / 4));
  return {
    gradient,
    loss,
    async times(x, out) {
      const sums = zeros(gradient.length, dtypeOfWeights(weights));
      const part = (name: string, whole: Vec): Mat | undefined => {
        const place = places.get(name);
        if (!place) return undefined;
        const { start, rows, cols } = place;
        return matrix(rows, cols, whole.subarray(start, start + rows * cols));
      };
      const v = sums.slice();
      v.set(x);
      for (let from = 0; from < examples.length; from += size) {
        const batch = await data.batch(examples.subarray(from, from + size));
        await withPool(ctx.kernels, dtypeOfWeights(weights), async (pool) =>
          addProduct({
            ...{ model: frozen, pool, task: softened, input: inputRows(batch), targets: targetsOf(softened, batch) },
            direction: (name) => part(name, v),
            target: (name) => part(name, sums)?.data,
            example: (row) => examples[from + row]!,
          }),
        );
        await ctx.tick({ task: "gradients", done: Math.min(from + size, examples.length), total: examples.length });
      }
      for (let j = 0; j < sums.length; j++) out[j] = sums[j]! / count;
    },
  };
}

/** A copy of the model with the given weights of some parameters. */
export function weightsAt(model: Model, { params, at }: Pick<HessianRequest, "params" | "at">): Model {
  const weights = new Map([...model.weights].map(([name, w]) => [name, { ...w, data: w.data.slice() }]));
  for (const [name, { start, rows, cols }] of at ? layout(model, params) : []) {
    weights.get(name)!.data.set(at!.subarray(start, start + rows * cols));
  }
  return { spec: model.spec, weights };
}

/** Adds the product of one batch: of the Hessian of its summed loss. */
function addProduct(call: {
  model: Model;
  pool: Pool;
  task: Task;
  input: Mat;
  targets: Tensors | undefined;
  direction: Direction;
  target(param: string): Vec | undefined;
  example(row: number): number;
}): void {
  const { model, pool, task, targets, direction, target } = call;
  const { spec, weights } = model;
  const graph = graphOf(spec);
  const input = channelsLast(call.input, graph, pool);
  const pass = curvedPass({ graph, first: 0, last: graph.logits, before: () => input, weights, pool, direction });
  const logits = pass.output(graph.logits);
  const moved = pass.tangent(graph.logits);
  if (!moved) return;
  const outputs = asOutputs(logits);
  const delta = zeroRows(logits, pool.dtype);
  const loss = task.loss({ outputs, targets, delta: asOutputs(delta), kernels: pool.kernels });
  checkedLoss(loss, { task, model: spec.name, outputs, example: call.example });
  const root = task.outputFactor({ outputs, targets });
  const through = new Float64Array(logits.rows * root.columns);
  root.transposeTimes(asOutputs(moved), through);
  const change = zeroRows(logits, pool.dtype);
  root.times(through, asOutputs(change));
  pass.gradientChange(new Map([[graph.logits, { delta, change }]]), target);
}

function layout(
  model: Model,
  params: readonly string[],
): ReadonlyMap<string, { start: number; rows: number; cols: number }> {
  let start = 0;
  return new Map(
    params.map((name) => {
      const { rows, cols } = findParam(model, name);
      const place = { start, rows, cols };
      start += rows * cols;
      return [name, place];
    }),
  );
}

/** The task's loss of scores / T, as a loss of the scores: its slope is 1 / T and its Hessian 1 / T^2 of those at the divided scores. */
function atTemperature(task: Task, T: number): Task {
  const divided = (outputs: ReturnType<typeof asOutputs>): ReturnType<typeof asOutputs> =>
    Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => [name, { ...tensor, data: tensor.data.map((s) => s / T) }]),
    );
  const scale = (outputs: ReturnType<typeof asOutputs>): void => {
    for (const { data } of Object.values(outputs)) for (let i = 0; i < data.length; i++) data[i] = data[i]! / T;
  };
  return {
    ...task,
    loss(call) {
      const found = task.loss({ ...call, outputs: divided(call.outputs) });
      if (call.delta) scale(call.delta);
      return found;
    },
    outputFactor(call) {
      const root = task.outputFactor({ ...call, outputs: divided(call.outputs) });
      return {
        ...root,
        times(u, out) {
          root.times(u, out);
          scale(out);
        },
        transposeTimes(t, out) {
          root.transposeTimes(t, out);
          for (let i = 0; i < out.length; i++) out[i] = out[i]! / T;
        },
      };
    },
  };
}
