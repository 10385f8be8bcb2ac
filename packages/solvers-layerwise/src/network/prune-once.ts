/** All layers pruned once, each keeping what it is told to: a pass over the calibration examples and a solve a layer. */
import {
  assertNeeds,
  checkSolution,
  countKept,
  countZeros,
  type Kernels,
  keepCount,
  keepOfEvery,
  type LayerCurvature,
  type Mask,
  type Mat,
  type Problem,
  type PrunedLayer,
  type RunContext,
  type Solution,
  unitMask,
  type Vec,
  weightMask,
  weightUnits,
  withoutRegrowth,
} from "@secateur/core";
import type { KeepNext } from "../allocation/share-budget.ts";
import { layerProblemOf } from "../allocation/survey-layers.ts";
import { relativeErrors } from "../problem/relative-error.ts";
import { denseErrors } from "./dense-targets.ts";
import { foldNotes, holdNotes } from "./held-notes.ts";
import { copyOf } from "./kept-curvatures.ts";
import { layerProgress } from "./layer-progress.ts";
import type { Offsets } from "./offsets.ts";
import { eligibleRows, readRows, writeRows } from "./parameters.ts";
import type { PruneLayersRequest, PruneLayersResult } from "./prune-layers.ts";

/** A request with its parameters and examples chosen. */
export interface SampledRequest extends Omit<PruneLayersRequest, "examples" | "offsets"> {
  readonly params: readonly string[];
  readonly examples: Uint32Array;
  readonly fitted: Offsets;
}

/** How the budget was shared out. */
export interface Shared {
  readonly rule: PruneLayersResult["allocation"];
  /** How many weights the next layer keeps of so many, as they come; absent where each is told. */
  readonly keeps: KeepNext | undefined;
}

/** Prunes in place. @throws those of model, curvature and solver, with some layers written already */
export async function pruneOnce(
  request: SampledRequest,
  { rule, keeps }: Shared,
  outer: RunContext,
): Promise<PruneLayersResult> {
  const folded = foldNotes(outer);
  const progress = layerProgress(request.model, request.params, folded.ctx);
  const { ctx } = progress;
  const { model, curvature, solver, pattern, inputs = "sequential", fitted } = request;
  const atOnce = inputs === "parallel" ? (request.atOnce ?? 1) : 1;
  const layers: PrunedLayer[] = [];
  /** What is left to do of layers that are being solved, in their order. */
  const open: (() => Promise<void>)[] = [];
  const begun = ctx.now();
  for await (const lent of curvature.estimate({ ...request, inputs }, ctx)) {
    // What is lent is freed before the next is asked for.
    const mayWait = atOnce > 1 && lent.curvature.gram !== undefined;
    const given = mayWait ? copyOf(lent, ctx.kernels) : lent;
    for (const target of given.targets) {
      const layer = fitted.posed(target, given);
      const w = await readRows(model, target);
      const count = w.rows * w.cols;
      const mayStay = eligibleRows(request.eligible, target, w.cols);
      const eligible = mayStay ? countKept(mayStay) : count;
      const told = request.limitOf?.({ ...target, cols: w.cols });
      const budget =
        told?.constraint ??
        (pattern
          ? keepOfEvery({ count, cols: w.cols, ...pattern })
          : keepCount({ count, keep: keeps!(count, eligible), kernels: ctx.kernels }));
      if (pattern) noteShortGroups(target.param, { cols: w.cols, ...pattern }, ctx);
      const units = told?.units ?? weightUnits(count);
      const constraint = mayStay ? withoutRegrowth(budget, unitMask(units, mayStay)) : budget;
      const u = request.dense ? await readRows(request.dense, target) : w;
      const problem = layerProblemOf({ target, w, u, layer, constraint, units }, ctx.kernels);
      assertNeeds(solver.name ?? "the solver", solver.needs, problem);
      const started = ctx.now();
      // What layers note is told in their order.
      const held = atOnce > 1 ? holdNotes(ctx) : { ctx, tell: () => {} };
      const solving = solver.solve(problem, held.ctx).then((solution) => ({ solution, solveMs: ctx.now() - started }));
      solving.catch(() => {}); // awaited when its turn has come
      open.push(async () => {
        const { solution, solveMs } = await solving;
        held.tell();
        const written = ctx.now();
        await checkSolution(problem, solution, solver.name ?? "the solver");
        noteEmptyUnits(problem, { solution, may: mayStay && unitMask(units, mayStay) }, ctx);
        await writeRows(model, target, solution.w);
        await fitted.fit({ target, layer: given, w, u, found: solution.w });
        const { param: name, firstRow } = target;
        layers.push({
          ...{ name, firstRow, rows: w.rows, cols: w.cols, inputs: layer.count },
          nonzeros: count - countZeros(solution.w.data),
          ...{ mask: weightMask(problem.units, solution.mask), status: solution.status },
          ...(solution.method === undefined ? {} : { method: solution.method }),
          ...(await errorsOf({ problem, u, solution, layer }, ctx.kernels)),
          solveMs: solveMs + ctx.now() - written,
          stats: solution.stats,
        });
        progress.leave(target);
        folded.leave(name);
      });
      while (open.length >= (mayWait ? atOnce : 1)) await open.shift()!();
    }
  }
  for (const finish of open) await finish();
  folded.finish();
  await request.recalibrate?.(outer);
  const sum = (value: (layer: PrunedLayer) => number): number => layers.reduce((total, one) => total + value(one), 0);
  const solve = sum(({ solveMs }) => solveMs);
  return {
    layers,
    nonzeros: sum(({ nonzeros }) => nonzeros),
    size: sum(({ rows, cols }) => rows * cols),
    examples: request.examples.length,
    allocation: rule,
    // Layers that are solved at a time count each.
    partsMs: { inputs: Math.max(0, outer.now() - begun - solve), solve },
  };
}

/** Says where the inputs of a row are no whole number of groups. */
function noteShortGroups(
  param: string,
  { cols, keep, of }: { cols: number; keep: number; of: number },
  ctx: RunContext,
): void {
  const rest = cols % of;
  if (rest === 0) return;
  const message = `${param}: its ${cols} inputs are no multiple of ${of}; of the last ${rest} of a row ${Math.min(keep, rest)} stay`;
  ctx.report({ type: "note", level: "info", code: "pattern-rest", message });
}

/** Says where groups of weights go that held nothing before: a budget of whole groups is spent on them first. */
function noteEmptyUnits(
  { id, units, w }: Problem,
  { solution, may }: { solution: Solution; may: Mask | undefined },
  ctx: RunContext,
): void {
  if (units.perWeight) return;
  // What an earlier stage took is not spent again.
  const gone = Array.from(solution.mask.keys()).filter((unit) => solution.mask[unit] === 0 && may?.[unit] !== 0);
  const empty = gone.filter((unit) => units.indices(unit).every((i) => w.data[i] === 0)).length;
  if (empty === 0) return;
  const message = `${id}: ${empty} of the ${gone.length} groups of weights that go were all zeros before; a higher sparsity takes more of the others`;
  ctx.report({ type: "note", level: "warn", code: "zeros-counted", message });
}

/** Dense weights with the zeros of others. */
function masked(w: Mat, { data }: Mat): Mat {
  return { ...w, data: w.data.map((value: number, i: number) => (data[i] === 0 ? 0 : value)) as Vec };
}

async function errorsOf(
  { problem, u, solution, layer }: { problem: Problem; u: Mat; solution: Solution; layer: LayerCurvature },
  kernels: Kernels,
): Promise<Pick<PrunedLayer, "maskedError" | "relativeError">> {
  const { dense } = layer;
  const start = masked(problem.w, solution.w);
  if (dense) {
    const errorOf = denseErrors({ u, layer, dense }, kernels);
    return { maskedError: errorOf(start), relativeError: errorOf(solution.w) };
  }
  const errors = await relativeErrors(problem);
  return { maskedError: await errors.ofWeights(start), relativeError: errors.of(solution.objective) };
}
