import { expect, test } from "vitest";
import { matrix } from "../problem/matrix.ts";
import { createRunContext } from "../run-context.ts";
import { beginRules } from "./begin-rules.ts";
import type { RuleHooks, TrainingRule } from "./training-rule.ts";

const param = { name: "w", shape: [1, 3], rows: 1, cols: 3, prunable: true, flopsPerWeight: 2 };

/** One step of a training with a rule of these hooks. */
async function step(hooks: RuleHooks, rule: Partial<TrainingRule> = {}): Promise<readonly number[]> {
  const weights = new Map([["w", matrix(1, 3, Float32Array.of(1, 2, 3))]]);
  const made = { name: "mine", settings: "{}", begin: () => hooks, ...rule };
  const run = beginRules({
    rules: [made],
    params: [param],
    weights,
    masks: new Map(),
    steps: 1,
    stepsPerEpoch: 1,
    ctx: createRunContext(),
  });
  const at = { step: 0, rate: 0.1, gradients: new Map([["w", matrix(1, 3, new Float32Array(3))]]) };
  run.beforeStep(at, createRunContext());
  await run.afterStep({ ...at, step: 1 }, createRunContext());
  return [...weights.get("w")!.data];
}

test("a rule may prune with setMask, as often as it likes", async () => {
  const hooks: RuleHooks = {
    afterStep({ setMask }) {
      setMask("w", Uint8Array.of(1, 0, 1));
      setMask("w", Uint8Array.of(1, 0, 0));
    },
  };
  expect(await step(hooks)).toEqual([1, 0, 0]);
});

test("a hook that is never called is refused, with the one that was meant", async () => {
  await expect(step({ aftrStep: () => undefined } as RuleHooks)).rejects.toThrow(
    /rule 'mine': begin returned the hook 'aftrStep'; did you mean 'afterStep'\?/,
  );
  await expect(step({ onStep: () => undefined } as RuleHooks)).rejects.toThrow(/the hook 'onStep'.*afterStep/);
  // What is no function is the rule's own memory.
  expect(await step({ seen: 0 } as RuleHooks)).toEqual([1, 2, 3]);
});

test("a rule without settings is refused", async () => {
  await expect(step({}, { settings: undefined as never })).rejects.toThrow(
    /rule 'mine': it is something without 'settings'/,
  );
});

test.each<[string, RuleHooks]>([
  ["penalty", { penalty: ({ weights }) => (weights.get("w")!.data[1] = 0) }],
  ["onGradients", { onGradients: ({ weights }) => void weights.get("w")!.data.fill(0) }],
  ["afterStep", { afterStep: ({ weights }) => void weights.get("w")!.data.fill(0) }],
  [
    "afterStep",
    {
      afterStep({ weights, setMask }) {
        weights.get("w")!.data.fill(0);
        setMask("w", Uint8Array.of(1, 1, 1));
      },
    },
  ],
])("weights that %s writes to are told", async (hook, hooks) => {
  await expect(step(hooks)).rejects.toThrow(new RegExp(`rule 'mine': ${hook} wrote to weight \\d of 'w'`));
});

test("first masks are kept from the first step on", async () => {
  const hooks: RuleHooks = { initialMasks: () => new Map([["w", Uint8Array.of(0, 1, 1)]]) };
  expect(await step(hooks)).toEqual([0, 2, 3]);
});

test.each<[Record<string, readonly number[]>, RegExp]>([
  [{ v: [1] }, /initialMasks named 'v', which is no parameter/],
  [{ w: [1, 0] }, /initialMasks gave 'w' a mask of 2 entries/],
  [{ w: [1, 2, 0] }, /initialMasks gave 'w' a mask with 2 at 1/],
])("first masks %j are refused", async (given, message) => {
  const masks = new Map(Object.entries(given).map(([name, bits]) => [name, Uint8Array.from(bits)]));
  await expect(step({ initialMasks: () => masks })).rejects.toThrow(message);
});
