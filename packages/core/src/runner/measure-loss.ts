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
 * @param spec.settle - see PruneRequest
 */
export async function measureLoss(
  spec: {
    model: Model;
    task: Task;
    params: readonly FlatParam[];
    w: Vec;
    accept: Dataset;
    settle?: (ctx: RunContext) => Promise<void>;
  },
  ctx: RunContext,
): Promise<number> {
  const quiet = quietContext(ctx);
  await writeFlat(spec.model, spec.params, spec.w);
  try {
    await spec.settle?.(quiet);
    const { loss } = await spec.model.evaluate!(spec.accept, quiet, { task: spec.task });
    return Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss;
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_NOT_FINITE") return Number.POSITIVE_INFINITY;
    throw error;
  }
}
