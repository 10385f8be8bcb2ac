/**
 * The outputs around the present weights, J x and J'u without forming J: tangents forward, deltas backward, through tapes of the examples.
 * Tapes are kept for as many examples as memory should hold; further ones run again for every product.
 */
import {
  batchDataset,
  createPool,
  type FloatTensors,
  firstNotFinite,
  type GradientRequest,
  type Linearization,
  mapTensors,
  matrix,
  notFiniteOutput,
  type Pool,
  type RunContext,
  sizeOfShape,
  takeAllExamples,
  type Vec,
  zeros,
} from "@secateur/core";
import type { WeightSink } from "../operator.ts";
import type { GraphParam } from "../plan/params.ts";
import { stepsWith } from "../plan/weight-steps.ts";
import { recordGraph, type Tape } from "../run/tape.ts";
import { withExamplesFirst } from "./example-order.ts";
import type { GraphState } from "./graph-state.ts";
import { deltasOf, outputsOf, type Pass, passOf, rowPassSize } from "./passes.ts";
import { sumSink } from "./weight-sinks.ts";

/** Examples that run together. */
const chunkExamples = 64;
/** Numbers that are kept of all examples: 1 GiB of f32. */
const keptNumbers = 256 * 1024 * 1024;
/** Numbers that gradients of single examples may take at a time: 64 MiB of f32. */
const rowNumbers = 16 * 1024 * 1024;

/** Examples [start, start + count) and, while there is room, their tape. */
interface Chunk {
  readonly pass: Pass;
  readonly tape?: Tape;
}

interface Linearized {
  readonly state: GraphState;
  readonly params: readonly GraphParam[];
  /** The weights it was taken at. */
  readonly weights: ReadonlyMap<string, Vec>;
  readonly starts: ReadonlyMap<string, number>;
  readonly dim: number;
  readonly chunks: readonly Chunk[];
  readonly pool: Pool;
  readonly outputs: FloatTensors;
}

/** Linearises over some examples. Memory: up to 1 GiB of values in kernel memory. @throws as gradientRows, but for the task's */
export async function linearize(
  state: GraphState,
  request: Omit<GradientRequest, "batch" | "task">,
  { params, ctx }: { params: readonly GraphParam[]; ctx: RunContext },
): Promise<Linearization> {
  const { data, examples } = request;
  const pool = createPool(ctx.kernels, state.dtype);
  try {
    const batch = await data.batch(examples);
    const size = state.fixedBatch ?? Math.min(chunkExamples, examplesAtOnce(params), await rowPassSize(state, data));
    // Copies: trial weights may be written into the model while products with J go on.
    const weights = new Map([...state.params].map(([name, { live }]) => [name, copyOf(live.data, pool)]));
    const chunks: Chunk[] = [];
    let outputs: FloatTensors | undefined;
    let kept = 0;
    for (let start = 0; start < examples.length; start += size) {
      const indices = Uint32Array.from({ length: Math.min(size, examples.length - start) }, (_, i) => start + i);
      const part = { size: indices.length, inputs: takeAllExamples(batch.inputs, indices) };
      const pass = passOf(state, part, start);
      const tape = recordGraph({ ...pass, pool, weights });
      const own = outputsOf(state, pass, tape.outputs);
      outputs ??= emptyOutputs(own, examples.length);
      for (const [name, { shape, data: numbers }] of Object.entries(own)) {
        outputs[name]!.data.set(numbers, start * sizeOfShape(shape.slice(1)));
      }
      kept += pass.plan.size;
      const isKept = kept <= keptNumbers;
      if (!isKept) tape.release();
      chunks.push({ pass, ...(isKept ? { tape } : {}) });
      await ctx.tick({ task: "gradients", done: start + indices.length, total: examples.length });
    }
    assertFiniteOutputs(state, outputs!, examples);
    const starts = new Map<string, number>();
    let dim = 0;
    for (const { name, live } of params) {
      starts.set(name, dim);
      dim += live.data.length;
    }
    const whole: Linearized = { state, params, weights, starts, dim, chunks, pool, outputs: outputs! };
    const found: Linearization = {
      ...productsOf(whole),
      sample: batchDataset(data, batch),
      ...(batch.targets ? { targets: batch.targets } : {}),
      restricted: (columns) => overColumns(found, columns),
    };
    return found;
  } catch (error) {
    pool.close();
    throw error;
  }
}

function assertFiniteOutputs(state: GraphState, outputs: FloatTensors, examples: Uint32Array): void {
  const isWhole = Object.values(outputs).every(({ data }) => data.every((value: number) => Number.isFinite(value)));
  if (!isWhole) throw notFiniteOutput(state.name, examples[firstNotFinite(outputs)]!);
}

function copyOf(vector: Vec, pool: Pool): Vec {
  const out = pool.take(vector.length);
  out.set(vector);
  return out;
}

function emptyOutputs(like: FloatTensors, count: number): FloatTensors {
  return mapTensors(like, ({ shape, data }) => ({
    shape: [count, ...shape.slice(1)],
    data: zeros(count * sizeOfShape(shape.slice(1)), data instanceof Float64Array ? "f64" : "f32"),
  }));
}

/** Products with J and J', of everything but what describes the sample. */
function productsOf(whole: Linearized): Omit<Linearization, "sample" | "restricted"> {
  return {
    dim: whole.dim,
    outputs: whole.outputs,
    cost: whole.chunks.reduce((sum, { pass }) => sum + pass.plan.flops, 0),
    forward: (x, out) => forward(whole, x, out),
    backward: (u, out) => backward(whole, u, out),
    sumOfSquares: (us, out) => sumOfSquares(whole, us, out),
    release: () => whole.pool.close(),
  };
}

/** Visits all examples, in the chunks they were recorded in. */
function eachTape({ chunks, pool, weights }: Linearized, visit: (tape: Tape, pass: Pass) => void): void {
  for (const { pass, tape } of chunks) {
    const own = tape ?? recordGraph({ ...pass, pool, weights });
    visit(own, pass);
    if (!tape) own.release();
  }
}

function forward(whole: Linearized, x: Vec, out: FloatTensors): void {
  const { starts, params, state } = whole;
  const sizes = new Map(params.map(({ name, live }) => [name, live.data.length]));
  eachTape(whole, (tape, pass) => {
    const changes = tape.tangent((name) => {
      const start = starts.get(name);
      return start === undefined ? undefined : x.subarray(start, start + sizes.get(name)!);
    });
    for (const [name, value] of state.sourceOf) {
      const axis = state.axes.get(name) ?? 0;
      const { shape } = pass.plan.types[pass.plan.outputs.get(value)!]!;
      const [target, change] = [out[name]!, withExamplesFirst({ shape, data: changes.get(value)! }, axis).data];
      const perExample = sizeOfShape(target.shape.slice(1));
      target.data.set(change.subarray(0, pass.count * perExample), pass.start * perExample);
    }
  });
}

/** The part of tensors that belongs to a pass. */
function partOf(u: FloatTensors, { start, count }: Pass): FloatTensors {
  return mapTensors(u, ({ shape, data }) => {
    const perExample = sizeOfShape(shape.slice(1));
    return { shape: [count, ...shape.slice(1)], data: data.subarray(start * perExample, (start + count) * perExample) };
  });
}

function backward(whole: Linearized, u: FloatTensors, out: Vec): void {
  out.fill(0);
  const { params, starts, pool, state } = whole;
  const sums = new Map(
    params.map(({ name, live }) => {
      const start = starts.get(name)!;
      return [name, out.subarray(start, start + live.data.length)] as const;
    }),
  );
  eachTape(whole, (tape, pass) => {
    tape.backward(deltasOf(state, pass, partOf(u, pass)), sumSink(sums, { alpha: 1, pool }));
  });
}

/** Every example's gradient in turn, squared into the sums. */
function sumOfSquares(whole: Linearized, us: Iterable<FloatTensors>, out: Vec): void {
  out.fill(0);
  const { params, starts, state, pool } = whole;
  const plans = new Set(whole.chunks.map(({ pass }) => pass.plan));
  const usesIn = new Map(
    [...plans].map((plan) => [plan, new Map(params.map(({ name }) => [name, stepsWith(plan, name).length]))]),
  );
  for (const u of us) {
    eachTape(whole, (tape, pass) => {
      const used = usesIn.get(pass.plan)!;
      // The gradient of a weight that several steps use is the sum of theirs, before it is squared.
      const waiting = new Map<string, { rows: Vec; uses: number }>();
      const sink: WeightSink = {
        wants: (param) => starts.has(param),
        take(param, gradient) {
          const { live } = whole.state.params.get(param)!;
          const start = starts.get(param)!;
          const target = out.subarray(start, start + live.data.length);
          const perExample = gradient.units / pass.fed;
          if (used.get(param) === 1 && gradient.factors && perExample === 1) {
            addSquaredFactors(gradient.factors, target, pool);
            return;
          }
          const rows = pool.take(pass.fed * live.data.length);
          gradient.rows(perExample, matrix(pass.fed, live.data.length, rows));
          const sum = waiting.get(param);
          if (sum) {
            pool.kernels.axpy(1, rows, sum.rows);
            pool.give(rows);
          }
          const now = { rows: sum?.rows ?? rows, uses: (sum?.uses ?? 0) + 1 };
          waiting.set(param, now);
          if (now.uses === used.get(param)) {
            addSquares(now.rows, target);
            pool.give(now.rows);
            waiting.delete(param);
          }
        },
      };
      tape.backward(deltasOf(state, pass, partOf(u, pass)), sink);
      for (const { rows } of waiting.values()) pool.give(rows);
    });
  }
}

function addSquares(rows: Vec, out: Vec): void {
  for (let i = 0, j = 0; i < rows.length; i++) {
    out[j] = out[j]! + rows[i]! ** 2;
    if (++j === out.length) j = 0;
  }
}

/** sum over i of (delta_i' x_i)^2 = (delta^2)' (x^2), elementwise squares. */
function addSquaredFactors(
  {
    delta,
    input,
  }: { delta: { rows: number; cols: number; data: Vec }; input: { rows: number; cols: number; data: Vec } },
  out: Vec,
  pool: Pool,
): void {
  const squared = ({ rows, cols, data }: typeof delta) => {
    const squares = pool.take(data.length);
    pool.kernels.multiply(data, data, squares);
    return matrix(rows, cols, squares);
  };
  const [d, x] = [squared(delta), squared(input)];
  const target = matrix(delta.cols, input.cols, out);
  pool.kernels.gemm({ a: d, transposeA: true, b: x, out: target, beta: 1 });
  pool.give(d.data);
  pool.give(x.data);
}

/** The linearisation whose flat vectors hold the given weights only. Products cost what they cost over all. */
function overColumns(whole: Linearization, columns: Uint32Array): Linearization {
  const full = (like: Vec): Vec => zeros(whole.dim, like instanceof Float64Array ? "f64" : "f32");
  const chosen = (from: Vec, out: Vec): void => {
    for (let i = 0; i < columns.length; i++) out[i] = from[columns[i]!]!;
  };
  return {
    ...whole,
    dim: columns.length,
    forward(x, out) {
      const wide = full(x);
      for (let i = 0; i < columns.length; i++) wide[columns[i]!] = x[i]!;
      whole.forward(wide, out);
    },
    backward(u, out) {
      const wide = full(out);
      whole.backward(u, wide);
      chosen(wide, out);
    },
    sumOfSquares(us, out) {
      const wide = full(out);
      whole.sumOfSquares(us, wide);
      chosen(wide, out);
    },
    restricted: (inside) =>
      overColumns(
        whole,
        Uint32Array.from(inside, (i) => columns[i]!),
      ),
    // What is kept belongs to the whole.
    release: () => undefined,
  };
}

/** Examples whose single gradients fit into memory together. */
function examplesAtOnce(params: readonly GraphParam[]): number {
  const most = Math.max(1, ...params.map(({ live }) => live.data.length));
  return Math.max(1, Math.floor(rowNumbers / most));
}
