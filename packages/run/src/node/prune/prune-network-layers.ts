/** Prunes a network layer by layer, and reports it as one stage. */
import {
  type Dataset,
  type LayerReport,
  layoutParams,
  type Note,
  type RunContext,
  readFlat,
  type StageReport,
} from "@secateur/core";
import { activations } from "@secateur/fisher";
import { type PrunedLayer, pruneLayers } from "@secateur/solvers-layerwise";
import type { PruneOutcome, PruneTask } from "../../prune/prune-network.ts";
import type { LayersSettings } from "./layers-settings.ts";

/** Calibration examples where nothing is said. */
const usualExamples = 1024;

/** A task with its scope. */
export interface LayersTask extends Pick<PruneTask, "network" | "solver" | "sparsity" | "params" | "session"> {
  readonly layers: LayersSettings;
  /** Where calibration examples come from. */
  readonly train: Dataset;
  readonly recalibrate?: (ctx: RunContext) => Promise<void>;
}

/** Prunes in place. @throws what `pruneLayers` throws */
export async function pruneNetworkLayers(task: LayersTask): Promise<Pick<PruneOutcome, "result">> {
  const { network, solver, sparsity, layers, train, session, recalibrate } = task;
  const notes: Note[] = [];
  const ctx = collecting(session.context(), notes);
  const params = layoutParams(network, task.params);
  const started = ctx.now();
  const pruned = await pruneLayers(
    {
      ...{ model: network, data: train, solver, curvature: activations(), sparsity },
      ...{ ...layers, params: params.map(({ name }) => name) },
      examples: Math.min(train.size, layers.examples ?? usualExamples),
      ...(recalibrate ? { recalibrate } : {}),
    },
    ctx,
  );
  const totalMs = ctx.now() - started;
  const weights = await readFlat(network, params);
  const mask = Uint8Array.from(weights, (value) => (value === 0 ? 0 : 1));
  const { nonzeros, size } = pruned;
  const solveMs = pruned.layers.reduce((sum, layer) => sum + layer.solveMs, 0);
  const relativeError = meanError(pruned.layers);
  const reached = size === 0 ? 0 : 1 - nonzeros / size;
  const stage: StageReport = {
    ...{ sparsity: reached, nonzeros, objective: relativeError, status: "converged", taken: "step", notes: [] },
    ...{ examples: pruned.examples, gradientMs: totalMs - solveMs, solveMs },
    stats: { relativeError, layers: pruned.layers.length, ...heldOutStats(pruned.heldOutError) },
  };
  return {
    result: {
      ...{ sparsity: reached, kept: nonzeros, nonzeros, prunable: size, objective: relativeError },
      layers: params.map((param): LayerReport => reportOf(param, pruned.layers)),
      ...{ stages: [stage], notes, mask, timing: { gradientMs: totalMs - solveMs, solveMs, totalMs } },
    },
  };
}

/** The same context with its notes also in a list. */
function collecting(ctx: RunContext, notes: Note[]): RunContext {
  return {
    ...ctx,
    report(event) {
      if (event.type === "note") notes.push({ code: event.code, level: event.level, message: event.message });
      ctx.report(event);
    },
  };
}

/** Of all groups of one parameter, weighted by their rows. */
function reportOf(
  { name, shape, size }: { name: string; shape: readonly number[]; size: number },
  layers: readonly PrunedLayer[],
): LayerReport {
  const own = layers.filter((layer) => layer.name === name);
  const nonzeros = own.reduce((sum, layer) => sum + layer.nonzeros, 0);
  return { name, shape, size, nonzeros, relativeError: meanError(own) };
}

/** The mean relative error, each layer counting alike. */
function meanError(layers: readonly PrunedLayer[]): number {
  return layers.reduce((sum, layer) => sum + layer.relativeError, 0) / Math.max(1, layers.length);
}

function heldOutStats(errors: Readonly<Record<string, number>> | undefined): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(errors ?? {}).map(([rule, error]) => [`heldOut${rule[0]!.toUpperCase()}${rule.slice(1)}`, error]),
  );
}
