/** Which nodes say numbers of channels themselves, in attributes or constants, and have to be written anew when channels are cut. */
import type { NodeSpec } from "../graph-spec.ts";

const saying: ReadonlySet<string> = new Set([
  "Reshape",
  "Expand",
  "Slice",
  "Split",
  "Gather",
  "Resize",
  "Upsample",
  "Conv",
  "ConvTranspose",
  "LSTM",
  "GRU",
]);

/** Whether a node may have to be written anew. */
export function needsPatch({ op, domain }: Pick<NodeSpec, "op" | "domain">): boolean {
  return domain === "" && saying.has(op);
}
