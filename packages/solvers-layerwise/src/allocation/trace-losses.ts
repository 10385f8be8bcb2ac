/**
 * What OBC's traces of a layer tell the rules that share a budget out. Where all rows cost too much to trace, some stand for all of them: evenly
 * chosen ones, each as often as there are rows for it, which says as much about layers beside each other.
 */
import { countKept, type Mask, matrix, type Problem, type RunContext, type Vec, weightUnits } from "@secateur/core";
import { defaults } from "../defaults.ts";
import { obcTrace } from "../methods/obc.ts";
import { convexSlopes } from "../search/allocate.ts";
import { type RemovalTrace, rowLosses, traceWork } from "../search/trace.ts";
import { lossLevels } from "./loss-database.ts";
import type { LayerAllocation, LayerShare } from "./share-budget.ts";

/** What a layer's traces are asked for. */
export interface TraceSpec {
  readonly rules: readonly LayerAllocation[];
  /** 1 for weights that may be kept; default: all. */
  readonly eligible?: Mask | undefined;
  /** Multiply-adds of the traces at most, but for one row. Default 3.3e9: all rows of layers of 64 x 670 or 40 x 784, in some three seconds. */
  readonly mostWork?: number;
}

/** What they tell. */
export type LayerTraces = Pick<LayerShare, "losses" | "levels">;

/** Whether a rule shares by traces at all. */
export function asksForTraces(rules: readonly LayerAllocation[]): boolean {
  return rules.includes("global") || rules.includes("loss-database");
}

/** Of all removals 8 bytes a weight, and levels of a layer. A layer whose outputs are all 0 loses nothing by any of them. */
export async function traceLosses(problem: Problem, spec: TraceSpec, ctx: RunContext): Promise<LayerTraces> {
  const { rules, mostWork = defaults.allocation.mostWork } = spec;
  const [isGlobal, isDatabase] = [rules.includes("global"), rules.includes("loss-database")];
  if (!asksForTraces(rules)) return {};
  const { id, w } = problem;
  const { rows, cols } = w;
  const traced = Math.min(rows, Math.max(1, Math.floor(mostWork / traceWork({ rows: 1, cols }))));
  if (traced < rows) {
    const message = `${id}: ${traced} of its ${rows} rows of ${cols} inputs stand for all where layers share the budget; the traces of all would cost ${traceWork(w).toPrecision(2)} multiply-adds, and allocation "uniform" needs none`;
    ctx.report({ type: "note", level: "info", code: "trace-sampled", message });
  }
  const sample = { ...someRows(problem, traced), units: weightUnits(traced * cols) };
  const eligible = spec.eligible && (pickRows(spec.eligible, { rows, cols, traced }) as Mask);
  const trace = await obcTrace(sample, ctx, isDatabase && eligible ? { eligible } : {});
  return {
    ...(isGlobal ? { losses: relativeLosses(trace, { rows, cols }) } : {}),
    ...(isDatabase
      ? {
          levels: scaled(
            lossLevels(rowLosses(trace, cols, eligible), {
              ...{ size: traced * cols, energy: trace.energy },
              ...(eligible ? { eligible: countKept(eligible) } : {}),
            }),
            { factor: rows / traced, most: spec.eligible ? countKept(spec.eligible) : rows * cols },
          ),
        }
      : {}),
  };
}

function someRows(problem: Problem, traced: number): Problem {
  const { w, gradient } = problem;
  const { rows, cols } = w;
  if (traced === rows) return problem;
  return {
    ...problem,
    w: matrix(traced, cols, pickRows(w.data, { rows, cols, traced }) as Vec),
    ...(gradient ? { gradient: matrix(traced, cols, pickRows(gradient.data, { rows, cols, traced }) as Vec) } : {}),
  };
}

/** A sample of rows: each is the middle one of those it stands for. */
function pickRows(data: Vec | Mask, at: { rows: number; cols: number; traced: number }): Vec | Mask {
  const { rows, cols, traced } = at;
  const out = data.slice(0, traced * cols);
  for (let t = 0; t < traced; t++) {
    const row = Math.floor(((t + 0.5) * rows) / traced);
    out.set(data.subarray(row * cols, (row + 1) * cols), t * cols);
  }
  return out;
}

/** Losses of all rows, those that were not traced with the losses of the row that stands for them, over the energy of their outputs; rising. */
function relativeLosses(
  { losses, counts, energy }: RemovalTrace & { readonly energy: number },
  { rows, cols }: { rows: number; cols: number },
): Float64Array {
  const all = new Float64Array(rows * cols);
  const traced = counts.length;
  const whole = (energy * rows) / traced;
  if (!(whole > 0)) return all;
  const slopes = Array.from(counts, (count, r) => convexSlopes(losses.subarray(r * cols, r * cols + count)));
  for (let r = 0; r < rows; r++) all.set(slopes[Math.floor((r * traced) / rows)]!, r * cols);
  for (let i = 0; i < all.length; i++) all[i]! /= whole;
  return all.sort();
}

/** Levels of a sample of rows for all of them. */
function scaled(
  levels: ReturnType<typeof lossLevels>,
  { factor, most }: { factor: number; most: number },
): ReturnType<typeof lossLevels> {
  if (factor === 1) return levels;
  const kept = levels.kept.map((count, i) => (i === 0 ? most : Math.min(most, Math.floor(count * factor))));
  return { ...levels, kept };
}
