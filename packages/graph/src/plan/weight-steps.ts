/** Where a plan multiplies with a weight, and whether its rows all see the same there. */
import type { GraphParam } from "./params.ts";
import type { Plan } from "./plan.ts";
import { isRecurrent } from "./recurrent.ts";

/** Places in `steps` where a parameter is multiplied with, in order: one for each node that uses it, and for each step of time of an LSTM or GRU. */
export function stepsWith({ steps }: Pick<Plan, "steps">, param: string): readonly number[] {
  return steps.flatMap(({ weights }, s) => (weights.some((use) => use?.param === param) ? [s] : []));
}

/**
 * Why the rows of a weight do not all see the same, in words; undefined where they do.
 *
 * @param options.isByDirection - whether rows of each direction are taken apart
 */
export function mixtureOf(
  plan: Pick<Plan, "steps">,
  { name, uses }: GraphParam,
  { isByDirection = false }: { isByDirection?: boolean } = {},
): string | undefined {
  const [node] = uses;
  if (!node || !isRecurrent(node) || stepsWith(plan, name).length < 2) return undefined;
  const { op, attributes } = node;
  if (op === "GRU" && attributes.linear_before_reset !== 1)
    return "some rows of its GRU see the state, others the state as it was reset";
  if (isByDirection || attributes.direction !== "bidirectional") return undefined;
  return `rows of each direction of its ${op} see other states`;
}
