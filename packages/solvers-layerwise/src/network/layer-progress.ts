/** Progress of a pass over layers as a whole, whatever each of them is busy with. */
import type { LayerRows, Model, RunContext } from "@secateur/core";

/** A pass over some parameters of a model. */
export interface LayerProgress {
  /** What is ticked under way tells how many layers are done, and which one's turn it is. */
  readonly ctx: RunContext;
  /** Some rows are done. */
  leave(target: LayerRows): void;
}

/** @param params - those that the pass is over */
export function layerProgress(model: Model, params: readonly string[], ctx: RunContext): LayerProgress {
  const rows = new Map(model.params().map((param) => [param.name, param.rows]));
  const total = params.length;
  let left = 0;
  return {
    ctx: {
      ...ctx,
      tick({ task, done, total: of, values }) {
        const inside = task === "solve" && of ? Math.min(1, done / of) : 0;
        const layer = Math.min(total, Math.floor(left + 1e-9) + 1);
        return ctx.tick({
          task,
          done: Math.min(total, left + inside),
          total,
          values: { ...values, layer, layers: total },
        });
      },
    },
    leave({ param, rows: own }) {
      left += own / (rows.get(param) ?? own);
    },
  };
}
