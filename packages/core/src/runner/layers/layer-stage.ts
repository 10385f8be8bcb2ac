/** One stage of scope "layers": one problem a layer, posed and solved one after the other by a loop that a solver package brings. */
import { countKept, keptCount } from "../../budget/constraint.ts";
import { unitMask } from "../../budget/units.ts";
import type { Dataset } from "../../data/dataset.ts";
import type { LayerCurvatureEstimator, LayerInputsMode } from "../../data/layer-inputs.ts";
import type { Model } from "../../data/model.ts";
import { brokenSolution } from "../../errors.ts";
import { countZeros, type FlatParam, readFlat, writeFlat } from "../../problem/flat-weights.ts";
import type { Mask } from "../../problem/matrix.ts";
import type { SolveStatus } from "../../problem/problem.ts";
import type { Solver } from "../../problem/strategy.ts";
import type { RunContext } from "../../run-context.ts";
import type { LayerNumbers, StageReport, StageRun } from "../run-stage.ts";
import { collectNotes } from "../stage-notes.ts";
import { type LayerBudget, type LayerLimit, type LayerPlace, layerBudget, type SharedLimit } from "./layer-budget.ts";

/** What a stage asks of a loop over layers. */
export interface LayerLoopRequest {
  /** Changed in place. */
  readonly model: Model;
  /** Calibration data; the loop reads no labels. What it leaves is compared by them where they fit the network. */
  readonly data: Dataset;
  readonly solver: Solver;
  readonly curvature: LayerCurvatureEstimator;
  /** Fraction of all weights of `params` that is removed, in [0, 1); how layers share it is the loop's to say. */
  readonly sparsity: number;
  /** What each layer may keep, where the run's budget says so; absent: the loop shares `sparsity` out. @throws ERR_BUDGET */
  readonly limitOf?: ((layer: LayerPlace) => LayerLimit) | undefined;
  /** Limits on other things than a number of weights, which hold beside each other; `sparsity` meets them where every layer is pruned alike. */
  readonly limits?: readonly SharedLimit[] | undefined;
  readonly inputs: LayerInputsMode;
  readonly params: readonly string[];
  /** The model before the run, with weights of its own; absent: the model as the stage finds it. */
  readonly dense?: Model;
  /** Opens the model before the run once more, for a loop that runs parts of it beside the pruned one. */
  readonly openDense?: () => Promise<Model>;
  /** Calibration examples at most, drawn at random; default: all. */
  readonly examples?: number;
  /** Which weights of each parameter may be kept; default: any. */
  readonly eligible?: ReadonlyMap<string, Mask>;
  /** Called when layers have been written, for what depends on them, such as batch-norm statistics. */
  readonly recalibrate?: (ctx: RunContext) => Promise<void>;
}

/** One layer, or one group of a grouped convolution, pruned. */
export interface PrunedLayer {
  readonly name: string;
  readonly firstRow: number;
  readonly rows: number;
  readonly cols: number;
  readonly nonzeros: number;
  /** Which of its weights are kept [rows * cols]; a kept weight may happen to be 0. */
  readonly mask: Mask;
  /** How its solver ended. */
  readonly status: SolveStatus;
  /** Which of its algorithms the solver took, where it has several. */
  readonly method?: string;
  /**
   * tr((W - R) H (W - R)') / tr(W H W') at the inputs it was solved for; where a loop matches the dense model's outputs the squared distance to
   * those, as a fraction of their squares. 0 where the outputs are 0.
   */
  readonly relativeError: number;
  /** The same of the dense weights with these zeros: what the re-fit started from. */
  readonly maskedError: number;
  /** Rows of X behind H. */
  readonly inputs: number;
  readonly solveMs: number;
  readonly stats: Readonly<Record<string, number>>;
}

/** A block of layers re-fitted together. */
export interface RefittedBlock {
  readonly params: readonly string[];
  /** |f(x) - y|^2 / |y|^2 over held-out examples, before and after. */
  readonly before: number;
  readonly after: number;
}

/** What a loop did; the weights are in the model. */
export interface LayerLoopResult {
  readonly layers: readonly PrunedLayer[];
  /** Where blocks were re-fitted when all layers had been pruned. */
  readonly blocks?: readonly RefittedBlock[];
  /** Calibration examples that the layers were solved on. */
  readonly examples: number;
  /** Held-out mean squared change of the outputs, relative to the dense outputs' energy, by way to share the budget that was tried: of the weights it was judged by, which may be drafts. */
  readonly heldOutError?: Readonly<Record<string, number>>;
  /** Milliseconds of its parts, by name, such as "inputs" and "solve"; the names are the loop's. */
  readonly partsMs?: Readonly<Record<string, number>>;
}

/** Prunes a model layer by layer, from the layers' own inputs. */
export interface LayerLoop {
  /** What decides it, as data: a run is continued only under the same. */
  readonly settings: object;
  prune(request: LayerLoopRequest, ctx: RunContext): Promise<LayerLoopResult>;
}

/** What a run over layers needs beside its stages. */
export interface LayerCapability {
  readonly loop: LayerLoop;
  /** Makes H, such as `activations()` of @secateur/fisher. */
  readonly curvature: LayerCurvatureEstimator;
  /** Opens the model before the run once more: what layers of stages behind the first are led to (default: what they find), and what a loop may run beside the pruned one. */
  readonly openDense?: () => Promise<Model>;
}

/** Runs one stage. The model must hold the weights before it, and holds those after it. */
export async function runLayerStage(
  spec: Pick<LayerLoopRequest, "model" | "data" | "solver" | "recalibrate"> &
    LayerCapability &
    Pick<StageRun, "stage" | "params" | "weights" | "mask" | "bound"> & { isFirst: boolean },
  outer: RunContext,
): Promise<{ weights: Float32Array; mask: Mask; report: StageReport }> {
  const { loop, stage, isFirst, params, mask: before, model, data, solver, curvature, recalibrate } = spec;
  const { ctx, notes } = collectNotes(outer);
  const { sparsity, regrow, scope } = stage;
  const { inputs = "sequential", examples } = scope.kind === "layers" ? scope : {};
  const started = ctx.now();
  const start = await readFlat(model, params);
  const budget = layerBudget({ ...spec, weights: start }, ctx);
  const { limitOf } = budget;
  const dense = isFirst ? undefined : await spec.openDense?.();
  const done = await loop.prune(
    {
      ...{ model, data, solver, curvature, sparsity: budget.sparsity, inputs },
      params: budget.params.map(({ name }) => name),
      ...(limitOf ? { limitOf } : {}),
      ...(budget.limits ? { limits: budget.limits } : {}),
      ...(dense ? { dense } : {}),
      ...(spec.openDense ? { openDense: spec.openDense } : {}),
      ...(examples === undefined ? {} : { examples: Math.min(examples, data.size) }),
      ...(regrow ? {} : { eligible: byName(before, params) }),
      ...(recalibrate ? { recalibrate } : {}),
    },
    ctx,
  );
  const weights = await readFlat(model, params);
  const mask = keptBy(done.layers, { params, weights });
  try {
    assertWithin({ weights, mask, layers: done.layers }, { ...spec, budget, regrow });
  } catch (error) {
    await writeFlat(model, params, start);
    throw error;
  }
  const solveMs = done.layers.reduce((sum, layer) => sum + layer.solveMs, 0);
  const relativeError = meanError(done.layers);
  const report: StageReport = {
    ...{ sparsity, nonzeros: weights.length - countZeros(weights), objective: relativeError },
    ...{ ...endOf(done.layers), taken: "step", notes, examples: done.examples },
    ...{ gradientMs: ctx.now() - started - solveMs, solveMs },
    stats: {
      ...{ relativeError, layers: new Set(done.layers.map(({ name }) => name)).size },
      ...heldOutStats(done.heldOutError),
      ...blockStats(done.blocks),
    },
    ...(done.partsMs ? { partsMs: done.partsMs } : {}),
    layers: Object.fromEntries(budget.params.map(({ name }) => [name, numbersOf(name, done.layers)])),
  };
  return { weights, mask, report };
}

/** Flat mask of what the layers keep [p]; of parameters that the loop says nothing of, the weights that are not zero. */
function keptBy(
  layers: readonly PrunedLayer[],
  { params, weights }: { params: readonly FlatParam[]; weights: Float32Array },
): Mask {
  const mask = Uint8Array.from(weights, (value) => (value === 0 ? 0 : 1));
  for (const { name, start } of params) {
    for (const layer of layers) {
      if (layer.name === name) mask.set(layer.mask, start + layer.firstRow * layer.cols);
    }
  }
  return mask;
}

/** What a loop leaves is held to the stage's budget, as a solver's solution is. @throws ERR_SOLUTION */
function assertWithin(
  { weights, mask, layers }: { weights: Float32Array; mask: Mask; layers: readonly PrunedLayer[] },
  spec: Pick<StageRun, "solver" | "mask"> & { readonly budget: LayerBudget; readonly regrow: boolean },
): void {
  const { solver, budget, mask: before, regrow } = spec;
  const { params, sparsity, limitOf } = budget;
  const fail = (rule: string, found: string): never => {
    throw brokenSolution({ who: solver.name ?? "the loop over layers", problem: "layers", rule, found });
  };
  const bad = weights.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) fail("every weight is a finite number", `${weights[bad]} at index ${bad}`);
  const outside = weights.findIndex((value, j) => value !== 0 && mask[j] === 0);
  if (outside >= 0) fail("what is pruned is zero", `${weights[outside]} at index ${outside}`);
  if (limitOf) {
    for (const { name: param, start, size, rows, cols } of params) {
      const own = layers.filter(({ name }) => name === param);
      const whole = { firstRow: 0, rows, cols, mask: mask.subarray(start, start + size) };
      for (const layer of own.length > 0 ? own : [whole]) {
        const { units, constraint } = limitOf({ ...layer, param });
        const beyond = constraint.violation(unitMask(units, layer.mask));
        if (beyond > 0) fail(`every layer is within its budget, '${constraint.kind}'`, `${beyond} more in '${param}'`);
      }
    }
  } else if (budget.limits) {
    for (const { name, each, most } of budget.limits) {
      const used = params.reduce(
        (sum, param) => sum + each.get(param.name)! * countKept(mask.subarray(param.start, param.start + param.size)),
        0,
      );
      // Sums of products round.
      if (used > most * (1 + 1e-9)) fail(`the limit of ${name} holds`, `${used} where ${most} are allowed`);
    }
  } else {
    // What has to stay pruned may leave less.
    const size = params.reduce((sum, param) => sum + param.size, 0);
    const kept = params.reduce(
      (sum, param) => sum + countKept(mask.subarray(param.start, param.start + param.size)),
      0,
    );
    const most = keptCount(size, sparsity);
    if (kept > most) fail("no more weights are left than the budget keeps", `${kept} where ${most} may stay`);
  }
  const back = regrow ? -1 : mask.findIndex((bit, j) => bit === 1 && before[j] === 0);
  if (back >= 0) fail("what is pruned stays pruned", `${weights[back]} at index ${back}`);
}

/** From the best way to end to the one that most needs looking at. */
const ends: readonly SolveStatus[] = ["exact", "converged", "stalled", "max-iterations"];

/** How layers ended, all of them together: as the worst of them; methods in the order in which they come. */
function endOf(layers: readonly Pick<PrunedLayer, "status" | "method">[]): Pick<StageReport, "status" | "method"> {
  const worst = Math.max(0, ...layers.map(({ status }) => ends.indexOf(status)));
  const methods = [...new Set(layers.flatMap(({ method }) => (method === undefined ? [] : [method])))];
  return { status: ends[worst]!, ...(methods.length > 0 ? { method: methods.join(", ") } : {}) };
}

/** Groups of one parameter count alike. */
function numbersOf(name: string, layers: readonly PrunedLayer[]): LayerNumbers {
  const own = layers.filter((layer) => layer.name === name);
  const mean = (value: (layer: PrunedLayer) => number): number =>
    own.reduce((sum, layer) => sum + value(layer), 0) / Math.max(1, own.length);
  return {
    relativeError: mean((layer) => layer.relativeError),
    maskedError: mean((layer) => layer.maskedError),
    solveMs: own.length * mean((layer) => layer.solveMs),
    ...endOf(own),
  };
}

/** Means over the blocks. */
function blockStats(blocks: readonly RefittedBlock[] | undefined): Readonly<Record<string, number>> {
  if (!blocks || blocks.length === 0) return {};
  const mean = (value: (block: RefittedBlock) => number): number =>
    blocks.reduce((sum, block) => sum + value(block), 0) / blocks.length;
  return {
    blocks: blocks.length,
    blockErrorBefore: mean(({ before }) => before),
    blockErrorAfter: mean(({ after }) => after),
  };
}

/** The mean relative error, each layer counting alike. */
function meanError(layers: readonly PrunedLayer[]): number {
  return layers.reduce((sum, layer) => sum + layer.relativeError, 0) / Math.max(1, layers.length);
}

function byName(mask: Mask, params: readonly FlatParam[]): ReadonlyMap<string, Mask> {
  return new Map(params.map(({ name, start, size }) => [name, mask.subarray(start, start + size)]));
}

function heldOutStats(errors: Readonly<Record<string, number>> | undefined): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(errors ?? {}).map(([rule, error]) => [`heldOut${rule[0]!.toUpperCase()}${rule.slice(1)}`, error]),
  );
}
