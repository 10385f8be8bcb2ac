/**
 * A model pruned layer by layer: the inputs of a layer give its H, a solver its weights, and they are written before the next layer's
 * inputs are taken ("sequential") or all layers are solved from the dense model's inputs ("parallel"). A budget that
 * layers share is shared out first, from the dense model's inputs; of these passes counts and losses are kept, no problems.
 */
import {
  assertNeeds,
  countZeros,
  forkContext,
  keepCount,
  keepOfEvery,
  type LayerLoopRequest,
  type LayerLoopResult,
  type LayerRows,
  type Mask,
  type Mat,
  type Model,
  type PrunedLayer,
  quietContext,
  type RunContext,
  sampleIndices,
  withoutRegrowth,
} from "@secateur/core";
import { nothingHeldOut, nothingToPrune } from "./errors.ts";
import { heldOutMeasure, type OutputMeasure } from "./held-out-outputs.ts";
import { relativeErrorOf } from "./relative-error.ts";
import { type LayerAllocation, shareBudget } from "./share-budget.ts";
import { layerProblemOf, readRows, surveyLayers } from "./survey-layers.ts";

/** What to prune and how; of what core's loops are asked, the order of inputs and the parameters have defaults: sequential, all prunable ones. */
export interface PruneLayersRequest
  extends Omit<LayerLoopRequest, "inputs" | "params">,
    Partial<Pick<LayerLoopRequest, "inputs" | "params">> {
  /** How layers share the budget; "auto" (default) tries uniform and global and keeps the one whose outputs on held-out examples are nearer to the dense ones. */
  readonly allocation?: LayerAllocation | "auto";
  /** Of the calibration examples, how many are held out where allocation "auto" makes a choice, at least one and not all; default: an eighth. */
  readonly heldOut?: number;
}

/** A model pruned layer by layer. */
export interface PruneLayersResult extends LayerLoopResult {
  readonly nonzeros: number;
  readonly size: number;
  readonly allocation: LayerAllocation | "pattern";
}

/**
 * Prunes in place: the model's parameters are written. Time: a pass over the calibration examples and a solve a layer; with a shared
 * budget another pass and the traces; with "auto" both budgets are solved.
 *
 * @throws ERR_IMPOSSIBLE (nothing to prune, no examples to hold out), and those of model, curvature and solver
 * @example
 * const { layers } = await pruneLayers({ model, data, solver: layerwise(), curvature: activations(), sparsity: 0.6 }, ctx);
 */
export async function pruneLayers(request: PruneLayersRequest, ctx: RunContext): Promise<PruneLayersResult> {
  const { model, data, sparsity, pattern } = request;
  const prunable = model.params().filter((param) => param.prunable);
  const params = request.params ?? prunable.map(({ name }) => name);
  if (params.length === 0) throw nothingToPrune(model.name);
  const wanted = Math.min(data.size, request.examples ?? data.size);
  const drawn = sampleIndices(data.size, wanted, forkContext(ctx, "calibration").rng);
  const sampled: SampledRequest = { ...request, params, examples: drawn };
  if (pattern) return await pruneOnce(sampled, { rule: "pattern", keeps: undefined }, ctx);
  const { allocation = "auto" } = request;
  if (allocation !== "auto") {
    const shares = await surveyLayers(sampled, [allocation], ctx);
    return await pruneOnce(sampled, { rule: allocation, keeps: shareBudget(shares, sparsity, allocation) }, ctx);
  }
  const heldOut = request.heldOut ?? Math.max(1, Math.floor(wanted / 8));
  if (!(Number.isInteger(heldOut) && heldOut >= 1 && heldOut < wanted))
    throw nothingHeldOut(model.name, heldOut, wanted);
  const measure = await heldOutMeasure(model, { data, indices: drawn.slice(0, heldOut) }, ctx);
  return await pruneBest({ ...sampled, examples: drawn.slice(heldOut) }, measure, ctx);
}

/** A request with its parameters and examples chosen. */
export interface SampledRequest extends Omit<PruneLayersRequest, "examples"> {
  readonly params: readonly string[];
  readonly examples: Uint32Array;
}

/** How the budget was shared out. */
interface Shared {
  readonly rule: PruneLayersResult["allocation"];
  /** Weights that each layer keeps, in order; absent with a pattern. */
  readonly keeps: readonly number[] | undefined;
}

/** Rules that "auto" tries. */
const tried = ["uniform", "global"] as const satisfies readonly LayerAllocation[];

/** Prunes once by every rule, from the same dense weights, and leaves the best. */
async function pruneBest(request: SampledRequest, measure: OutputMeasure, ctx: RunContext): Promise<PruneLayersResult> {
  const { model, params, sparsity } = request;
  const shares = await surveyLayers(request, tried, ctx);
  const dense = await readAll(model, params);
  const errors: Record<string, number> = {};
  let best: { result: PruneLayersResult; weights: ReadonlyMap<string, Mat>; error: number } | undefined;
  for (const rule of tried) {
    await writeAll(model, dense);
    // What the last try changed beside the weights is measured anew, too.
    if (best) await request.recalibrate?.(quietContext(ctx));
    const result = await pruneOnce(request, { rule, keeps: shareBudget(shares, sparsity, rule) }, ctx);
    const error = await measure(quietContext(ctx));
    errors[rule] = error;
    if (!best || error < best.error) best = { result, weights: await readAll(model, params), error };
  }
  await writeAll(model, best!.weights);
  await request.recalibrate?.(ctx);
  return { ...best!.result, heldOutError: errors };
}

async function readAll(model: Model, params: readonly string[]): Promise<ReadonlyMap<string, Mat>> {
  const weights = new Map<string, Mat>();
  for (const param of params) weights.set(param, await model.read(param));
  return weights;
}

async function writeAll(model: Model, weights: ReadonlyMap<string, Mat>): Promise<void> {
  for (const [param, w] of weights) await model.write(param, w);
}

async function pruneOnce(
  request: SampledRequest,
  { rule, keeps }: Shared,
  ctx: RunContext,
): Promise<PruneLayersResult> {
  const { model, curvature, solver, pattern, inputs = "sequential" } = request;
  const layers: PrunedLayer[] = [];
  for await (const layer of curvature.estimate({ ...request, inputs }, ctx)) {
    for (const target of layer.targets) {
      const w = await readRows(model, target);
      const count = w.rows * w.cols;
      const budget = pattern
        ? keepOfEvery({ count, cols: w.cols, ...pattern })
        : keepCount({ count, keep: keeps![layers.length]!, kernels: ctx.kernels });
      const mayStay = eligibleRows(request, target, w.cols);
      const constraint = mayStay ? withoutRegrowth(budget, mayStay) : budget;
      const problem = layerProblemOf(target, w, layer, constraint);
      assertNeeds("the solver", solver.needs, problem);
      const started = ctx.now();
      const solution = await solver.solve(problem, ctx);
      await writeRows(model, target, solution.w);
      const { param: name, firstRow } = target;
      const solveMs = ctx.now() - started;
      layers.push({
        ...{ name, firstRow, rows: w.rows, cols: w.cols, inputs: layer.count },
        nonzeros: count - countZeros(solution.w.data),
        relativeError: await relativeErrorOf(problem, solution.w, ctx.kernels),
        solveMs,
        stats: solution.stats,
      });
    }
  }
  await request.recalibrate?.(ctx);
  const sum = (value: (layer: PrunedLayer) => number): number => layers.reduce((total, one) => total + value(one), 0);
  return {
    layers,
    nonzeros: sum(({ nonzeros }) => nonzeros),
    size: sum(({ rows, cols }) => rows * cols),
    examples: request.examples.length,
    allocation: rule,
  };
}

/** Of the rows of a parameter, what may be kept. */
function eligibleRows(
  { eligible }: SampledRequest,
  { param, firstRow, rows }: LayerRows,
  cols: number,
): Mask | undefined {
  return eligible?.get(param)?.subarray(firstRow * cols, (firstRow + rows) * cols);
}

async function writeRows(model: Model, { param, firstRow }: LayerRows, w: Mat): Promise<void> {
  const whole = await model.read(param);
  whole.data.set(w.data, firstRow * w.cols);
  await model.write(param, whole);
}
