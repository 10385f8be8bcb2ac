/** What a cut took, as the documents of commands have it. */
import { type GraphSpec, type GraphTensor, kindOfDtype } from "@secateur/graph";
import type { CheckedCut } from "./cut-checked.ts";

/** What a cut took. */
export interface CutNumbers {
  /** Groups of channels that can only go together, and how many of them went. */
  readonly groups: number;
  readonly cut: number;
  /** Numbers in the model's tensors, before and after. */
  readonly parameters: { readonly before: number; readonly after: number };
  /** Operations of one example, before and after. */
  readonly flops: { readonly before: number; readonly after: number };
  /** The largest difference of an output between the two on random inputs, as a share of the largest output. */
  readonly difference: number;
  /** Channels of weights that nothing can cut, by the operator or output that keeps them. */
  readonly frozen: readonly { readonly by: string; readonly channels: number }[];
}

/** @param graph - before the cut */
export function cutNumbers(graph: GraphSpec, cut: CheckedCut): CutNumbers {
  return {
    ...{ groups: cut.groups, cut: cut.gone },
    parameters: { before: parametersOf(graph), after: parametersOf(cut.graph) },
    flops: { before: cut.flops[0], after: cut.flops[1] },
    ...{ difference: cut.difference, frozen: frozenBy(cut) },
  };
}

/** Numbers in the tensors of a graph that are computed with. */
function parametersOf(graph: GraphSpec): number {
  const constants = graph.nodes.flatMap(({ op, attributes: { value } }): readonly GraphTensor[] =>
    op === "Constant" && typeof value === "object" && "dtype" in value ? [value as GraphTensor] : [],
  );
  return [...graph.initializers, ...constants].reduce((sum, { dtype, shape }) => {
    return sum + (kindOfDtype(dtype) === "real" ? shape.reduce((size, extent) => size * extent, 1) : 0);
  }, 0);
}

function frozenBy({ frozen }: CheckedCut): CutNumbers["frozen"] {
  const counts = new Map<string, number>();
  for (const { why, places } of frozen) counts.set(why, (counts.get(why) ?? 0) + places);
  return [...counts].map(([by, channels]) => ({ by, channels })).sort((a, b) => b.channels - a.channels);
}
