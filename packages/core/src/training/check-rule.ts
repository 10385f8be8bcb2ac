/** What a training rule must be and may not do, whoever wrote it: its form, its hooks, and weights that it only reads. */
import { clashingRules, ruleFailed } from "../errors.ts";
import { productFault, unknownKey } from "../plugin/product-fault.ts";
import type { Mask, Mat, Vec } from "../problem/matrix.ts";
import type { RuleHooks, TrainingRule } from "./training-rule.ts";

const ruleHooks: readonly string[] = [
  ...["initialMasks", "reparameterize", "penalty", "onGradients", "afterStep", "state", "restore"],
];

/** @throws ERR_TRAINING_RULE for a rule without name, settings or begin */
export function assertRule(rule: TrainingRule): void {
  const found = productFault("training-rule", rule);
  if (found === undefined) return;
  const name = String((rule as Partial<TrainingRule> | undefined)?.name);
  throw ruleFailed({ rule: name, hook: "it", found: `is ${found}`, allowed: "a rule has name, settings and begin" });
}

/** @throws ERR_TRAINING_RULE for two rules of one name, and for two of which both say that they change masks */
export function assertRulesAgree(rules: readonly Pick<TrainingRule, "name" | "masks">[]): void {
  rules.forEach(({ name, masks }, i) => {
    const others = rules.slice(0, i);
    if (others.some((other) => other.name === name))
      throw clashingRules({ rules: [name, name], over: "the same name" });
    const other = masks && others.find((one) => one.masks);
    if (other) throw clashingRules({ rules: [other.name, name], over: "both change masks" });
  });
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

/** @throws ERR_TRAINING_RULE for a mask of no parameter, of another length, or of other numbers than 0 and 1 */
export function assertMask(spec: {
  rule: TrainingRule;
  hook: string;
  param: string;
  mask: Mask;
  size: number | undefined;
}): void {
  const { rule, hook, param, mask, size } = spec;
  const refuse = (found: string, allowed: string): never => {
    throw ruleFailed({ rule: rule.name, hook, found, allowed });
  };
  if (size === undefined) refuse(`named '${param}', which is no parameter of the network`, "take names from params");
  if (mask.length !== size) refuse(`gave '${param}' a mask of ${mask.length} entries`, `it has ${size} weights`);
  const odd = mask.findIndex((bit) => bit > 1);
  if (odd >= 0) refuse(`gave '${param}' a mask with ${mask[odd]} at ${odd}`, "1 keeps a weight, 0 prunes it");
}

/** Watches weights that hooks may only read. */
export interface WeightsWatch {
  /** Takes the weights of these parameters, default all, for what they should be. O(weights), next to nothing beside a step. */
  remember(names?: Iterable<string>): void;
  /** @throws ERR_TRAINING_RULE naming the hook where a weight is no longer what it should be. O(weights) */
  assertSame(spec: { rule: TrainingRule; hook: string; names?: Iterable<string> }): void;
}

/** A watch over these weights. What it remembers lies in arrays that are made once, when they are first needed. */
export function watchWeights(weights: ReadonlyMap<string, Mat>): WeightsWatch {
  const remembered = new Map<string, Vec>();
  return {
    remember(names = weights.keys()) {
      for (const name of names) {
        const { data } = weights.get(name)!;
        const old = remembered.get(name);
        if (old) old.set(data);
        else remembered.set(name, data.slice());
      }
    },
    assertSame({ rule, hook, names = weights.keys() }) {
      for (const name of names) {
        const [{ data }, old] = [weights.get(name)!, remembered.get(name)!];
        for (let i = 0; i < old.length; i++) {
          if (Object.is(data[i], old[i])) continue;
          throw ruleFailed({
            ...{ rule: rule.name, hook, found: `wrote to weight ${i} of '${name}'` },
            allowed:
              "weights are only read: prune with setMask, pull with a penalty, or train another parameter with reparameterize",
          });
        }
      }
    },
  };
}
