import { defaultPlan } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { gradientKey } from "./shared-gradients.ts";

describe("runs share the first stage's gradients", () => {
  test("however many stages follow, where nothing else is asked", () => {
    expect(gradientKey({ ...defaultPlan, stages: 5 })).toBe(gradientKey(defaultPlan));
    const firstOrder = { ...defaultPlan, firstOrder: true };
    expect(gradientKey({ ...firstOrder, targetStages: 3 })).toBe(gradientKey(firstOrder));
  });

  test("but not where distillation leaves the first-order term out of the first stage, or takes other examples", () => {
    const labels = { ...defaultPlan, firstOrder: true };
    const alone = { ...labels, distill: true };
    const taught = { ...alone, stages: 2 };
    expect(new Set([labels, alone, taught].map(gradientKey)).size).toBe(3);
    // Without the first-order term there is nothing to lead anywhere.
    expect(gradientKey({ ...defaultPlan, distill: true })).toBe(gradientKey(defaultPlan));
  });
});
