import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { type FlatParam, writeFlat } from "../problem/flat-weights.ts";
import type { Vec } from "../problem/matrix.ts";
import { isPruneError } from "../prune-error.ts";
import { quietContext, type RunContext } from "../run-context.ts";
import type { Task } from "../task/task.ts";

/**
 * Mean loss of a model with other weights; infinite where its outputs are not finite. Leaves these weights in the model.
 *
 * @param spec.w - flat prunable weights [p]
 * @param spec.recalibrate - see PruneRequest
 */
export async function measureLoss(
  spec: {
    model: Model;
    task: Task;
    params: readonly FlatParam[];
    w: Vec;
    accept: Dataset;
    recalibrate?: (ctx: RunContext) => Promise<void>;
  },
  ctx: RunContext,
): Promise<number> {
  const quiet = quietContext(ctx);
  await writeFlat(spec.model, spec.params, spec.w);
  const evaluation = await ifFinite(async () => {
    await spec.recalibrate?.(quiet);
    return await spec.model.evaluate!(spec.accept, quiet, { task: spec.task });
  });
  return lossOf(evaluation);
}

/** What is measured, or nothing where outputs are not finite. */
export async function ifFinite<T>(measured: () => Promise<T>): Promise<T | undefined> {
  try {
    return await measured();
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_NOT_FINITE") return undefined;
    throw error;
  }
}

/** The loss to compare by: infinite where outputs, or it, are not finite. */
export function lossOf(evaluation: { readonly loss: number } | undefined): number {
  const { loss = Number.NaN } = evaluation ?? {};
  return Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss;
}
