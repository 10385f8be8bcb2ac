/** Shapes of a new graph's outputs: planned for two sets of inputs; what differs between them varies. */
import type { NewOnnxModel } from "@secateur/formats";
import { findParams, type Kind, planGraph, type Shape } from "@secateur/graph";

type Extents = readonly (number | string)[];

/** Stand-ins for extents that vary: large enough for windows and strides, no multiples of each other. */
const standIns = [
  { batch: 2, other: 64 },
  { batch: 3, other: 97 },
];

/**
 * Plans a graph and tells the shapes of its outputs. O(nodes), twice.
 *
 * @returns by name; a dimension that varies is "batch" where it is the first, else named after the output
 */
export function outputShapes({ graph, opsets }: Pick<NewOnnxModel, "graph" | "opsets">): ReadonlyMap<string, Extents> {
  const { params } = findParams(graph, "f32");
  const kinds = new Map(graph.inputs.map(({ name }) => [name, "real" as Kind]));
  const [first, second] = standIns.map(({ batch, other }) => {
    const inputs = new Map(
      graph.inputs.map(({ name, shape = [] }): [string, Shape] => [
        name,
        shape.map((extent) => (typeof extent === "number" ? extent : extent === "batch" ? batch : other)),
      ]),
    );
    const plan = planGraph({ graph, opsets, params, dtype: "f32", inputs, kinds });
    return new Map([...plan.outputs].map(([name, value]) => [name, plan.types[value]!.shape]));
  }) as [Map<string, Shape>, Map<string, Shape>];
  return new Map(
    [...first].map(([name, shape]) => [
      name,
      shape.map((extent, d) => (extent === second.get(name)![d] ? extent : d === 0 ? "batch" : `${name}_${d}`)),
    ]),
  );
}
