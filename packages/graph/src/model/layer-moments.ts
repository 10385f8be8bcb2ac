/**
 * Second moments of what the layers see, for Kronecker-factored curvature: with x an input row of a weight and delta the slope of the loss at its
 * output,
 *   A = mean over examples of the sum over positions of x x',   B = mean over examples and positions of delta delta'
 * (Martens and Grosse 2015; convolutions: Grosse and Martens 2016). Slopes at the outputs are drawn, so that the moments are those of the
 * Gauss-Newton matrix. Departure: where a batch normalisation follows whose statistics are measured anew, x may be taken less its mean.
 */
import {
  type LayerMoments,
  type Mat,
  type Moments,
  type MomentsRequest,
  matrix,
  type Pool,
  type RunContext,
  type Task,
  targetsOf,
  type Vec,
  withPool,
  zeros,
  zerosLike,
} from "@secateur/core";
import { noDerivative } from "../errors.ts";
import type { WeightGradient, WeightSink } from "../operator.ts";
import type { GraphParam } from "../plan/params.ts";
import { mixtureOf } from "../plan/weight-steps.ts";
import { recordGraph } from "../run/tape.ts";
import { joined, lossOf } from "./gradients.ts";
import type { GraphState } from "./graph-state.ts";
import { deltasOf, outputsOf, passesOf, passSize } from "./passes.ts";
import { sumSink } from "./weight-sinks.ts";

/**
 * Takes the moments of some weights. Time: a forward and a backward pass (two with the gradient), and in^2 / 2 multiply-adds a position.
 *
 * @throws as gradientRows; ERR_NO_DERIVATIVE for transposed convolutions, weights that several nodes use, and states whose rows see different ones
 */
export async function layerMoments(
  state: GraphState,
  request: MomentsRequest & { readonly task: Task },
  { params, ctx }: { params: readonly GraphParam[]; ctx: RunContext },
): Promise<Moments> {
  const { data, examples, task, temperature, gradient, centred } = request;
  for (const { name, order, uses } of params) {
    if (order.kind === "conv-transpose" || uses.length > 1)
      throw noDerivative({ node: `of '${name}'`, what: "moments" });
  }
  const rng = ctx.rng.fork("moments");
  const size = await passSize(state, data);
  return await withPool(ctx.kernels, state.dtype, async (pool) => {
    const sums = new Map(params.map(({ name }) => [name, { groups: [], positions: 0 } as Sums]));
    const slopes = new Map<string, Vec>(
      gradient ? params.map(({ name, live }) => [name, zeros(live.data.length, state.dtype)]) : [],
    );
    const total = { sum: 0, count: 0 };
    for await (const pass of passesOf(state, { data, examples, size }, ctx)) {
      for (const param of params) {
        const why = mixtureOf(pass.plan, param);
        if (why) throw noDerivative({ node: `of '${param.name}'`, what: `moments (${why})` });
      }
      const tape = recordGraph({ ...pass, pool });
      const { loss, deltas } = lossOf(state, pass, { task, tape, pool, examples });
      total.sum += loss.sum;
      total.count += loss.count;
      const outputs = outputsOf(state, pass, tape.outputs);
      const drawn = zerosLike(outputs);
      task.outputFactor({ outputs, targets: targetsOf(task, pass.batch), temperature }).draw(rng, drawn);
      tape.backward(deltasOf(state, pass, drawn), momentSink(sums, { ...pass, pool }));
      if (gradient) tape.backward(deltas, sumSink(slopes, { alpha: 1 / examples.length, pool }));
      tape.release();
    }
    return {
      layers: params.flatMap((param) =>
        finished(sums.get(param.name)!, {
          param,
          examples: examples.length,
          centred: centred && state.normed.has(param.name),
        }),
      ),
      ...(gradient ? { gradient: joined([...slopes.values()], state.dtype) } : {}),
      loss: total.sum / total.count,
    };
  });
}

/**
 * Outputs whose slopes have moments with each other. Of more, such as the classes of a recogniser, blocks of so many are taken apart: one matrix over
 * 6,625 classes costs more time and memory than all other layers of such a network, and of a softmax it is nearly diagonal.
 */
const mostOutputs = 1024;

/** Sums of one weight, by group of its convolution. */
interface Sums {
  /** Of the slopes one matrix for each block of outputs. */
  readonly groups: { readonly inputs: Mat; readonly deltas: readonly Mat[]; readonly total: Vec }[];
  /** Rows of inputs seen. */
  positions: number;
}

function square(size: number): Mat {
  return matrix(size, size, new Float64Array(size * size));
}

function momentSink(
  sums: ReadonlyMap<string, Sums>,
  { fed, count, pool }: { fed: number; count: number; pool: Pool },
): WeightSink {
  return {
    wants: (param) => sums.has(param),
    take: (param, gradient) => addMoments(sums.get(param)!, gradient, { units: (gradient.units / fed) * count, pool }),
  };
}

function addMoments(sums: Sums, gradient: WeightGradient, { units, pool }: { units: number; pool: Pool }): void {
  const { kernels } = pool;
  for (let group = 0; group < gradient.groups; group++) {
    const delta = gradient.deltaOf(group);
    const rows = (delta.rows / gradient.units) * units;
    const own = matrix(rows, delta.cols, delta.data.subarray(0, rows * delta.cols));
    for (const inputs of gradient.inputs(group, [0, units])) {
      if (group === 0) sums.positions += inputs.rows;
      sums.groups[group] ??= {
        inputs: square(inputs.cols),
        deltas: blocksOf(delta.cols).map(([from, to]) => square(to - from)),
        total: new Float64Array(inputs.cols),
      };
      const known = sums.groups[group]!;
      addGram(inputs, known.inputs, pool);
      const columns = pool.take(inputs.cols);
      kernels.columnSums(inputs, columns);
      for (let j = 0; j < columns.length; j++) known.total[j] = known.total[j]! + columns[j]!;
      pool.give(columns);
    }
    const { deltas } = sums.groups[group]!;
    blocksOf(own.cols).forEach(([from, to], b) => {
      const isAll = to - from === own.cols;
      const part = isAll ? own : matrix(own.rows, to - from, pool.take(own.rows * (to - from)));
      if (!isAll)
        kernels.gatherColumns(
          own,
          Uint32Array.from({ length: to - from }, (_, i) => from + i),
          part,
        );
      addGram(part, deltas[b]!, pool);
      if (!isAll) pool.give(part.data);
    });
    if (gradient.groups > 1) pool.give(delta.data);
  }
}

function blocksOf(outputs: number): readonly (readonly [from: number, to: number])[] {
  const count = Math.max(1, Math.ceil(outputs / mostOutputs));
  return Array.from({ length: count }, (_, b) => [b * mostOutputs, Math.min(outputs, (b + 1) * mostOutputs)] as const);
}

/** out += a'a, summed in the kernels' dtype a part at a time and in f64 over the parts. */
function addGram(a: Mat, out: Mat, pool: Pool): void {
  const part = matrix(out.rows, out.cols, pool.take(out.data.length));
  pool.kernels.gram({ a, transpose: true, out: part });
  for (let i = 0; i < part.data.length; i++) out.data[i] = out.data[i]! + part.data[i]!;
  pool.give(part.data);
}

function finished(
  { groups, positions }: Sums,
  { param, examples, centred }: { param: GraphParam; examples: number; centred: boolean },
): readonly LayerMoments[] {
  return groups.flatMap(({ inputs, deltas, total }, group): readonly LayerMoments[] => {
    const size = inputs.cols;
    const mean = centred ? total.map((sum: number) => sum / positions) : undefined;
    const A = inputs.data.map((sum: number, e: number) => {
      const common = mean ? positions * mean[Math.floor(e / size)]! * mean[e % size]! : 0;
      return (sum - common) / examples;
    });
    const outputs = deltas.reduce((sum, { rows }) => sum + rows, 0);
    return deltas.map(({ rows, cols, data }, b) => ({
      param: param.name,
      firstRow: group * outputs + b * mostOutputs,
      inputs: matrix(size, size, A),
      deltas: matrix(
        rows,
        cols,
        data.map((sum: number) => sum / positions),
      ),
    }));
  });
}
