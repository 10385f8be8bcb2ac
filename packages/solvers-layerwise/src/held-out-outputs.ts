/** How far a model's outputs on some examples are from what they were: no labels are needed. */
import { type Dataset, type ModelAdapter, type RunContext, subset } from "@secateur/core";
import { noOutputs } from "./errors.ts";

/** Sum of squared changes of the outputs, as a fraction of the sum of squares of the dense ones. */
export type OutputMeasure = (ctx: RunContext) => Promise<number>;

/** Takes the outputs as they are now. @throws ERR_INCOMPATIBLE (a model without outputs) */
export async function heldOutMeasure(
  model: ModelAdapter,
  { data, indices }: { data: Dataset; indices: Uint32Array },
  ctx: RunContext,
): Promise<OutputMeasure> {
  if (!model.logits) throw noOutputs(model.name);
  const examples = subset(data, indices, `held-out examples of ${data.name}`);
  const dense = (await model.logits(examples, ctx)).data;
  let energy = 0;
  for (const value of dense) energy += value * value;
  return async (quiet) => {
    const { data: now } = await model.logits!(examples, quiet);
    let change = 0;
    for (let i = 0; i < now.length; i++) change += (now[i]! - dense[i]!) ** 2;
    return change / (energy || 1);
  };
}
