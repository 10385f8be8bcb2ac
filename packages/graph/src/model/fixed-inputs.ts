/** Inputs that are one number from now on: the graph for them has constants in their place, and folds what follows from these. */
import { isPruneError } from "@secateur/core";
import { badInput } from "../errors.ts";
import type { GraphSpec, GraphTensor, ValueSpec } from "../graph-spec.ts";
import type { GraphParam } from "../plan/params.ts";
import { type PlanSpec, planGraph } from "../plan/plan.ts";
import { type Shape, sizeOf } from "../value.ts";

/** Numbers of inputs by name: every number of them. */
export type FixedInputs = ReadonlyMap<string, number>;

/** Numbers of one fixed input: 256 MiB of f32. */
const mostNumbers = 2 ** 26;

/**
 * Fixed inputs as tensors, for other inputs of given shapes: an extent with a name is what the same name is there; one that
 * nothing tells is taken for the number of examples, the first extent of the first of them.
 *
 * @throws ERR_GRAPH_INPUT for one of too many numbers
 */
export function fixedTensors(
  { name: where, inputs }: Pick<GraphSpec, "name" | "inputs">,
  fixed: FixedInputs,
  shapes: ReadonlyMap<string, Shape>,
): readonly GraphTensor[] {
  const extents = new Map<string, number>();
  for (const { name, shape = [] } of inputs) {
    const given = shapes.get(name);
    shape.forEach((extent, axis) => {
      if (typeof extent === "string" && given?.[axis] !== undefined) extents.set(extent, given[axis]);
    });
  }
  const [[examples = 1] = []] = shapes.values();
  return inputs.flatMap(({ name, dtype, shape = [] }) => {
    const number = fixed.get(name);
    if (number === undefined) return [];
    const own = shape.map((extent) => (typeof extent === "number" ? extent : (extents.get(extent ?? "") ?? examples)));
    const size = sizeOf(own);
    if (!(size <= mostNumbers))
      throw badInput({ where, input: name, found: `${size} numbers`, expected: `at most ${mostNumbers}` });
    return [{ name, dtype, shape: own, data: new Float64Array(size).fill(number) }];
  });
}

/** The graph with constants in place of its fixed inputs. */
export function withFixedInputs(graph: GraphSpec, fixed: FixedInputs, shapes: ReadonlyMap<string, Shape>): GraphSpec {
  if (fixed.size === 0) return graph;
  const inputs = openInputs(graph, fixed);
  return { ...graph, inputs, initializers: [...graph.initializers, ...fixedTensors(graph, fixed, shapes)] };
}

/** Inputs that are given with every batch. */
export function openInputs({ inputs }: Pick<GraphSpec, "inputs">, fixed: FixedInputs): readonly ValueSpec[] {
  return inputs.filter(({ name }) => !fixed.has(name));
}

/** The weights that are still used where inputs are fixed; all of them where no guess of the other inputs' shapes fits the graph. */
export function reachedParams(
  spec: Omit<PlanSpec, "inputs">,
  { fixed, guesses }: { readonly fixed: FixedInputs; readonly guesses: readonly ReadonlyMap<string, Shape>[] },
): ReadonlySet<GraphParam> {
  for (const inputs of guesses) {
    try {
      const { steps } = planGraph({ ...spec, graph: withFixedInputs(spec.graph, fixed, inputs), inputs });
      const used = new Set(steps.flatMap(({ weights }) => weights.map((use) => use?.param)));
      return new Set(spec.params.filter(({ name }) => used.has(name)));
    } catch (error) {
      // The next guess may fit.
      if (!isPruneError(error)) throw error;
    }
  }
  return new Set(spec.params);
}
