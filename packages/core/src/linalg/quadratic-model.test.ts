import { describe, expect, test } from "vitest";
import { referenceKernels as kernels } from "../kernels/reference-kernels.ts";
import type { FactorView } from "../problem/curvature.ts";
import { matrix, type Vec } from "../problem/matrix.ts";
import { objective } from "../problem/objective.ts";
import { addRowGram } from "./column-grams.ts";
import {
  gradientAt,
  modelOver,
  pointAt,
  prunedModel,
  type QuadraticModel,
  quadraticModel,
  valueAt,
  withResidentRows,
} from "./quadratic-model.ts";
import { countingKernels, denseView, gradientRows, normals, randomProblem } from "./random-systems.test-support.ts";
import { restrictView } from "./restrict-view.ts";

const [n, p] = [6, 11];
const support = Uint32Array.of(1, 2, 5, 8, 10);

/** out[support[s]] = x[s], 0 elsewhere. */
function spread(x: Vec, size: number): Float64Array {
  const out = new Float64Array(size);
  support.forEach((j, s) => {
    out[j] = x[s]!;
  });
  return out;
}

/** The same model with its products over a support on each of the three ways: gathered columns, the view's own, all of G. */
function ways(model: QuadraticModel): Readonly<Record<"gathered" | "own" | "all of G", QuadraticModel>> {
  const { columns: _, rowGram: __, ...productsOnly } = model;
  const restricted = (chosen: Uint32Array): FactorView & { release(): void } => ({
    ...restrictView(productsOnly, chosen, kernels),
    productCost: chosen.length,
  });
  return { gathered: model, own: { ...productsOnly, restricted }, "all of G": productsOnly };
}

describe("a quadratic model", () => {
  test.each([false, true])("has core's objective as its value, row by row, with a slope: %s", async (slope) => {
    const problem = randomProblem({ n, p, rows: 3, slope });
    const w = matrix(3, p, normals(3 * p, "w"));
    let total = 0;
    for (let row = 0; row < 3; row++) {
      const model = quadraticModel(problem, { kernels, row });
      total += valueAt(model, await pointAt(model, w.data.subarray(row * p, (row + 1) * p)));
    }
    expect(total).toBeCloseTo(await objective(problem, w), 11); // the same sums in another order
  });

  test("has the derivative of its value as its slope, by central differences", async () => {
    const model = { ...quadraticModel(randomProblem({ n, p }), { kernels }), offset: normals(n, "offset") };
    const w = normals(p, "w");
    const slope = new Float64Array(p);
    await gradientAt(model, await pointAt(model, w), slope);
    const h = 1e-4;
    for (let j = 0; j < p; j++) {
      const at = async (step: number): Promise<number> => {
        const moved = w.map((value, i) => value + (i === j ? step : 0));
        return valueAt(model, await pointAt(model, moved));
      };
      // Q is quadratic: the central difference has no error but rounding, eps / h.
      expect(((await at(h)) - (await at(-h))) / (2 * h)).toBeCloseTo(slope[j]!, 9);
    }
  });

  test("computes in the dtype of its weights, or the one that is asked for, whatever the rows are stored in", async () => {
    const narrow = randomProblem({ n, p, dtype: "f32" });
    for (const problem of [{ ...narrow, w: matrix(1, p, normals(p, "w")) }, narrow]) {
      const model = quadraticModel(problem, { kernels, dtype: "f64" });
      expect([model.dtype, model.w0.constructor, model.gradient!.constructor]).toEqual([
        "f64",
        Float64Array,
        Float64Array,
      ]);
      const gathered = matrix(n, 2, new Float64Array(2 * n));
      await model.columns!(Uint32Array.of(3, 7), gathered);
      expect(gathered.data[2]).toBe(Math.fround(problem.G.data[p + 3]!));
      expect((await model.rowGram!()).data).toBeInstanceOf(Float64Array);
    }
    expect(quadraticModel(narrow, { kernels }).dtype).toBe("f32");
  });

  test("is refused where weights and curvature are of different sizes", () => {
    const problem = { ...randomProblem({ n, p }), w: matrix(1, p + 1, new Float64Array(p + 1)) };
    expect(() => quadraticModel(problem, { kernels })).toThrow(expect.objectContaining({ code: "ERR_SHAPE" }));
  });
});

describe.each(["gathered", "own", "all of G"] as const)("over a support, with products by %s", (way) => {
  const full = quadraticModel(randomProblem({ n, p, ridge: 0.3 }), { kernels });
  const model = ways(full)[way];

  test("products are those of G's columns, in either dtype", async () => {
    const inner = restrictView(model, support, kernels);
    for (const make of [(x: Float64Array): Vec => x, (x: Float64Array): Vec => Float32Array.from(x)]) {
      const [x, u] = [make(normals(support.length, "x")), make(normals(n, "u"))];
      const [Gx, Gu] = [make(new Float64Array(n)), make(new Float64Array(support.length))];
      await inner.times(x, Gx);
      await inner.transposeTimes(u, Gu);
      const [expected, whole] = [new Float64Array(n), new Float64Array(p)];
      await full.times(spread(x, p), expected);
      await full.transposeTimes(Float64Array.from(u), whole);
      const digits = x instanceof Float64Array ? 13 : 5;
      Gx.forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i]!, digits);
      });
      Gu.forEach((value, s) => {
        expect(value).toBeCloseTo(whole[support[s]!]!, digits);
      });
    }
    inner.release();
  });

  test("the value anywhere is the full model's with zeros elsewhere, and so is the slope", async () => {
    const inner = await prunedModel(model, support);
    expect([inner.rows, inner.dim]).toEqual([n, support.length]);
    for (let trial = 0; trial < 5; trial++) {
      const w = normals(support.length, `w ${trial}`);
      const [small, large] = [await pointAt(inner, w), await pointAt(full, spread(w, p))];
      expect(valueAt(inner, small)).toBeCloseTo(valueAt(full, large), 12);
      const [slope, whole] = [new Float64Array(support.length), new Float64Array(p)];
      await gradientAt(inner, small, slope);
      await gradientAt(full, large, whole);
      slope.forEach((value, s) => {
        expect(value).toBeCloseTo(whole[support[s]!]!, 12);
      });
    }
    inner.release();
  });

  test("the value with all others where they are is the full model's there", async () => {
    const inner = modelOver(model, support);
    const w = normals(support.length, "w");
    const all = full.w0.slice();
    support.forEach((j, s) => {
      all[j] = w[s]!;
    });
    expect(valueAt(inner, await pointAt(inner, w))).toBeCloseTo(valueAt(full, await pointAt(full, all)), 12);
    inner.release();
  });

  test("restricting twice is restricting once, also from a model with an offset", async () => {
    const shifted: QuadraticModel = { ...model, offset: normals(n, "offset"), constant: 1.5 };
    const twice = await prunedModel(await prunedModel(shifted, support), Uint32Array.of(0, 3));
    const direct = await prunedModel(shifted, Uint32Array.of(1, 8));
    const w = normals(2, "w");
    expect(valueAt(twice, await pointAt(twice, w))).toBeCloseTo(valueAt(direct, await pointAt(direct, w)), 12);
    expect([...twice.columnNormsSquared()]).toEqual([...direct.columnNormsSquared()]);
  });
});

describe("a view over a support", () => {
  const view = denseView(gradientRows({ rows: n, size: p, seed: "view" }), 0.2);

  test("has the columns, the norms and the row Gram of G's columns", async () => {
    const inner = restrictView(view, support, kernels);
    const G = matrix(n, support.length, new Float64Array(n * support.length));
    view.columns(support, G);
    const own = matrix(n, 2, new Float64Array(2 * n));
    await inner.columns(Uint32Array.of(1, 3), own);
    for (let i = 0; i < n; i++) expect(own.data[2 * i + 1]).toBe(G.data[i * support.length + 3]);
    const gram = matrix(n, n, new Float64Array(n * n));
    kernels.gram({ a: G, out: gram });
    (await inner.rowGram()).data.forEach((value, i) => {
      expect(value).toBeCloseTo(gram.data[i]!, 12);
    });
    expect(inner.columnNormsSquared()[2]).toBe(view.columnNormsSquared()[5]);
  });

  test("gathers its columns at the first product and no sooner, and frees them", async () => {
    const { kernels: counting, held } = countingKernels();
    const inner = restrictView(view, support, counting);
    expect(held.size).toBe(0);
    await Promise.all([1, 2].map(() => inner.times(new Float64Array(5), new Float64Array(n))));
    expect(held.size).toBe(1);
    inner.release();
    expect(held.size).toBe(0);
  });
});

test("the row Gram over columns is G_S G_S', also where it takes several tiles of columns", async () => {
  const wide = denseView(gradientRows({ rows: 3, size: 5000, seed: "wide" }), 0);
  const columns = Uint32Array.from({ length: 4500 }, (_, s) => s + 100);
  const gram = matrix(3, 3, new Float64Array(9));
  await addRowGram({ view: wide, columns, out: gram, kernels });
  const G = matrix(3, columns.length, new Float64Array(3 * columns.length));
  wide.columns(columns, G);
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 3; j++) {
      const [a, b] = [i, j].map((row) => G.data.subarray(row * G.cols, (row + 1) * G.cols)) as [Vec, Vec];
      expect(gram.data[i * 3 + j]).toBeCloseTo(kernels.dot(a, b), 8); // sums of 4500 f64 products
    }
  }
});

test("products with G'G over a support are those with G and then with G', one call after the other", async () => {
  const G = normals(n * p, "rows");
  const view = denseView(matrix(n, p, G), 0.1);
  const { columns: _, rowGram: __, ...products } = view;
  const gramTimes = (x: Vec, out: Vec): void => {
    const between = new Float64Array(n);
    view.times(x, between);
    view.transposeTimes(between, out);
  };
  const inner = restrictView({ ...products, gramTimes }, support, kernels);
  for (const name of ["first", "second"]) {
    const x = normals(support.length, name);
    const [found, between, expected] = [new Float64Array(5), new Float64Array(n), new Float64Array(5)];
    await inner.gramTimes!(x, found);
    await inner.times(x, between);
    await inner.transposeTimes(between, expected);
    expect(found).toEqual(expected);
  }
});

test("rows that lie in kernel memory are not copied there, give the same products and stay", async () => {
  const G = gradientRows({ rows: n, size: p, seed: "held" });
  const problem = randomProblem({ n, p });
  const view = denseView(G, 0.1);
  const taken: number[] = [];
  const freed: Vec[] = [];
  const counted = {
    ...kernels,
    alloc: (length: number, dtype: "f32" | "f64") => {
      taken.push(length);
      return kernels.alloc(length, dtype);
    },
    free: (vector: Vec) => void freed.push(vector),
  };
  const products = async (holds: (vector: Vec) => boolean): Promise<Float64Array> => {
    taken.length = 0;
    const posed = { ...problem, curvature: { ...problem.curvature, factor: () => ({ ...view, stored: G }) } };
    const model = quadraticModel(posed, { kernels: { ...counted, holds } });
    return withResidentRows(model, async (resident) => {
      const [x, out] = [normals(p, "x"), new Float64Array(n)];
      await resident.times(x, out);
      return out;
    });
  };
  const elsewhere = await products(() => false);
  expect(taken).toContain(n * p);
  const held = await products((vector) => vector === G.data);
  expect(taken).not.toContain(n * p);
  expect(freed).not.toContain(G.data);
  expect(held).toEqual(elsewhere);
});
