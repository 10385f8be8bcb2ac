/**
 * Biases of LSTM and GRU, [directions, 2 * gates * hidden]: those of the inputs' products before those of the states'. They can be written, so that a hidden
 * unit whose weights go gives 0 and not a constant; nothing fits them, as no product's outputs are theirs alone.
 */
import type { Dtype, Vec } from "@secateur/core";
import type { GraphSpec } from "../../graph-spec.ts";
import { isRecurrent } from "../../plan/recurrent.ts";
import { tensorValue } from "../../value.ts";
import { soleTensors } from "../folded-norms.ts";
import type { WritableOffset } from "./biases.ts";

/** Place of the biases among the inputs of a recurrent node. */
const place = 3;

/**
 * Those that stand nowhere else, so that none is found twice.
 *
 * @param spec.taken - names that the model reads other tensors by
 */
export function findRecurrentBiases(
  graph: GraphSpec,
  { dtype, taken }: { readonly dtype: Dtype; readonly taken: ReadonlySet<string> },
): readonly WritableOffset[] {
  const sole = soleTensors(graph);
  return graph.nodes.filter(isRecurrent).flatMap(({ inputs }): readonly WritableOffset[] => {
    const name = inputs[place] ?? "";
    const tensor = sole.get(name);
    if (!tensor || tensor.distant || taken.has(name)) return [];
    const live = tensorValue(tensor, dtype)!;
    return [{ name, tensor, live, original: (live.data as Vec).slice() }];
  });
}
