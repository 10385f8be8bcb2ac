/** Which values of a plan change with a weight, and until when each is needed. */
import type { Operator } from "../operator.ts";
import { sizeOf, type ValueType } from "../value.ts";

interface UsedStep {
  readonly operator: Pick<Operator, "derivative">;
  /** Numbers of values. */
  readonly inputs: readonly (number | undefined)[];
  readonly outputs: readonly number[];
  readonly types: readonly ValueType[];
}

/**
 * Goes through the steps once.
 *
 * @param active - for each value whether it changes by itself; the values of steps are written into it
 * @param outputs - of the graph: needed to the end
 * @returns the step after which nothing reads a value, -1 where nothing does; and how many numbers the steps make
 */
export function slotUse(
  steps: readonly UsedStep[],
  active: boolean[],
  outputs: Iterable<number>,
): { readonly lastUse: readonly number[]; readonly size: number } {
  const lastUse = active.map(() => -1);
  let size = 0;
  steps.forEach((step, s) => {
    for (const input of step.inputs) if (input !== undefined) lastUse[input] = s;
    const isActive =
      step.operator.derivative !== "none" && step.inputs.some((slot) => slot !== undefined && active[slot]);
    step.outputs.forEach((slot, i) => {
      active[slot] = isActive && step.types[i]!.kind === "real";
      size += sizeOf(step.types[i]!.shape);
    });
  });
  for (const slot of outputs) lastUse[slot] = steps.length;
  return { lastUse, size };
}
