/** Where a plan multiplies with a weight, and whether its rows all see the same there. */
import type { GraphParam } from "./params.ts";
import type { Plan } from "./plan.ts";
import { isRecurrent } from "./recurrent.ts";

/** Of every plan that was asked about: grouped convolutions ask once for each group of each batch. */
const known = new WeakMap<Plan["steps"], ReadonlyMap<string, readonly number[]>>();

/** Places in `steps` where a parameter is multiplied with, in order: one for each node that uses it, and for each step of time of an LSTM or GRU. */
export function stepsWith({ steps }: Pick<Plan, "steps">, param: string): readonly number[] {
  const places = known.get(steps) ?? placesOf(steps);
  known.set(steps, places);
  return places.get(param) ?? [];
}

function placesOf(steps: Plan["steps"]): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  steps.forEach(({ weights }, s) => {
    for (const param of new Set(weights.flatMap((use) => (use ? [use.param] : [])))) {
      const own = places.get(param) ?? [];
      own.push(s);
      places.set(param, own);
    }
  });
  return places;
}

/** Rows of a weight that see the same, and the places in `steps` where they do. */
export interface RowGroup {
  readonly firstRow: number;
  readonly rows: number;
  readonly steps: readonly number[];
}

/**
 * The rows of a weight by what they see, in order; one group but for what an LSTM or GRU multiplies its state with. There each direction has its own state, and a GRU that
 * resets the state before the product multiplies twice at every step of time: h with the rows of its gates z and r, and then r h with the rows of its new values.
 */
export function rowGroups(plan: Pick<Plan, "steps">, { name, uses, live }: GraphParam): readonly RowGroup[] {
  const steps = stepsWith(plan, name);
  const [node] = uses;
  if (!node || !isRecurrent(node) || steps.length < 2) return [{ firstRow: 0, rows: live.rows, steps }];
  const directions = node.attributes.direction === "bidirectional" ? 2 : 1;
  const rows = live.rows / directions;
  return Array.from({ length: directions }, (_, d) => {
    const firstRow = d * rows;
    const own = steps.slice((d * steps.length) / directions, ((d + 1) * steps.length) / directions);
    if (!resetsBefore(node)) return [{ firstRow, rows, steps: own }];
    const gates = (2 * rows) / 3;
    return [
      { firstRow, rows: gates, steps: own.filter((_step, i) => i % 2 === 0) },
      { firstRow: firstRow + gates, rows: rows - gates, steps: own.filter((_step, i) => i % 2 === 1) },
    ];
  }).flat();
}

function resetsBefore({ op, attributes }: GraphParam["uses"][number]): boolean {
  return op === "GRU" && attributes.linear_before_reset !== 1;
}

/** Why the rows of a weight do not all see the same, in words; undefined where they do. */
export function mixtureOf(plan: Pick<Plan, "steps">, param: GraphParam): string | undefined {
  if (rowGroups(plan, param).length === 1) return undefined;
  const node = param.uses[0]!;
  return resetsBefore(node)
    ? "some rows of its GRU see the state, others the state as it was reset"
    : `rows of each direction of its ${node.op} see other states`;
}
