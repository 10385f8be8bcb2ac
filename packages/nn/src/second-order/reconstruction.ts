/**
 * How far what a layer leads to is from what it led to before, a few layers deeper (Lucas and Mazumder 2024, arXiv 2411.18376, section 3.2): with Y_t what the t-th of
 * the next K + 1 weight layers takes (and the output, where fewer are left),
 *   L(W) = 1/2n sum over t and over n examples of |Y_t(W) - Y_t|^2,
 * Y_t from the weights `target`, Y_t(W) from the weights `at` with W in place of the layer's own; gradient, and products with the exact Hessian.
 * Only the stretch of the network from the layer to the last Y_t runs; what comes before it, and the Y_t, are kept for all examples.
 */
import {
  inputRows,
  type LayerReconstruction,
  type Mat,
  matrix,
  type ReconstructionRequest,
  type RunContext,
  throwIfAborted,
  type Vec,
  zeros,
} from "@secateur/core";
import { type Model, passSize } from "../derivatives/gradient-passes.ts";
import { channelsLast, dtypeOfWeights } from "../derivatives/tape.ts";
import { noReconstruction } from "../errors.ts";
import { type Graph, graphOf } from "../graph/graph.ts";
import { createPool, type Pool } from "../pool.ts";
import { curvedPass } from "./curved-pass.ts";
import { weightsAt } from "./hessian.ts";

/** Some examples: what comes before the stretch, and what it is to lead to, by node. */
interface Part {
  readonly before: ReadonlyMap<number, Mat>;
  readonly wanted: ReadonlyMap<number, Mat>;
}

/**
 * Prepares a layer. Takes a forward pass with either weights; memory: of every example the values at the ends of the stretch.
 *
 * @throws ERR_INCOMPATIBLE for a parameter that is no weight of a layer, ERR_ABORTED
 */
export async function reconstruction(
  model: Model,
  request: ReconstructionRequest,
  ctx: RunContext,
): Promise<LayerReconstruction> {
  const { param, params, data, examples, depth, at, target } = request;
  const dense = weightsAt(model, { params, at: target });
  const now = weightsAt(model, { params, at });
  const graph = graphOf(model.spec);
  const { first, taps } = stretch(graph, param, depth, model.spec.name);
  const last = taps[taps.length - 1]!;
  const dtype = dtypeOfWeights(model.weights);
  const entering = [...new Set(graph.nodes.slice(first, last + 1).flatMap(({ inputs }) => inputs))].filter(
    (from) => from < first,
  );
  const size = Math.max(1, Math.floor(passSize(model.spec) / 4));
  const inPool = <T>(work: (pool: Pool) => T): T => {
    const pool = createPool(ctx.kernels, dtype);
    try {
      return work(pool);
    } finally {
      pool.close();
    }
  };
  const parts: Part[] = [];
  for (let from = 0; from < examples.length; from += size) {
    throwIfAborted(ctx.signal);
    const input = inputRows(await data.batch(examples.subarray(from, from + size)));
    parts.push(
      inPool((pool) => {
        const image = channelsLast(input, graph, pool);
        const valuesOf = (weights: Model["weights"], nodes: readonly number[]): ReadonlyMap<number, Mat> => {
          const pass = curvedPass({ graph, first: 0, last: Math.max(0, ...nodes), before: () => image, weights, pool });
          return new Map(nodes.map((node) => [node, ownCopy(pass.output(node))]));
        };
        return { before: valuesOf(now.weights, entering), wanted: valuesOf(dense.weights, taps) };
      }),
    );
  }
  const { rows, cols } = now.weights.get(param)!;
  const withLayer = (w: Vec): Model["weights"] => {
    const data = zeros(w.length, dtype);
    data.set(w);
    return new Map([...now.weights, [param, matrix(rows, cols, data)]]);
  };
  /** The stretch with these weights, and how far its ends are from what is wanted. */
  const run = (part: Part, spec: { weights: Model["weights"]; pool: Pool; v?: Mat }) => {
    const { weights, pool, v } = spec;
    const direction = v ? { direction: (name: string) => (name === param ? v : undefined) } : {};
    const pass = curvedPass({
      graph,
      first,
      last,
      before: (node) => part.before.get(node)!,
      weights,
      pool,
      ...direction,
    });
    let loss = 0;
    const slopes = new Map(
      taps.map((node) => {
        const y = pass.output(node);
        const slope = ownCopy(y);
        const { data } = part.wanted.get(node)!;
        for (let i = 0; i < data.length; i++) {
          slope.data[i] = y.data[i]! - data[i]!;
          loss += slope.data[i]! ** 2 / 2;
        }
        return [node, slope] as const;
      }),
    );
    return { pass, slopes, loss };
  };
  return {
    loss(w) {
      const weights = withLayer(w);
      const sum = parts.reduce((total, part) => total + inPool((pool) => run(part, { weights, pool }).loss), 0);
      return sum / examples.length;
    },
    gradient(w, out) {
      const weights = withLayer(w);
      const sums = zeros(w.length, dtype);
      let loss = 0;
      for (const part of parts) {
        loss += inPool((pool) => {
          const { pass, slopes, loss: own } = run(part, { weights, pool });
          pass.gradient(slopes, {
            group: Number.MAX_SAFE_INTEGER,
            place: (name) => (name === param ? { out: sums, alpha: 1, beta: 1 } : undefined),
          });
          return own;
        });
      }
      for (let i = 0; i < sums.length; i++) out[i] = sums[i]! / examples.length;
      return loss / examples.length;
    },
    times(w, x, out) {
      const weights = withLayer(w);
      const sums = zeros(w.length, dtype);
      const v = matrix(rows, cols, sums.slice());
      v.data.set(x);
      for (const part of parts) {
        inPool((pool) => {
          const { pass, slopes } = run(part, { weights, pool, v });
          const seeds = new Map(
            [...slopes].flatMap(([node, delta]) => {
              const change = pass.tangent(node);
              return change ? [[node, { delta, change: ownCopy(change) }] as const] : [];
            }),
          );
          pass.gradientChange(seeds, (name) => (name === param ? sums : undefined));
        });
      }
      for (let i = 0; i < sums.length; i++) out[i] = sums[i]! / examples.length;
    },
  };
}

/** From the layer to the last of its taps: nodes whose outputs later weight layers take, and the network's output where fewer are left. */
function stretch(
  graph: Graph,
  param: string,
  depth: number,
  model: string,
): { first: number; taps: readonly number[] } {
  const isWeightLayer = ({ layer }: Graph["nodes"][number]): boolean =>
    layer.kind === "dense" || layer.kind === "conv2d";
  const own = graph.nodes.find((node) => isWeightLayer(node) && `${node.layer.name}.weight` === param);
  if (!own) throw noReconstruction(model, param);
  const depends = new Set([own.index]);
  const taps: number[] = [];
  for (const node of graph.nodes.slice(own.index + 1)) {
    if (!node.inputs.some((from) => depends.has(from))) continue;
    depends.add(node.index);
    const from = node.inputs[0]!;
    if (isWeightLayer(node) && !taps.includes(from) && depends.has(from)) taps.push(from);
    if (taps.length > depth) break;
  }
  if (taps.length <= depth && !taps.includes(graph.logits)) taps.push(graph.logits);
  return { first: own.index, taps: taps.sort((a, b) => a - b) };
}

/** A copy outside the pool. */
function ownCopy({ rows, cols, data }: Mat): Mat {
  return { rows, cols, data: data.slice() };
}
