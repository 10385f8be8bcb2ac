import { arrayDataset, createRng, createRunContext, forkContext, matrix, sampleIndices } from "@secateur/core";
import { activations } from "@secateur/fisher";
import { createNetwork, mlp } from "@secateur/nn";
import { expect, test } from "vitest";
import { obc } from "../methods/obc.ts";
import { pruneLayers } from "../network/prune-layers.ts";
import { changed } from "./evolve.ts";
import { heldOutMeasure } from "./held-out-outputs.ts";

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

test("changes move weights between layers, within what each has and may have", () => {
  const rng = createRng("changes");
  const layers = [
    { size: 10, most: 10 },
    { size: 40, most: 12 },
    { size: 3, most: 3 },
  ];
  let keeps: readonly number[] = [5, 12, 0];
  let differing = 0;
  for (let i = 0; i < 200; i++) {
    const next = changed(keeps, layers, rng);
    expect(sum(next)).toBe(17);
    for (const [l, count] of next.entries()) {
      expect(count).toBeGreaterThanOrEqual(0);
      expect(count).toBeLessThanOrEqual(layers[l]!.most);
    }
    if (next.some((count, l) => count !== keeps[l])) differing++;
    keeps = next;
  }
  expect(differing).toBeGreaterThan(100);
  expect(changed([4], [{ size: 8, most: 8 }], rng)).toEqual([4]);
});

test("evolution ends no worse on held-out examples than the shares it starts from, at the budget, and the same again", async () => {
  const rng = createRng("inputs");
  const inputs = matrix(
    80,
    12,
    Float64Array.from({ length: 960 }, () => rng.normal()),
  );
  const data = arrayDataset({ inputs });
  const run = async () => {
    const model = createNetwork(mlp({ sizes: [12, 10, 8, 3] }), { seed: 5, dtype: "f64" });
    const request = {
      model,
      data,
      solver: obc(),
      curvature: activations(),
      sparsity: 0.7,
      inputs: "parallel" as const,
    };
    const evolution = { generations: 4, offspring: 3 };
    const result = await pruneLayers({ ...request, allocation: "evolution", evolution }, createRunContext({ seed: 2 }));
    return { result, tensors: model.tensors() };
  };
  const { result, tensors } = await run();
  const { uniform, global, evolution } = result.heldOutError!;
  expect(evolution).toBeLessThan(Math.min(uniform!, global!));
  expect(result.allocation).toBe("evolution");
  expect(result.nonzeros).toBe(Math.floor(0.3 * result.size + 1e-9));
  expect((await run()).tensors).toEqual(tensors);
});

test("the error that is told is that of the weights left, also where inputs are taken anew in the end", async () => {
  const rng = createRng("inputs");
  const inputs = matrix(
    80,
    12,
    Float64Array.from({ length: 960 }, () => rng.normal()),
  );
  const data = arrayDataset({ inputs });
  const model = createNetwork(mlp({ sizes: [12, 10, 8, 3] }), { seed: 5, dtype: "f64" });
  const ctx = createRunContext({ seed: 2 });
  const drawn = sampleIndices(80, 80, forkContext(ctx, "calibration").rng);
  const measure = await heldOutMeasure(model, { data, indices: drawn.slice(0, 10) }, ctx);
  const request = { model, data, solver: obc(), curvature: activations(), sparsity: 0.7 };
  const evolution = { generations: 1, offspring: 1 };
  const { heldOutError } = await pruneLayers({ ...request, allocation: "evolution", evolution }, ctx);
  expect(heldOutError!["evolution"]).toBe(await measure(ctx));
});
