import {
  arrayDataset,
  createRng,
  createRunContext,
  matrix,
  prune,
  selectorFrom,
  solverFrom,
  weightUnits,
} from "@secateur/core";
import { createNetwork, mlp } from "@secateur/nn";
import { expect, test } from "vitest";
import { gradientFlow } from "../initial/gradient-flow.ts";
import { snows } from "./snows.ts";

const rng = createRng("snows");
const inputs = matrix(
  64,
  5,
  Float32Array.from({ length: 320 }, () => rng.normal()),
);
const data = arrayDataset({ inputs, labels: Array.from({ length: 64 }, (_, i) => Number(inputs.data[5 * i]! > 0)) });
const spec = mlp({ sizes: [5, 12, 8, 2] });
const bySize = selectorFrom(gradientFlow({ measure: "magnitude" }));

test("outputs come nearer to those before pruning than the mask leaves them, on the same mask", async () => {
  const dense = createNetwork(spec, { seed: 1 });
  const distance = async (solver: ReturnType<typeof solverFrom>): Promise<{ apart: number; zeros: boolean[] }> => {
    const model = createNetwork(spec, { seed: 1 });
    // Without held-out examples nothing else may be taken.
    const { evaluate: _, ...plain } = model;
    await prune({ model: plain, solver, sparsity: 0.6, data, seed: 1 });
    const batch = await data.batch(Uint32Array.from({ length: 64 }, (__, i) => i));
    const [found, wanted] = [await model.run(batch, createRunContext()), await dense.run(batch, createRunContext())];
    const apart = Array.from(found["output"]!.data).reduce(
      (sum, y, i) => sum + (y - wanted["output"]!.data[i]!) ** 2,
      0,
    );
    return { apart, zeros: model.tensors().flatMap((tensor) => [...tensor.data].map((w) => w === 0)) };
  };
  const masked = await distance(solverFrom(bySize));
  const refit = await distance(solverFrom(bySize, snows({ sample: 64 })));
  expect(refit.apart).toBeLessThan(0.5 * masked.apart);
  expect(refit.zeros).toEqual(masked.zeros);
});

test("a last layer alone has the least-squares solution on its mask", async () => {
  const model = createNetwork({ ...mlp({ sizes: [5, 3] }), classes: 3 }, { seed: 2, dtype: "f64" });
  const w = Float64Array.from(model.weights.get("fc1.weight")!.data);
  const rows = matrix(64, 5, Float64Array.from(inputs.data));
  const plain = arrayDataset({ inputs: rows, labels: Array.from({ length: 64 }, (_, i) => i % 3) });
  const mask = Uint8Array.from(w, (_, i) => Number(i % 2 === 0));
  const problem = {
    ...{ id: "network", w: matrix(1, 15, w), units: weightUnits(15) },
    source: { model, params: ["fc1.weight"], data: plain },
  };
  const updater = snows({ sample: 64, products: 30 });
  const { data: found } = await updater.update(problem as never, mask, createRunContext({ seed: 1 }));
  // Normal equations: what is left of the outputs is orthogonal to the inputs of every kept weight.
  for (let o = 0; o < 3; o++) {
    for (let i = 0; i < 5; i++) {
      if (mask[5 * o + i] === 0) {
        expect(found[5 * o + i]).toBe(0);
        continue;
      }
      let slope = 0;
      for (let n = 0; n < 64; n++) {
        let rest = 0;
        for (let j = 0; j < 5; j++) rest += (found[5 * o + j]! - w[5 * o + j]!) * rows.data[5 * n + j]!;
        slope += (rest * rows.data[5 * n + i]!) / 64;
      }
      // Conjugate gradients to a thousandth of the slope, three times over.
      expect(Math.abs(slope)).toBeLessThan(1e-6);
    }
  }
});
