/** Slopes drawn from what the network itself predicts, where those of the loss tell nothing: distillation starts with every slope zero. */
import type { Rng } from "../../rng.ts";
import type { Task } from "../task.ts";

/**
 * The same task with drawn slopes (see OutputFactor.draw) in place of the loss's: gradient rows of it make a Fisher matrix whose mean is the
 * Gauss-Newton one. Losses and measures stay. Passes must come in one order for the draws to be the same.
 */
export function withDrawnSlopes(task: Task, rng: Rng): Task {
  return {
    ...task,
    loss(call) {
      const { delta, ...rest } = call;
      const found = task.loss(rest);
      if (delta) task.outputFactor(call).draw(rng, delta);
      return found;
    },
  };
}
