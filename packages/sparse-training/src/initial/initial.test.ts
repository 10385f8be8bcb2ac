import {
  arrayDataset,
  createRng,
  createRunContext,
  identityCurvature,
  matrix,
  type Problem,
  prune,
  type Saliency,
  solverFrom,
  sparsityConstraint,
  weightUnits,
} from "@secateur/core";
import { createNetwork, mlp, type Network } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { firstSteps } from "./first-steps.ts";
import { flowMeasures, gradientFlow } from "./gradient-flow.ts";
import { inStages } from "./in-stages.ts";
import { synapticFlow } from "./synaptic-flow.ts";

const rng = createRng("initial");
const inputs = matrix(
  6,
  3,
  Float64Array.from({ length: 18 }, () => rng.normal()),
);
const data = arrayDataset({ inputs, labels: [0, 1, 0, 1, 1, 0] });
const spec = mlp({ sizes: [3, 4, 2] });
const network: Network = createNetwork(spec, { seed: 2, dtype: "f64" });
const params = ["fc1.weight", "fc2.weight"];
const w = Float64Array.from(params.flatMap((name) => [...network.weights.get(name)!.data]));
const ctx = createRunContext({ seed: 4 });

const problem: Problem = {
  id: "network",
  w: matrix(1, w.length, w),
  curvature: identityCurvature(w.length),
  units: weightUnits(w.length),
  constraint: sparsityConstraint({ count: w.length, sparsity: 0.5 }),
  source: { model: network, params, data },
};
const scoresOf = async (saliency: Saliency): Promise<number[]> => [...(await saliency.score(problem, ctx))];

/** Gradient and loss over all examples with the given weights, scores divided by T. */
async function at(weights: Float64Array, examples = Uint32Array.of(0, 1, 2, 3, 4, 5), temperature = 1) {
  const { gradient, loss } = await network.hessianProducts({ params, data, examples, at: weights, temperature }, ctx);
  return { gradient: Float64Array.from(gradient), loss };
}

/** d value / dm_i at m = 1 for weights m w, by central differences. */
async function byMasks(value: (weights: Float64Array) => Promise<number>): Promise<number[]> {
  const h = 1e-5;
  const out: number[] = [];
  for (let i = 0; i < w.length; i++) {
    const scaled = (by: number): Float64Array => w.map((x, j) => (j === i ? by * x : x));
    out.push(((await value(scaled(1 + h))) - (await value(scaled(1 - h)))) / (2 * h));
  }
  return out;
}

function close(found: readonly number[], expected: readonly number[]): void {
  const scale = Math.max(...expected.map(Math.abs));
  // Central differences of width 1e-5 in f64 are right to some 1e-9; a kink of a ReLU is far from every value here.
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-7 * scale);
  });
}

describe("the family of gradient flow, against derivatives in the mask", () => {
  test("loss and magnitude-loss", async () => {
    const slopes = (await byMasks(async (weights) => (await at(weights)).loss)).map(Math.abs);
    close(await scoresOf(gradientFlow({ measure: "loss" })), slopes);
    close(
      await scoresOf(gradientFlow({ measure: "magnitude-loss" })),
      slopes.map((slope, i) => slope * Math.abs(w[i]!)),
    );
  });

  test.each([1, 3])(
    "gradient-norm and gradient-change at temperature %d: half the slope of |g|^2",
    async (scoreTemperature) => {
      const half = await byMasks(async (weights) => {
        const { gradient } = await at(weights, undefined, scoreTemperature);
        return gradient.reduce((sum, g) => sum + g * g, 0) / 2;
      });
      close(await scoresOf(gradientFlow({ measure: "gradient-norm", scoreTemperature })), half);
      close(await scoresOf(gradientFlow({ measure: "gradient-change", scoreTemperature })), half.map(Math.abs));
    },
  );

  test("magnitude needs nothing else", async () => {
    const { source: _, ...bare } = problem;
    expect([...(await gradientFlow({ measure: "magnitude" }).score(bare, ctx))]).toEqual([...w.map((x) => x * x)]);
  });
});

describe("prospr", () => {
  /** The loss of batch k after k steps from m w, as the saliency draws its batches. */
  async function afterSteps(start: Float64Array, steps: number): Promise<number> {
    const weights = start.slice();
    const v = new Float64Array(w.length);
    for (let t = 0; t < steps; t++) {
      const { gradient } = await at(weights);
      for (let j = 0; j < w.length; j++) {
        v[j] = 0.9 * v[j]! + gradient[j]!;
        weights[j] = weights[j]! - 0.5 * v[j]!;
      }
    }
    return (await at(weights)).loss;
  }

  test.each([0, 1, 3])("through %i steps of gradient descent with momentum", async (steps) => {
    const slopes = (await byMasks((weights) => afterSteps(weights, steps))).map(Math.abs);
    close(await scoresOf(firstSteps({ firstSteps: steps })), slopes);
  });

  test("a momentum of 1, which never forgets, is refused", () => {
    expect(() => firstSteps({ stepMomentum: 1 })).toThrow(/at least 0 and below 1/);
  });

  test("steps after which nothing is finite say which, and a smaller rate", async () => {
    await expect(scoresOf(firstSteps({ stepRate: 1e300 }))).rejects.toMatchObject({
      code: "ERR_NOT_FINITE",
      message: expect.stringContaining(
        "after 1 of its first steps at a rate of 1e+300; lower stepRate (--step-rate 1e+299)",
      ),
    });
  });

  test("to first order it is the gradient after the steps times the weights before them", async () => {
    const found = await scoresOf(firstSteps({ firstSteps: 0 }));
    expect(await scoresOf(firstSteps({ firstSteps: 0, exact: false }))).toEqual(found);
    const exact = await scoresOf(firstSteps({ firstSteps: 3 }));
    expect(await scoresOf(firstSteps({ firstSteps: 3, exact: false }))).not.toEqual(exact);
  });
});

describe("pruning a whole network", () => {
  const plain = arrayDataset({ inputs: matrix(6, 3, Float32Array.from(inputs.data)), labels: [0, 1, 0, 1, 1, 0] });
  const wide = (): Network => createNetwork(mlp({ sizes: [3, 40, 40, 40, 2] }), { seed: 1 });

  test("synflow in many looks keeps every layer alive where one look empties some, and reads no data", async () => {
    const narrow = (): Network => createNetwork(mlp({ sizes: [3, 30, 30, 30, 30, 2] }), { seed: 1 });
    const kept = async (looks: number): Promise<readonly number[]> => {
      const { layers } = await prune({
        model: narrow(),
        solver: solverFrom(inStages(synapticFlow, looks)),
        sparsity: 0.99,
      });
      return layers.map((layer) => layer.kept);
    };
    expect(Math.min(...(await kept(20)))).toBeGreaterThan(0);
    expect(Math.min(...(await kept(1)))).toBe(0);
  });

  test.each(flowMeasures)("%s keeps exactly as many as asked, their weights as they were", async (measure) => {
    const model = wide();
    const before = model.tensors();
    const solver = solverFrom(inStages(gradientFlow({ measure }), 2));
    const { kept } = await prune({ model, solver, sparsity: 0.9, data: plain, seed: 1 });
    expect(kept).toBe(340);
    model.tensors().forEach(({ data: now }, t) => {
      now.forEach((value, i) => {
        if (value !== 0) expect(value).toBe(before[t]!.data[i]);
      });
    });
  });

  test("without data, or without a model, is refused with what to do", async () => {
    const solver = solverFrom(inStages(gradientFlow(), 1));
    await expect(prune({ model: wide(), solver, sparsity: 0.5 })).rejects.toThrow(
      /'gradient-flow' needs training data/,
    );
    const { hessianProducts: _, ...lacking } = wide();
    await expect(prune({ model: lacking, solver, sparsity: 0.5, data: plain })).rejects.toThrow(
      /needs a model with hessianProducts, and the model 'mlp' does not have it/,
    );
  });
});
