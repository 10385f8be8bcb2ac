/**
 * The default: the better support of ALPS and OBC, then swaps of kept and pruned weights, each priced with all kept weights of its
 * row re-fitted, until none lowers Q; where the layer has one budget, weights change rows as long as that lowers Q; then the
 * re-fit. Every accepted move lowers the re-fitted Q, so that the result is never worse than where it started.
 */

import {
  type Constraint,
  countKept,
  type Mask,
  type Mat,
  type Problem,
  type RunContext,
  type Solver,
  type SwapCheck,
  selectorFrom,
  throwIfAborted,
  weightMask,
} from "@secateur/core";
import { defaults } from "../defaults.ts";
import { rowwiseBudget } from "../problem/budget.ts";
import { noteLong } from "../problem/foreseen.ts";
import { type LayerProblem, layerProblem } from "../problem/layer-problem.ts";
import { refit } from "../problem/refit.ts";
import { solutionOf, withLayer } from "../problem/solution.ts";
import { exchangeBetween, type RowOffer } from "../search/exchange.ts";
import { lowerBound } from "../search/lower-bound.ts";
import { additionsOf, removalsOf } from "../search/row-curves.ts";
import { type TableauWorkspace, tableauWorkspace } from "../search/row-tableau.ts";
import { type SwapRule, swapUntilBest } from "../search/swaps.ts";
import { type AlpsOptions, alpsDraft, alpsMask } from "./alps.ts";
import { obcMask } from "./obc.ts";
import { wandaSaliency } from "./wanda.ts";

/** Settings of {@link layerwise}. */
export interface LayerwiseOptions extends AlpsOptions {
  /** Where the search starts: "alps", "obc", or "best" (default), the one of lower Q where both can be had. */
  readonly start?: "alps" | "obc" | "best" | undefined;
  /** Whether weights may change rows after the swaps, at most so many times; default 4. */
  readonly exchanges?: number | undefined;
  /**
   * Multiply-adds that swaps may cost, at most. Larger layers keep the support they started from, and "best" is ALPS's there: traces cost half of what swaps do. Default 1e10, some ten seconds.
   */
  readonly mostWork?: number | undefined;
  /** Steps towards a lower bound on what can be reached, rows cols^2 each; default 0: none. 50 to 300 come near to the best that this bound can say. */
  readonly boundSteps?: number | undefined;
}

/** Removals and additions that a row offers to the others at a time. */
const offered = 8;

/**
 * The layer-wise default as a solver, for any budget over any units; swaps are of single weights. stats: `swaps`, `moved` (weights that
 * changed rows), `relativeError`, and with `boundSteps` `lowerBound`, `relativeLowerBound` and `gap`. "max-iterations": swaps or the re-fit were cut short.
 * Time: that of the starts and rows cols^3 / 4 for the swaps. Memory: 40 cols^2 bytes more.
 *
 * @example
 * const { w, stats } = await layerwise().solve(problem, ctx);
 */
export function layerwise(options: LayerwiseOptions = {}): Solver {
  const usual = defaults.layerwise;
  const { mostWork = usual.mostWork, exchanges = usual.exchanges, boundSteps = usual.boundSteps } = options;
  return {
    needs: {},
    scope: "layers",
    draft: alpsDraft(options),
    solve: (problem, ctx) => {
      throwIfAborted(ctx.signal);
      return withLayer(layerProblem(problem, ctx), async (layer) => {
        const bound = boundSteps > 0 ? await lowerBound(problem, layer, { steps: boundSteps }, ctx) : undefined;
        if (boundSteps > 0 && bound === undefined) noteNoBound(layer, ctx);
        noteLong(layer, { runsAdmm: options.start !== "obc" }, ctx);
        const start = await startFrom(problem, layer, ctx, options);
        const rule = ruleOf(problem);
        const isLarge = swapWork(layer) > mostWork;
        if (!rule || isLarge) {
          if (isLarge) noteNoSwaps(layer, ctx);
          const { w, status: refitted } = await refit(layer, weightMask(problem.units, start.mask), ctx, start.near);
          const status = refitted === "max-iterations" ? refitted : "converged";
          return solutionOf(problem, layer, { w, mask: start.mask, status, stats: { swaps: 0 }, bound });
        }
        const workspace = tableauWorkspace(layer.cols, ctx.kernels);
        const improving = improve({ layer, mask: start.mask, rule, exchanges, workspace }, ctx);
        const found = await improving.finally(() => workspace.release());
        const { w, status: refitted } = await refit(layer, found.mask, ctx);
        const { swaps, moved, settled } = found;
        const status = settled && refitted !== "max-iterations" ? "converged" : "max-iterations";
        return solutionOf(problem, layer, { w, mask: found.mask, status, stats: { swaps, moved }, bound });
      });
    },
  };
}

function noteNoBound({ id }: LayerProblem, ctx: RunContext): void {
  const message = `${id}: no lower bound: its H has a direction too flat for one, or its budget is of groups of weights; more calibration examples help the former`;
  ctx.report({ type: "note", level: "warn", code: "no-lower-bound", message });
}

function noteNoSwaps({ id, rows, cols }: LayerProblem, ctx: RunContext): void {
  const message = `${id}: swaps in ${rows} rows of ${cols} inputs cost more than mostWork allows; the support of the start is kept, its weights are re-fitted`;
  ctx.report({ type: "note", level: "info", code: "swaps-skipped", message });
}

/** Multiply-adds of the tableaus that swaps are priced in. */
function swapWork({ rows, cols }: LayerProblem): number {
  return rows * cols ** 3 * 0.3;
}

/** A support, and weights near to the re-fitted ones where its method gives some. */
interface Start {
  readonly mask: Mask;
  readonly near?: Mat;
}

/** The best support to start from, by Q after the re-fit. */
async function startFrom(
  problem: Problem,
  layer: LayerProblem,
  ctx: RunContext,
  { start = defaults.layerwise.start, mostWork: asked, ...options }: LayerwiseOptions,
): Promise<Start> {
  const { units } = problem;
  const canTrace = rowwiseBudget(problem) !== undefined;
  const mostWork = asked ?? defaults.layerwise.mostWork;
  const isLarge = swapWork(layer) > mostWork;
  if (start === "obc") return await obcMask(problem, layer, ctx, { mostWork: asked });
  const starts: Start[] = [await alpsMask(problem, layer, ctx, options)];
  if (start === "alps") return starts[0]!;
  if (canTrace && !isLarge) starts.push(await obcMask(problem, layer, ctx, { mostWork }));
  // Groups cannot be swapped: their start has to be good by itself.
  if (!units.perWeight) starts.push({ mask: await selectorFrom(wandaSaliency).select(problem, ctx) });
  if (starts.length === 1) return starts[0]!;
  let [best, least] = [starts[0]!, Number.POSITIVE_INFINITY];
  for (const one of starts) {
    const { w } = await refit(layer, weightMask(problem.units, one.mask), ctx, one.near);
    const value = layer.objective(w);
    if (value < least) [best, least] = [one, value];
  }
  return best;
}

/** How single weights may be swapped under a budget, and whether rows may trade. */
interface Rule {
  readonly swaps: SwapRule;
  readonly eligible: Mask | undefined;
  readonly isShared: boolean;
  readonly maySwap?: NonNullable<Constraint["canSwap"]>;
}

function ruleOf(problem: Problem): Rule | undefined {
  const budget = rowwiseBudget(problem);
  if (budget?.kind === "count") return { swaps: {}, eligible: budget.eligible, isShared: true };
  if (budget) return { swaps: { group: budget.of }, eligible: budget.eligible, isShared: false };
  const { units, constraint } = problem;
  if (!units.perWeight || !constraint.canSwap) return undefined;
  return { swaps: {}, eligible: undefined, isShared: false, maySwap: (mask) => constraint.canSwap!(mask) };
}

interface Improvement {
  readonly mask: Mask;
  readonly swaps: number;
  readonly moved: number;
  readonly settled: boolean;
}

async function improve(
  call: { layer: LayerProblem; mask: Mask; rule: Rule; exchanges: number; workspace: TableauWorkspace },
  ctx: RunContext,
): Promise<Improvement> {
  const { layer, mask: start, rule, exchanges, workspace } = call;
  const { rows, cols } = layer;
  const mask = start.slice();
  const offers: RowOffer[] = [];
  let [swaps, moved, settled] = [0, 0, true];
  let open = Array.from({ length: rows }, (_, r) => r);
  const budgets = rule.isShared && rows > 1 ? exchanges : 0;
  for (let round = 0; round <= budgets; round++) {
    for (const [index, r] of open.entries()) {
      const row = improveRow({ layer, mask, rule, r, workspace, isOffering: round < budgets });
      swaps += row.swaps;
      settled &&= row.settled;
      offers[r] = row.offer;
      await ctx.tick({ task: "solve", done: index + 1, total: open.length });
    }
    if (round === budgets) break;
    const moves = exchangeBetween(offers);
    open = [];
    moves.forEach((count, r) => {
      if (count === 0) return;
      open.push(r);
      const { columns } = count < 0 ? offers[r]!.out : offers[r]!.into;
      for (const j of columns.subarray(0, Math.abs(count))) mask[r * cols + j] = count < 0 ? 0 : 1;
      moved += Math.max(0, count);
    });
    if (open.length === 0) break;
  }
  return { mask, swaps, moved, settled };
}

/** What a budget says of swaps in one row of a mask, whose bits are `row` by now. */
function withinRow(
  canSwap: (mask: Mask) => SwapCheck,
  { mask, row, from }: { mask: Mask; row: Mask; from: number },
): SwapCheck {
  mask.set(row, from);
  const fits = canSwap(mask);
  return (out, into) => fits(from + out, from + into);
}

/** Swaps in one row of the mask [rows * cols], which is changed, and what the row offers afterwards. */
function improveRow(call: {
  layer: LayerProblem;
  mask: Mask;
  rule: Rule;
  r: number;
  workspace: TableauWorkspace;
  isOffering: boolean;
}): { swaps: number; settled: boolean; offer: RowOffer } {
  const { layer, mask, rule, r, workspace, isOffering } = call;
  const { cols, H, B } = layer;
  const [from, to] = [r * cols, (r + 1) * cols];
  const own = mask.subarray(from, to);
  const b = B.data.subarray(from, to);
  const tableau = workspace.open(H, b, own);
  const eligible = rule.eligible?.subarray(from, to);
  const { maySwap } = rule;
  const swapRule: SwapRule = {
    ...rule.swaps,
    eligible,
    ...(maySwap ? { maySwap: (row: Mask) => withinRow(maySwap, { mask, row, from }) } : {}),
  };
  let energy = 0;
  for (let j = 0; j < cols; j++) energy += 0.5 * layer.dense.data[from + j]! * b[j]!;
  const result = swapUntilBest(tableau, swapRule, { energy: Math.abs(energy), most: Math.max(8, countKept(own)) });
  const none = { columns: new Uint32Array(0), values: new Float64Array(0) };
  const offer = isOffering
    ? { out: removalsOf(tableau, offered), into: additionsOf(tableau, offered, eligible) }
    : { out: none, into: none };
  own.set(tableau.mask);
  return { ...result, offer };
}
