/** Gives masks to a training, and says which layers they leave without a weight. */
import type { Mask, RunContext, TrainingStep } from "@secateur/core";
import { keptOf } from "./prunable.ts";

/** Sets every mask. A layer that the masks empty, and that was not empty before, is told in a note. */
export function setMasks(
  rule: string,
  next: ReadonlyMap<string, Mask>,
  { masks, setMask, ctx }: Pick<TrainingStep, "masks" | "setMask" | "ctx">,
): void {
  const before = new Set([...masks].filter(([, mask]) => keptOf(mask) === 0).map(([name]) => name));
  noteEmpty(
    rule,
    [...next].filter(([name]) => !before.has(name)),
    ctx,
  );
  for (const [name, mask] of next) setMask(name, mask);
}

/** Says which of these masks keep nothing. */
export function noteEmpty(rule: string, masks: Iterable<readonly [string, Mask]>, ctx: RunContext): void {
  const empty = [...masks].filter(([, mask]) => keptOf(mask) === 0).map(([name]) => name);
  if (empty.length === 0) return;
  const message = `training rule '${rule}': ${empty.join(", ")} keep${empty.length === 1 ? "s" : ""} no weight, and nothing goes through; lower the sparsity`;
  ctx.report({ type: "note", level: "warn", code: "empty-layer", message });
}
