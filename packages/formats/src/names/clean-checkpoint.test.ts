import { describe, expect, test } from "vitest";
import type { Checkpoint, NamedTensor } from "../tensor.ts";
import { cleanCheckpoint } from "./clean-checkpoint.ts";

const tensor = (name: string, ...values: number[]): NamedTensor => {
  return { name, dtype: "f32", shape: [values.length], data: Float32Array.from(values) };
};

function clean(...tensors: NamedTensor[]): { values: Record<string, number[]>; notes: readonly string[] } {
  const checkpoint: Checkpoint = { format: "safetensors", tensors, metadata: {} };
  const cleaned = cleanCheckpoint(checkpoint, "x");
  expect(cleanCheckpoint(cleaned, "x").tensors).toEqual(cleaned.tensors);
  return {
    values: Object.fromEntries(cleaned.tensors.map(({ name, data }) => [name, Array.from(data, Number)])),
    notes: cleaned.notes ?? [],
  };
}

describe("names of tensors", () => {
  test("lose what wrappers put into them, wherever it stands, and a note says so", () => {
    expect(clean(tensor("module.a.w", 1), tensor("b._orig_mod.w", 2))).toEqual({
      values: { "a.w": [1], "b.w": [2] },
      notes: ["dropped 'module.' from 1 of 2 names, '_orig_mod.' from 1 of 2 names"],
    });
  });

  test("lose 'model.' and 'net.' only where all begin with it", () => {
    expect(clean(tensor("model.net.a.w", 1), tensor("model.net.b.w", 2)).values).toEqual({ "a.w": [1], "b.w": [2] });
    expect(clean(tensor("model.a.w", 1), tensor("loss.w", 2)).values).toEqual({ "model.a.w": [1], "loss.w": [2] });
    // The last segment is the parameter's own name.
    expect(clean(tensor("model", 1), tensor("net", 2)).values).toEqual({ model: [1], net: [2] });
  });

  test("stay as they are where two would become one, and a note says so", () => {
    expect(clean(tensor("module.w", 1), tensor("w", 2))).toEqual({
      values: { "module.w": [1], w: [2] },
      notes: ["names keep 'module.', since two of them would be the same without"],
    });
  });

  test("of 20,000 wrappers cost no more than their characters", () => {
    const name = `${"module.".repeat(20_000)}w`;
    expect(clean(tensor(name, 1)).values).toEqual({ w: [1] });
  });
});

describe("masks", () => {
  test.each([
    ["torch.nn.utils.prune", "fc.weight_orig", "fc.weight_mask", "fc.weight"],
    ["parametrizations", "fc.parametrizations.weight.original", "fc.parametrizations.weight.0.mask", "fc.weight"],
    ["parametrizations of the outermost module", "parametrizations.w.original", "parametrizations.w.0.mask", "w"],
    ["WoodFisher", "fc._layer.weight", "fc._weight_mask", "fc.weight"],
    ["a buffer beside the layer's weight", "fc.weight", "fc.mask", "fc.weight"],
    ["a buffer named after the weight", "fc.weight", "fc.weight_mask", "fc.weight"],
    ["a module of masks", "fc.weight", "fc.weight.mask", "fc.weight"],
  ])("of %s are applied to their weights", (_, weight, mask, plain) => {
    expect(clean(tensor(weight, 5, 6), tensor(mask, 1, 0))).toEqual({
      values: { [plain]: [5, 0] },
      notes: ["1 mask was applied to its weight"],
    });
  });

  test("of other numbers than 0 and 1 are not applied, and a note says why", () => {
    const { values, notes } = clean(tensor("fc.weight", 5, 6), tensor("fc.mask", 0.5, 0));
    expect(values).toEqual({ "fc.weight": [5, 6], "fc.mask": [0.5, 0] });
    expect(notes).toEqual(["not applied: 'fc.mask', a mask must have its weight's shape and hold only 0 and 1"]);
  });

  test("leave a parametrization of another kind alone: what it computes is not in the file", () => {
    const values = { "fc.parametrizations.weight.original": [1], "fc.parametrizations.weight.0.base": [2] };
    expect(clean(...Object.entries(values).map(([name, data]) => tensor(name, ...data))).values).toEqual(values);
  });

  test("of many tensors over the same elements may not multiply them", () => {
    const data = new Float32Array(1000);
    const shared = (name: string): NamedTensor => ({ name, dtype: "f32", shape: [1000], data });
    const tensors = Array.from({ length: 50 }, (_, i) => [shared(`l${i}.weight`), shared(`l${i}.mask`)]).flat();
    expect(() => cleanCheckpoint({ format: "x", tensors, metadata: {} }, "net.pt")).toThrow(/net\.pt.*no larger than/);
  });
});

describe("averages of weights", () => {
  test("beside the weights are left out, with their counters, and a note says so", () => {
    const { values, notes } = clean(tensor("fc.weight", 1), tensor("ema.fc.weight", 2), tensor("n_averaged", 9));
    expect(values).toEqual({ "fc.weight": [1] });
    expect(notes).toEqual(["not read: 'n_averaged'", "not read: 1 averages under 'ema.'"]);
  });

  test("alone are read, and a note says what they are", () => {
    const { values, notes } = clean(tensor("ema.module.fc.weight", 2));
    expect(values).toEqual({ "fc.weight": [2] });
    expect(notes.join()).toMatch(/the weights are averages/);
  });
});
