/**
 * One set of gradient rows for a whole network, and local problems over any of its layers made from it: the rows of a
 * layer are a block of the network's, so nothing is taken twice.
 */
import {
  type Dataset,
  dtypeOf,
  type FlatParam,
  keepCount,
  type Mask,
  matrix,
  type RunContext,
  sampleIndices,
  type Task,
  weightUnits,
  withDrawnSlopes,
} from "@secateur/core";
import { autoRidge, denseBlock, factoredBlock, type RowBlock, rowFactor, storedCurvature } from "@secateur/fisher";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import type { NetworkGradients } from "../../sensitivity/network-gradients.ts";

/**
 * Takes `rows` gradient rows of single examples, drawn without replacement. Memory: as the empirical Fisher's, for all layers
 * at once.
 */
export async function takeGradients(
  spec: {
    network: PrunableModel;
    params: readonly FlatParam[];
    weights: Float32Array;
    data: Dataset;
    task: Task;
    rows: number;
    ridge: number | "auto";
  },
  ctx: RunContext,
): Promise<NetworkGradients> {
  const { network, params, weights, data, task, rows } = spec;
  const started = ctx.now();
  const examples = sampleIndices(data.size, rows, ctx.rng.fork("examples"));
  // The slopes of a loss that compares a network with itself are all zero.
  const drawn = task.targetsFrom === "teacher" ? withDrawnSlopes(task, ctx.rng.fork("slopes")) : task;
  const request = { params: params.map(({ name }) => name), data, task: drawn, examples, batch: 1 };
  const gradients = await network.gradientRows!(request, ctx);
  const blocks = new Map<string, RowBlock>();
  let dtype: "f32" | "f64" = "f32";
  for (const block of gradients.blocks) {
    dtype = dtypeOf(block.kind === "dense" ? block.rows.data : block.delta.data);
    blocks.set(
      block.param,
      block.kind === "dense" ? denseBlock(block.rows, ctx.kernels) : factoredBlock(block, ctx.kernels),
    );
  }
  const view = (names: readonly string[], damping: number) =>
    rowFactor({ blocks: names.map((name) => blocks.get(name)!), rows, dtype, damping });
  // Of the weights that are not zero yet, as a run of prune would.
  const kept: Mask = Uint8Array.from(weights, (value) => (value === 0 ? 0 : 1));
  const whole = view(request.params, 0);
  const ridge = spec.ridge === "auto" ? autoRidge(whole, rows, kept) : spec.ridge;
  return {
    ...{ params, weights, rows, ridge },
    gradientMs: ctx.now() - started,
    problem(names, keep, inner) {
      const chosen = params.filter(({ name }) => names.includes(name));
      const size = chosen.reduce((sum, param) => sum + param.size, 0);
      const w = matrix(1, size);
      let start = 0;
      const layers = chosen.map((param) => {
        w.data.set(weights.subarray(param.start, param.start + param.size), start);
        start += param.size;
        return { name: param.name, start: start - param.size, size: param.size };
      });
      return {
        ...{ id: names.length === 1 ? names[0]! : "network", w, layers },
        curvature: storedCurvature(view(names, ridge), inner.kernels),
        units: weightUnits(size),
        constraint: keepCount({ count: size, keep, kernels: inner.kernels }),
      };
    },
  };
}
