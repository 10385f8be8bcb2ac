import { createRng, createRunContext, factorCurvature, type LayerMoments, type Mat, matrix } from "@secateur/core";
import { expect, test } from "vitest";
import { kroneckerFactor } from "./kronecker/kronecker-factor.ts";
import { kroneckerGaussNewton } from "./kronecker/kronecker-gauss-newton.ts";
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
const { kernels } = ctx;
const rng = createRng("kronecker");

/** X'X of random X, full rank. */
function secondMoment(size: number): Mat {
  const X = Float64Array.from({ length: 2 * size * size }, () => rng.normal());
  return matrix(
    size,
    size,
    Float64Array.from({ length: size * size }, (_, e) => {
      let sum = 0;
      for (let r = 0; r < 2 * size; r++) sum += X[r * size + Math.floor(e / size)]! * X[r * size + (e % size)]!;
      return sum / (2 * size);
    }),
  );
}

const layers: readonly LayerMoments[] = [
  { param: "a", firstRow: 0, inputs: secondMoment(4), deltas: secondMoment(3) },
  { param: "b", firstRow: 0, inputs: secondMoment(2), deltas: secondMoment(5) },
];

/** H, entry by entry: B (x) A in every layer with each factor's damping, zero between layers. */
function explicitMatrix(share: number): Mat {
  const damped = (M: Mat): Mat => {
    let trace = 0;
    for (let j = 0; j < M.rows; j++) trace += M.data[j * M.cols + j]!;
    return { ...M, data: M.data.map((v, e) => (e % (M.cols + 1) === 0 ? v + (share * trace) / M.rows : v)) };
  };
  const dim = layers.reduce((sum, { inputs, deltas }) => sum + inputs.rows * deltas.rows, 0);
  const H = matrix(dim, dim, new Float64Array(dim * dim));
  let start = 0;
  for (const { inputs, deltas } of layers) {
    const [A, B] = [damped(inputs), damped(deltas)];
    const size = A.rows * B.rows;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const outs = Math.floor(i / A.rows) * B.cols + Math.floor(j / A.rows);
        H.data[(start + i) * dim + start + j] = B.data[outs]! * A.data[(i % A.rows) * A.cols + (j % A.rows)]!;
      }
    }
    start += size;
  }
  return H;
}

test("the factor view is B (x) A, damped, a layer at a time: products, diagonal, shape", async () => {
  const share = 0.1;
  const view = kroneckerFactor({ layers, share, kernels });
  const H = explicitMatrix(share);
  expect([view.dim, view.rows, view.scale, view.damping]).toEqual([22, 22, 1, 0]);
  const { apply, diagonal } = factorCurvature(view);
  // Factors are stored in f32; entries are of order 1 to 10.
  expect(gap((await denseOf(22, 22, apply)).data, H.data)).toBeLessThan(2e-5);
  expect(
    gap(
      diagonal(),
      Float64Array.from({ length: 22 }, (_, j) => H.data[j * 22 + j]!),
    ),
  ).toBeLessThan(1e-12);
  // x'G'u is the same from both sides, also for vectors in f64.
  const x = Float64Array.from({ length: 22 }, () => rng.normal());
  const u = Float64Array.from({ length: 22 }, () => rng.normal());
  const [Gx, Gu] = [new Float64Array(22), new Float64Array(22)];
  await view.times(x, Gx);
  await view.transposeTimes(u, Gu);
  expect(kernels.dot(Gx, u)).toBeCloseTo(kernels.dot(x, Gu), 4);
});

test("its blocks of chosen weights are those of B (x) A, and its inverse is the inverse, for all weights and whole layers", async () => {
  const share = 0.1;
  const counting = countingContext();
  const view = kroneckerFactor({ layers, share, kernels: counting.ctx.kernels });
  const H = explicitMatrix(share);
  // Weights of both layers; those of two do not meet.
  const chosen = Uint32Array.of(0, 3, 4, 11, 12, 15, 21);
  const gram = matrix(7, 7);
  await view.columnGram!(chosen, gram);
  const expected = Float64Array.from(
    { length: 49 },
    (_, e) => H.data[chosen[Math.floor(e / 7)]! * 22 + chosen[e % 7]!]!,
  );
  // Rounded to f32 once; entries are of order 1 to 10.
  expect(gap(gram.data, expected)).toBeLessThan(1e-6 * Math.max(...expected.map(Math.abs)));
  for (const [support, start, size] of [
    [undefined, 0, 22],
    [Uint32Array.from({ length: 10 }, (_, i) => 12 + i), 12, 10],
  ] as const) {
    const inverse = view.inverse(support);
    const inverted = await denseOf(size, size, (x, out) => inverse.apply(x, out));
    const product = matrix(size, size, new Float64Array(size * size));
    const part = H.data.filter((_, e) => Math.floor(e / 22) >= start && e % 22 >= start && e % 22 < start + size);
    kernels.gemm({ a: inverted, b: matrix(size, size, Float64Array.from(part).slice(0, size * size)), out: product });
    const identity = Float64Array.from({ length: size * size }, (_, e) => (e % (size + 1) === 0 ? 1 : 0));
    // All in f64, condition below 1e4.
    expect(gap(product.data, identity)).toBeLessThan(1e-11);
    inverse.release();
  }
  expect(() => view.inverse(Uint32Array.of(0, 1))).toThrow("whole layers");
  view.release();
  expect(counting.live()).toBe(0);
});

test("a layer that was never active has a factor, and one that is not finite is named", () => {
  const dead = { ...layers[0]!, deltas: matrix(3, 3, new Float64Array(9)) };
  const view = kroneckerFactor({ layers: [dead], share: 0.01, kernels });
  expect(view.columnNormsSquared().every((norm) => norm > 0 && norm < 1e-20)).toBe(true);
  const broken = { ...layers[0]!, inputs: matrix(4, 4, new Float64Array(16).fill(Number.NaN)) };
  expect(() => kroneckerFactor({ layers: [broken], share: 0.01, kernels })).toThrow("factor A (inputs) of layer 'a'");
});

test("of one dense layer with one example it is the Gauss-Newton matrix on average over the labels drawn", async () => {
  const network = randomNetwork([4, 3]);
  const data = randomData({ size: 1, features: 4, classes: 3 });
  const params = ["fc1.weight"];
  const draws = 4000;
  const mean = new Float64Array(144);
  for (let seed = 0; seed < draws; seed++) {
    const { layers: moments } = await network.layerMoments(
      { params, data, examples: Uint32Array.of(0), temperature: 1, gradient: false, centred: false },
      createRunContext({ seed }),
    );
    const { inputs: A, deltas: B } = moments[0]!;
    for (let e = 0; e < 144; e++) {
      const [i, j] = [Math.floor(e / 12), e % 12];
      mean[e]! += (B.data[Math.floor(i / 4) * 3 + Math.floor(j / 4)]! * A.data[(i % 4) * 4 + (j % 4)]!) / draws;
    }
  }
  const { apply } = (await gaussNewtonOf(network, data)).curvature();
  const exact = await denseOf(12, 12, apply);
  const largest = Math.max(...exact.data.map(Math.abs));
  // Five standard deviations of the mean of 4,000 draws are 5 / sqrt(4000) = 0.08 of the spread of one.
  expect(gap(mean, exact.data)).toBeLessThan(0.08 * 2 * largest);
});

test("inputs before a batch normalisation are taken less their mean where its statistics are measured anew, and only there", async () => {
  const network = randomNetwork([4, 3]);
  const centred: boolean[] = [];
  const model = {
    ...network,
    layerMoments: async (request: Parameters<typeof network.layerMoments>[0], own: typeof ctx) => {
      centred.push(request.centred);
      return await network.layerMoments(request, own);
    },
  };
  const data = randomData({ size: 4, features: 4, classes: 3 });
  const request = { ...requestFor(network, data), model, params: ["fc1.weight"], examples: 4 };
  for (const change of [{}, { fixedStatistics: true }, { firstOrder: true }])
    await kroneckerGaussNewton().estimate({ ...request, ...change }, ctx);
  expect(centred).toEqual([true, false, false]);
});

async function gaussNewtonOf(network: ReturnType<typeof randomNetwork>, data: ReturnType<typeof randomData>) {
  const { gaussNewton } = await import("./gauss-newton.ts");
  return gaussNewton().estimate({ model: network, data, params: ["fc1.weight"], examples: 1, ridge: 0 }, ctx);
}

test("the estimate has the loss, the gradient where asked for, a ridge where it has one, and frees its memory", async () => {
  const network = randomNetwork([5, 4, 3]);
  const params = allParams(network).filter((name) => name.endsWith(".weight"));
  const data = randomData({ size: 30, features: 5, classes: 3 });
  const counting = countingContext();
  const request = { ...requestFor(network, data), params, examples: 20 };
  const estimate = await kroneckerGaussNewton().estimate({ ...request, firstOrder: true, ridge: "auto" }, counting.ctx);
  // With the gradient the ridge is 0.008 trace(H), without it there is none.
  expect(estimate.chosen).toMatchObject({ examples: 20, batch: 1 });
  let trace = 0;
  for (const value of estimate.curvature(0).diagonal()) trace += value;
  expect(estimate.chosen.ridge).toBeCloseTo(0.008 * trace, 10);
  expect((await kroneckerGaussNewton().estimate(request, ctx)).chosen.ridge).toBe(0);
  expect(estimate.sample.size).toBe(20);
  const indices = Uint32Array.from({ length: 20 }, (_, i) => i);
  const expected = await network.meanGradient({ params, data: estimate.sample, examples: indices }, ctx);
  expect(gap(estimate.gradient!.data, expected.gradient)).toBeLessThan(1e-12);
  expect(estimate.loss).toBeCloseTo(expected.loss, 12);
  estimate.release();
  expect(counting.live()).toBe(0);
  // With a ridge H is no Kronecker product.
  expect(estimate.curvature().inverse).toBeUndefined();
  expect(estimate.curvature(0).inverse).toBeDefined();
  const damped = await kroneckerGaussNewton({ ridge: 0.5 }).estimate(request, ctx);
  expect(damped.gradient).toBeUndefined();
  const [least] = [Math.min(...damped.curvature(2).diagonal())];
  expect(least).toBeGreaterThan(1);
});

test("says what is wrong: too few examples, numbers out of range, a model without moments", async () => {
  const network = randomNetwork([5, 4, 3]);
  const params = ["fc1.weight"];
  const data = randomData({ size: 10, features: 5, classes: 3 });
  const request = { ...requestFor(network, data), params };
  const code = async (options: object, asked: object = {}): Promise<unknown> =>
    await kroneckerGaussNewton(options)
      .estimate({ ...request, ...asked }, ctx)
      .then(
        () => undefined,
        (error: { code: unknown }) => error.code,
      );
  expect(await code({ examples: 11 })).toBe("ERR_IMPOSSIBLE");
  expect(await code({ temperature: 0 })).toBe("ERR_OPTION");
  expect(await code({ share: 0 })).toBe("ERR_OPTION");
  expect(await code({ ridge: -1 })).toBe("ERR_OPTION");
  const { layerMoments: _, ...bare } = network;
  expect(await code({}, { model: bare })).toBe("ERR_INCOMPATIBLE");
});
