/** What a training rule must be and may not do, whoever wrote it: its form, its hooks, and weights that it only reads. */
import { ruleFailed } from "../errors.ts";
import { productFault, unknownKey } from "../plugin/product-fault.ts";
import type { Mat, Vec } from "../problem/matrix.ts";
import type { RuleHooks, TrainingRule } from "./training-rule.ts";

const ruleHooks: readonly string[] = ["reparameterize", "penalty", "onGradients", "afterStep", "state", "restore"];

/** @throws ERR_TRAINING_RULE for a rule without name, settings or begin */
export function assertRule(rule: TrainingRule): void {
  const found = productFault("training-rule", rule);
  if (found === undefined) return;
  const name = String((rule as Partial<TrainingRule> | undefined)?.name);
  throw ruleFailed({ rule: name, hook: "it", found: `is ${found}`, allowed: "a rule has name, settings and begin" });
}

/** @throws ERR_TRAINING_RULE for hooks that are no object, and for a hook that is never called, such as a misspelt one */
export function assertHooks(rule: TrainingRule, hooks: RuleHooks): void {
  const spec = { rule: rule.name, hook: "begin" };
  if (typeof hooks !== "object" || hooks === null) {
    throw ruleFailed({ ...spec, found: `returned ${String(hooks)}`, allowed: "it returns hooks, {} at least" });
  }
  const functions = Object.entries(hooks).filter(([, value]) => typeof value === "function");
  const stray = unknownKey(Object.fromEntries(functions), ruleHooks);
  if (stray !== undefined) {
    throw ruleFailed({ ...spec, found: `returned the hook ${stray}`, allowed: "no other hook is ever called" });
  }
}

/** The numbers of every parameter as they are now. O(weights). */
export function copyOf(weights: ReadonlyMap<string, Mat>): Map<string, Vec> {
  return new Map([...weights].map(([name, { data }]) => [name, data.slice()]));
}

/** @throws ERR_TRAINING_RULE where a weight is no longer what it was. O(weights), next to nothing beside a step. */
export function assertUntouched(spec: {
  rule: TrainingRule;
  hook: string;
  weights: ReadonlyMap<string, Mat>;
  before: ReadonlyMap<string, Vec>;
}): void {
  const { rule, hook, weights, before } = spec;
  for (const [name, old] of before) {
    const { data } = weights.get(name)!;
    for (let i = 0; i < old.length; i++) {
      if (Object.is(data[i], old[i])) continue;
      throw ruleFailed({
        ...{ rule: rule.name, hook, found: `wrote to weight ${i} of '${name}'` },
        allowed:
          "weights are only read: prune with setMask, pull with a penalty, or train another parameter with reparameterize",
      });
    }
  }
}
