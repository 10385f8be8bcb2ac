/** How far a model's outputs on some examples are from what they were: no labels are needed. */
import { batches, type Dataset, type Model, type RunContext, subset, type Vec } from "@secateur/core";
import { noOutputs } from "../errors.ts";

/** Sum of squared changes of the outputs, as a fraction of the sum of squares of the dense ones. */
export type OutputMeasure = (ctx: RunContext) => Promise<number>;

/** Examples a batch. */
const batchSize = 64;

/** Takes the outputs as they are now. @throws ERR_INCOMPATIBLE (a model without outputs) */
export async function heldOutMeasure(
  model: Model,
  { data, indices, allocation = "auto" }: { data: Dataset; indices: Uint32Array; allocation?: string },
  ctx: RunContext,
): Promise<OutputMeasure> {
  if (!model.run) throw noOutputs(model.name, allocation);
  const examples = subset(data, indices, `held-out examples of ${data.name}`);
  const dense = await allOutputs(model, examples, ctx);
  let energy = 0;
  for (const part of dense) for (const value of part) energy += value * value;
  return async (quiet) => {
    const now = await allOutputs(model, examples, quiet);
    let change = 0;
    now.forEach((part, p) => {
      for (let i = 0; i < part.length; i++) change += (part[i]! - dense[p]![i]!) ** 2;
    });
    return change / (energy || 1);
  };
}

async function allOutputs(model: Model, data: Dataset, ctx: RunContext): Promise<readonly Vec[]> {
  const parts: Vec[] = [];
  for await (const batch of batches(data, batchSize)) {
    const outputs = await model.run!(batch, ctx);
    for (const name of Object.keys(outputs).sort()) parts.push(outputs[name]!.data);
    await ctx.tick({ task: "evaluate", done: parts.length });
  }
  return parts;
}

/** An error to compare by: what is no number is worse than all others. */
export function finiteOr(error: number): number {
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}
