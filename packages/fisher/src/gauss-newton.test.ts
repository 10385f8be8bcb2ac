import {
  asMatrix,
  asTensor,
  classification,
  createRunContext,
  factorCurvature,
  inputRows,
  type Linearization,
  type Mat,
  matrix,
  type OutputFactor,
  type Vec,
} from "@secateur/core";
import { createNetwork, mlp, type Network } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { gaussNewton, gaussNewtonFactor } from "./gauss-newton.ts";
import {
  allParams,
  countingContext,
  denseOf,
  gap,
  randomData,
  randomNetwork,
  requestFor,
} from "./network.test-support.ts";

const ctx = createRunContext();
const [n, classes] = [6, 3];
const data = randomData({ size: n, features: 5, classes });
const network = randomNetwork([5, 4, classes]);
const examples = Uint32Array.from({ length: n }, (_, i) => i);
const linearized = (): Promise<Linearization> => network.linearize({ params: allParams(network), data, examples }, ctx);

/** The same data in f32. */
const singleData = {
  ...data,
  batch: async (indices: Uint32Array) => {
    const batch = await data.batch(indices);
    return {
      ...batch,
      inputs: { input: asTensor({ ...inputRows(batch), data: Float32Array.from(inputRows(batch).data) }) },
    };
  },
};

const rootOf = ({ outputs, targets }: Linearization): OutputFactor =>
  classification().outputFactor({ outputs, targets });
const scoresOf = ({ outputs }: Linearization): Mat => asMatrix(outputs["output"]!);

/** softmax(logits / temperature), by the definition. */
function softmaxOf({ rows, cols, data: logits }: Mat, temperature = 1): Mat {
  const p = matrix(rows, cols, new Float64Array(rows * cols));
  for (let i = 0; i < rows; i++) {
    const powers = Array.from({ length: cols }, (_, c) => Math.exp(logits[i * cols + c]! / temperature));
    const sum = powers.reduce((total, power) => total + power, 0);
    for (let c = 0; c < cols; c++) p.data[i * cols + c] = powers[c]! / sum;
  }
  return p;
}

/** (1/n) sum of J_i' (diag(p_i) - p_i p_i') J_i, entry by entry from the Jacobian's rows. */
function explicitMatrix(J: Linearization, p: Mat): Mat {
  const dim = J.dim;
  const H = matrix(dim, dim, new Float64Array(dim * dim));
  for (let i = 0; i < n; i++) {
    const rows = Array.from({ length: classes }, (_, c) => {
      const u = matrix(n, classes, new Float64Array(n * classes));
      u.data[i * classes + c] = 1;
      const row = new Float64Array(dim);
      J.backward({ output: asTensor(u) }, row);
      return row;
    });
    for (let c = 0; c < classes; c++) {
      for (let e = 0; e < classes; e++) {
        const [pc, pe] = [p.data[i * classes + c]!, p.data[i * classes + e]!];
        const weight = ((c === e ? pc : 0) - pc * pe) / n;
        for (let a = 0; a < dim; a++) {
          for (let b = 0; b < dim; b++) H.data[a * dim + b]! += weight * rows[c]![a]! * rows[e]![b]!;
        }
      }
    }
  }
  return H;
}

// Products of f64 numbers of order 1 over six examples and three classes.
const tolerance = 1e-12;

describe("the Gauss-Newton factor", () => {
  test("is the explicit sum of J_i' (diag(p) - p p') J_i / n, with that diagonal", async () => {
    const J = await linearized();
    const p = softmaxOf(scoresOf(J));
    const view = gaussNewtonFactor(J, rootOf(J));
    expect([view.rows, view.dim, view.scale, view.damping]).toEqual([n * classes, J.dim, 1 / n, 0]);
    const curvature = factorCurvature(view);
    const H = explicitMatrix(J, p);
    expect(gap((await denseOf(J.dim, J.dim, curvature.apply)).data, H.data)).toBeLessThan(tolerance);
    const diagonal = Array.from({ length: J.dim }, (_, j) => H.data[j * J.dim + j]!);
    expect(gap(curvature.diagonal(), diagonal)).toBeLessThan(tolerance);
    expect(Math.max(...diagonal)).toBeGreaterThan(0.01);
    J.release();
  });

  test("has G' as the adjoint of G, row by row", async () => {
    const J = await linearized();
    const view = gaussNewtonFactor(J, rootOf(J));
    const G = await denseOf(view.rows, view.dim, view.times);
    const transposed = await denseOf(view.dim, view.rows, view.transposeTimes);
    for (let i = 0; i < view.rows; i++) {
      for (let j = 0; j < view.dim; j++) {
        expect(Math.abs(G.data[i * view.dim + j]! - transposed.data[j * view.rows + i]!)).toBeLessThan(tolerance);
      }
    }
    // Each example's rows, weighted by sqrt(p), sum to zero: sum of p_c (e_c - p) = 0.
    const p = softmaxOf(scoresOf(J));
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < view.dim; j++) {
        let sum = 0;
        for (let c = i * classes; c < (i + 1) * classes; c++) sum += Math.sqrt(p.data[c]!) * G.data[c * view.dim + j]!;
        expect(Math.abs(sum)).toBeLessThan(tolerance);
      }
    }
  });

  test("estimates its diagonal where the root has very many columns, and says nothing of Gram matrices", async () => {
    const wide = 140;
    const one = createNetwork(mlp({ sizes: [5, wide] }), { seed: 4, dtype: "f64" });
    const J = await one.linearize({ params: ["fc1.weight"], data, examples }, ctx);
    const view = gaussNewtonFactor(J, rootOf(J));
    expect(view.rows).toBe(n * wide);
    expect(view.columnGram).toBeUndefined();
    // Row c of the one layer: the sum over examples of p_c (1 - p_c) x x', by the definition.
    const p = softmaxOf(scoresOf(J));
    const x = asMatrix((await data.batch(examples)).inputs["input"]!);
    const found = view.columnNormsSquared();
    let [sum, expected] = [0, 0];
    for (let c = 0; c < wide; c++) {
      for (let j = 0; j < 5; j++) {
        for (let i = 0; i < n; i++)
          expected += p.data[i * wide + c]! * (1 - p.data[i * wide + c]!) * x.data[i * 5 + j]! ** 2;
        sum += found[c * 5 + j]!;
      }
    }
    // 700 weights of a relative error of 0.18 each, few of them dependent: the trace errs by some percent at most.
    expect(Math.abs(sum / expected - 1)).toBeLessThan(0.05);
    J.release();
  });

  test("has the Gram matrix of some of its columns without forming rows", async () => {
    const J = await linearized();
    const view = gaussNewtonFactor(J, rootOf(J));
    const G = await denseOf(view.rows, view.dim, view.times);
    const support = Uint32Array.of(1, 3, 6, 21, 24, 30);
    const gram = matrix(6, 6, new Float64Array(36));
    await view.columnGram!(support, gram);
    support.forEach((a, s) => {
      support.forEach((b, t) => {
        let sum = 0;
        for (let i = 0; i < view.rows; i++) sum += G.data[i * view.dim + a]! * G.data[i * view.dim + b]!;
        expect(Math.abs(gram.data[s * 6 + t]! - sum)).toBeLessThan(tolerance);
      });
    });
  });

  test("over some weights is its columns, with their norms, and again over some of those", async () => {
    const J = await linearized();
    const view = gaussNewtonFactor(J, rootOf(J));
    const G = await denseOf(view.rows, view.dim, view.times);
    const norms = view.columnNormsSquared();
    // Inputs 1 and 3 of the first layer only, one bias, two weights of the second layer.
    const support = Uint32Array.of(1, 3, 6, 11, 21, 24, 30);
    const inner = view.restricted!(support);
    expect([inner.rows, inner.dim, inner.scale]).toEqual([view.rows, support.length, view.scale]);
    const columns = await denseOf(inner.rows, inner.dim, inner.times);
    const back = await denseOf(inner.dim, inner.rows, inner.transposeTimes);
    support.forEach((j, s) => {
      expect(inner.columnNormsSquared()[s]).toBeCloseTo(norms[j]!, 12);
      for (let i = 0; i < view.rows; i++) {
        expect(columns.data[i * support.length + s]).toBeCloseTo(G.data[i * view.dim + j]!, 12);
        expect(back.data[s * view.rows + i]).toBeCloseTo(G.data[i * view.dim + j]!, 12);
      }
    });
    const twice = inner.restricted!(Uint32Array.of(2, 5));
    const out = new Float64Array(view.rows);
    twice.times(Float64Array.of(1, 0), out);
    for (let i = 0; i < view.rows; i++) expect(out[i]).toBeCloseTo(G.data[i * view.dim + 6]!, 12);
    twice.release();
    inner.release();
  });

  test("takes f32 and f64 vectors, on networks of either dtype", async () => {
    const J = await linearized();
    const view = gaussNewtonFactor(J, rootOf(J));
    const small = createNetwork(network.spec, { weights: network.tensors(), dtype: "f32" });
    const single = await small.linearize({ params: allParams(network), data: singleData, examples }, ctx);
    const view32 = gaussNewtonFactor(single, rootOf(single));
    expect([view.dtype, view32.dtype]).toEqual(["f64", "f32"]);
    const x = Float64Array.from({ length: view.dim }, (_, j) => Math.sin(j));
    const expected = new Float64Array(view.rows);
    await view.times(x, expected);
    const back = new Float64Array(view.dim);
    await view.transposeTimes(expected, back);
    for (const [v, make] of [
      [view, (a: Float64Array): Vec => Float32Array.from(a)],
      [view32, (a: Float64Array): Vec => a.slice()],
      [view32, (a: Float64Array): Vec => Float32Array.from(a)],
    ] as const) {
      const out = make(new Float64Array(view.rows));
      await v.times(make(x), out);
      expect(gap(out, expected)).toBeLessThan(2e-6); // rounding to 24 bits of numbers of order 1
      const result = make(new Float64Array(view.dim));
      await v.transposeTimes(make(expected), result);
      expect(gap(result, back)).toBeLessThan(5e-6);
    }
  });
});

/** The Hessian of the mean loss by central differences of its gradient. */
async function hessianOf(model: Network): Promise<Mat> {
  const params = allParams(model);
  const flat = params.flatMap((name) => {
    const { data: weights } = model.weights.get(name)!;
    return Array.from(weights, (_, j) => ({ weights, j }));
  });
  const gradient = async (): Promise<Vec> => (await model.meanGradient({ params, data, examples }, ctx)).gradient;
  const h = 1e-5;
  return denseOf(flat.length, flat.length, async (unit, out) => {
    const { weights, j } = flat[unit.indexOf(1)]!;
    const before = weights[j]!;
    weights[j] = before + h;
    const above = await gradient();
    weights[j] = before - h;
    const below = await gradient();
    weights[j] = before;
    for (let i = 0; i < out.length; i++) out[i] = (above[i]! - below[i]!) / (2 * h);
  });
}

describe("the Gauss-Newton estimator", () => {
  test("gives the Hessian of the mean loss of a network with one layer, where the two are the same", async () => {
    const softmaxRegression = randomNetwork([5, classes]);
    const estimate = await gaussNewton({ ridge: 0 }).estimate(requestFor(softmaxRegression, data), ctx);
    const dim = 5 * classes + classes;
    const H = await denseOf(dim, dim, estimate.curvature().apply);
    // The third derivative of the loss is of order 1: the difference errs by h^2 = 1e-10 and by rounding, eps / h.
    expect(gap(H.data, (await hessianOf(softmaxRegression)).data)).toBeLessThan(1e-9);
  });

  test("does not give it for two layers, whose logits are not linear in the weights", async () => {
    const estimate = await gaussNewton({ ridge: 0 }).estimate(requestFor(network, data), ctx);
    const dim = 5 * 4 + 4 + 4 * classes + classes;
    const H = await denseOf(dim, dim, estimate.curvature().apply);
    expect(gap(H.data, (await hessianOf(network)).data)).toBeGreaterThan(1e-3);
  });

  test("gives the gradient and the loss of its own examples, and the gradient only when asked", async () => {
    const estimate = await gaussNewton({ examples: 4 }).estimate(requestFor(network, data, { firstOrder: true }), ctx);
    expect(estimate.sample.size).toBe(4);
    const own = Uint32Array.of(0, 1, 2, 3);
    const mean = await network.meanGradient({ params: allParams(network), data: estimate.sample, examples: own }, ctx);
    expect(gap(estimate.gradient!.data, mean.gradient)).toBeLessThan(1e-7); // f32 at the worst
    expect(estimate.loss).toBeCloseTo(mean.loss, 12);
    expect(estimate.chosen).toMatchObject({ examples: 4, batch: 1 });
    expect((await gaussNewton().estimate(requestFor(network, data), ctx)).gradient).toBeUndefined();
  });

  test("divides the logits by the temperature in the probabilities, and nowhere else", async () => {
    const request = requestFor(network, data, { firstOrder: true, ridge: 0 });
    const plain = await gaussNewton().estimate(request, ctx);
    for (const estimate of [
      await gaussNewton({ temperature: 3 }).estimate(request, ctx),
      await gaussNewton().estimate({ ...request, temperature: 3 }, ctx),
      await gaussNewton({ temperature: 3 }).estimate({ ...request, temperature: 7 }, ctx),
    ]) {
      const J = await linearized();
      const H = explicitMatrix(J, softmaxOf(scoresOf(J), 3));
      const diagonal = Array.from({ length: J.dim }, (_, j) => H.data[j * J.dim + j]!);
      expect(gap(estimate.curvature().diagonal(), diagonal)).toBeLessThan(tolerance);
      expect(gap(estimate.curvature().diagonal(), plain.curvature().diagonal())).toBeGreaterThan(1e-3);
      expect(estimate.gradient).toEqual(plain.gradient);
      expect(estimate.loss).toBe(plain.loss);
    }
  });

  test("stays finite where probabilities are 0 or 1 to working precision", async () => {
    const confident = randomNetwork([5, 4, classes]);
    for (const [, { data: weights }] of confident.weights) for (let j = 0; j < weights.length; j++) weights[j]! *= 60;
    const estimate = await gaussNewton().estimate(requestFor(confident, data, { firstOrder: true }), ctx);
    expect(Array.from(estimate.curvature().diagonal()).every(Number.isFinite)).toBe(true);
    expect(Array.from(estimate.gradient!.data).every(Number.isFinite)).toBe(true);
    expect(Number.isFinite(estimate.chosen.ridge)).toBe(true);
  });

  test("has an automatic ridge of half of trace(H) / n over the kept weights, multiplied on request", async () => {
    const J = await linearized();
    const H = explicitMatrix(J, softmaxOf(scoresOf(J)));
    const kept = Uint8Array.from({ length: J.dim }, (_, j) => (j % 3 === 0 ? 1 : 0));
    const traceOver = (mask?: Uint8Array): number => {
      let trace = 0;
      for (let j = 0; j < J.dim; j++) if (!mask || mask[j] === 1) trace += H.data[j * J.dim + j]!;
      return trace;
    };
    for (const mask of [undefined, kept]) {
      const request = requestFor(network, data, mask ? { kept: mask } : {});
      const estimate = await gaussNewton().estimate({ ...request, ridge: "auto" }, ctx);
      expect(estimate.chosen.ridge).toBeCloseTo((0.5 * traceOver(mask)) / n, 12);
      const damping = (factor?: number): number => estimate.curvature(factor).factor!().damping;
      expect([damping(), damping(1), damping(4)]).toEqual([1, 1, 4].map((factor) => factor * estimate.chosen.ridge));
      const [one, four] = [estimate.curvature().diagonal(), estimate.curvature(4).diagonal()];
      expect(four[5]! - one[5]!).toBeCloseTo(3 * estimate.chosen.ridge, 12);
    }
    const fixed = await gaussNewton({ ridge: 0.25 }).estimate(requestFor(network, data, { ridge: 7 }), ctx);
    expect(fixed.chosen.ridge).toBe(0.25);
  });

  test("draws its examples from the run's seed", async () => {
    const draw = async (seed: number): Promise<Float64Array> => {
      const large = randomData({ size: 60, features: 5, classes });
      const estimate = await gaussNewton({ examples: 8 }).estimate(
        requestFor(network, large),
        createRunContext({ seed }),
      );
      return Float64Array.from(inputRows(await estimate.sample.batch(Uint32Array.of(0, 1, 2, 3, 4, 5, 6, 7))).data);
    };
    expect(await draw(1)).toEqual(await draw(1));
    expect(await draw(2)).not.toEqual(await draw(1));
  });

  test("frees all that it took", async () => {
    const { ctx: counted, live } = countingContext();
    const estimate = await gaussNewton().estimate(requestFor(network, data, { firstOrder: true }), counted);
    const curvature = estimate.curvature();
    const inner = curvature.factor!().restricted!(Uint32Array.of(0, 2, 30));
    expect(live()).toBeGreaterThan(0);
    const out = new Float64Array(curvature.dim);
    await curvature.apply(new Float64Array(curvature.dim).fill(1), out);
    expect(out.every(Number.isFinite)).toBe(true);
    inner.release();
    estimate.release();
    expect(live()).toBe(0);
  });

  test.each([
    ["ERR_IMPOSSIBLE", { examples: n + 1 }],
    ["ERR_OPTION", { ridge: -1 }],
    ["ERR_OPTION", { ridge: Number.NaN }],
    ["ERR_OPTION", { ridge: Number.POSITIVE_INFINITY }],
    ["ERR_OPTION", { temperature: 0 }],
    ["ERR_OPTION", { examples: 0 }],
    ["ERR_OPTION", { examples: 2.5 }],
  ])("refuses with %s: %j", async (code, wrong) => {
    await expect(gaussNewton().estimate(requestFor(network, data, wrong), ctx)).rejects.toMatchObject({
      code,
      fault: "input",
    });
  });

  test("refuses a model that cannot be linearised, naming what would do", async () => {
    const { linearize: _, ...model } = network;
    await expect(gaussNewton().estimate({ ...requestFor(network, data), model }, ctx)).rejects.toThrow(
      /'mlp' has no linearize\(\); use the empirical-fisher estimator/,
    );
  });
});

test("beyond 128 classes the diagonal is estimated, also where a network has all columns' squares at once", async () => {
  const many = randomNetwork([5, 4, 129]);
  const request = { params: allParams(many), data: randomData({ size: n, features: 5, classes: 129 }), examples };
  const J = await many.linearize(request, ctx);
  const refusing = { ...J, softmaxSquares: () => expect.unreachable("takes a pass for each class") };
  const [estimated, alone] = [refusing, { ...J, softmaxSquares: undefined }].map((linearization) =>
    gaussNewtonFactor(linearization as unknown as Linearization, rootOf(J)).columnNormsSquared(),
  );
  expect(estimated).toEqual(alone);
});
