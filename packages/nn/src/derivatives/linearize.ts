/**
 * The network's logits around the present weights, J x and J'u without forming J: tangents forward, deltas backward, through
 * what the layers remember of the examples. That is kept for as many examples as memory should hold; further ones run
 * forward again for every product.
 */
import {
  dtypeOf,
  firstNotFinite,
  type GradientRequest,
  inputRows,
  type Linearization,
  type Mat,
  matrix,
  notFiniteOutput,
  type RunContext,
  throwIfAborted,
  type Vec,
  zeros,
} from "@secateur/core";
import { graphOf } from "../graph/graph.ts";
import { macsPerExample } from "../graph/macs.ts";
import { findParam } from "../graph/param-specs.ts";
import { asOutputs } from "../network-tensors.ts";
import { type GradientSink, rowsOf, type Weights } from "../ops/op.ts";
import { createPool, type Pool } from "../pool.ts";
import { isDenseChain } from "./dense-forward.ts";
import type { Model } from "./gradient-passes.ts";
import { linearizeDense } from "./linearize-dense.ts";
import { onColumns, within } from "./on-columns.ts";
import { namedLinearization, type RowLinearization } from "./row-linearization.ts";
import { dtypeOfWeights, record, type Tape } from "./tape.ts";

/** Examples that run together. */
const chunkExamples = 64;
/** Numbers that are kept of all examples: 1.5 GiB of f32. */
const keptNumbers = 384 * 1024 * 1024;

/**
 * Linearises over some examples. Memory: what the layers keep of them, up to 1.5 GiB in kernel memory.
 *
 * @throws ERR_NOT_FINITE, ERR_ABORTED
 */
export async function linearize(
  model: Model,
  request: Omit<GradientRequest, "batch" | "task">,
  ctx: RunContext,
): Promise<Linearization> {
  if (isDenseChain(model.spec)) return await linearizeDense(model, request, ctx);
  throwIfAborted(ctx.signal);
  const pool = createPool(ctx.kernels, dtypeOfWeights(model.weights));
  try {
    return await recordAll(model, request, { ctx, pool });
  } catch (error) {
    pool.close();
    throw error;
  }
}

async function recordAll(
  model: Model,
  request: Omit<GradientRequest, "batch" | "task">,
  { ctx, pool }: { ctx: RunContext; pool: Pool },
): Promise<Linearization> {
  const { spec } = model;
  const { data, examples, params } = request;
  const batch = await data.batch(examples);
  const inputs = inputRows(batch);
  // A copy: trial weights may be written into the network while products with J go on.
  const weights = new Map([...model.weights].map(([name, w]) => [name, copied(w, pool)]));
  const logits = matrix(examples.length, spec.classes, zeros(examples.length * spec.classes, dtypeOf(inputs.data)));
  const chunks: Chunk[] = [];
  const mostKept = Math.floor(keptNumbers / graphOf(spec).valuesPerExample);
  for (let from = 0; from < examples.length; from += chunkExamples) {
    const to = Math.min(from + chunkExamples, examples.length);
    const tape = record({ network: spec, weights, input: rowsOf(inputs, from, to), pool });
    logits.data.set(tape.logits.data, from * spec.classes);
    if (to > mostKept) tape.release();
    chunks.push({ from, to, ...(to > mostKept ? {} : { tape }) });
    await ctx.tick({ task: "gradients", done: to, total: examples.length });
  }
  if (!logits.data.every((value: number) => Number.isFinite(value))) {
    throw notFiniteOutput(spec.name, examples[firstNotFinite(asOutputs(logits))]!);
  }
  const layout = flatLayout(model, params);
  return namedLinearization(linearization({ model: { spec, weights }, chunks, inputs, pool, layout, logits }), {
    data,
    batch,
  });
}

/** Examples [from, to) and, while there is room, what the layers keep of them. */
interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly tape?: Tape;
}

/** Where parameters lie in the flat vectors. */
interface FlatLayout {
  readonly size: number;
  readonly places: ReadonlyMap<string, { start: number; rows: number; cols: number }>;
}

function flatLayout(model: Model, params: readonly string[]): FlatLayout {
  const places = new Map<string, { start: number; rows: number; cols: number }>();
  let size = 0;
  for (const name of params) {
    const { rows, cols } = findParam(model, name);
    places.set(name, { start: size, rows, cols });
    size += rows * cols;
  }
  return { size, places };
}

interface Linearized {
  readonly model: { readonly spec: Model["spec"]; readonly weights: Weights };
  readonly chunks: readonly Chunk[];
  readonly inputs: Mat;
  readonly pool: Pool;
  readonly layout: FlatLayout;
  readonly logits: Mat;
}

function linearization(state: Linearized): RowLinearization {
  const { model, pool, layout, logits } = state;
  const { size, places } = layout;
  return {
    dim: size,
    logits,
    cost: 2 * macsPerExample(model.spec) * logits.rows,
    forward(x, out) {
      const direction = (name: string): Mat | undefined => {
        const place = places.get(name);
        return place && matrix(place.rows, place.cols, x.subarray(place.start, place.start + place.rows * place.cols));
      };
      eachTape(state, (tape, from, to) => tape.tangent(direction, rowsOf(out, from, to)));
    },
    backward(u, out) {
      out.fill(0);
      const sink: GradientSink = {
        group: Number.MAX_SAFE_INTEGER,
        place: (param) => slot(layout, param, out, 1),
      };
      eachTape(state, (tape, from, to) => tape.backward(rowsOf(u, from, to), sink));
    },
    sumOfSquares: (us, out) => writeSumOfSquares(state, us, out),
    restricted: (columns) => overColumns(linearization(state), columns),
    release() {
      pool.close();
    },
  };
}

function slot(
  { places }: FlatLayout,
  param: string,
  out: Vec,
  beta: 0 | 1,
): { out: Vec; alpha: number; beta: 0 | 1 } | undefined {
  const place = places.get(param);
  return place && { out: out.subarray(place.start, place.start + place.rows * place.cols), alpha: 1, beta };
}

/** Visits all examples, in the chunks they were recorded in. */
function eachTape(
  { model, chunks, inputs, pool }: Linearized,
  visit: (tape: Tape, from: number, to: number) => void,
): void {
  for (const { from, to, tape } of chunks) {
    const own = tape ?? record({ network: model.spec, weights: model.weights, input: rowsOf(inputs, from, to), pool });
    visit(own, from, to);
    if (!tape) own.release();
  }
}

/** Every example's gradient in turn, squared into the sums. Examples whose u is zero add nothing and are left out. */
function writeSumOfSquares(state: Linearized, us: Iterable<Mat>, out: Vec): void {
  const { layout } = state;
  out.fill(0);
  const row = zeros(layout.size, dtypeOf(out));
  for (const u of us) {
    eachTape(state, (tape, from, to) => {
      const part = rowsOf(u, from, to);
      const isZero = Array.from({ length: part.rows }, (_, i) => rowsOf(part, i, i + 1).data.every((x) => x === 0));
      tape.backward(part, {
        group: 1,
        place: (param, segment) => (isZero[segment] ? undefined : slot(layout, param, row, 0)),
        written(param) {
          const { start, rows, cols } = layout.places.get(param)!;
          for (let j = start; j < start + rows * cols; j++) out[j] = out[j]! + row[j]! ** 2;
        },
      });
    });
  }
}

/** The linearisation whose flat vectors hold the given weights only. */
function overColumns(whole: RowLinearization, columns: Uint32Array): RowLinearization {
  return {
    ...whole,
    ...onColumns(whole, columns),
    restricted: (inside) => overColumns(whole, within(columns, inside)),
    // What is kept belongs to the whole.
    release: () => undefined,
  };
}

/** A copy in kernel memory. */
function copied(a: Mat, pool: Pool): Mat {
  const data = pool.take(a.data.length);
  data.set(a.data);
  return { ...a, data };
}
