import { createRng, createRunContext, matrix, objective, type Vec, zeros } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { denseHessian, exactOn, problemFrom, randomProblem } from "../problem.test-support.ts";
import {
  columnGram,
  gradientAt,
  narrowed,
  type Products,
  pointAt,
  type RowModel,
  restrict,
  rowModel,
  valueAt,
} from "./row-model.ts";

const { kernels } = createRunContext();

function random(length: number, seed: string): Float64Array {
  const rng = createRng(seed);
  return Float64Array.from({ length }, () => rng.normal());
}

/** out[s] = x[columns[s]] and back. */
const spread = (x: Vec, columns: Uint32Array, size: number): Float64Array => {
  const out = new Float64Array(size);
  columns.forEach((j, s) => {
    out[j] = x[s]!;
  });
  return out;
};

/** The same model with its products on each of the three ways: gathered columns, the view's own, all of G. */
function ways(model: RowModel): Readonly<Record<"gathered" | "own" | "all of G", RowModel>> {
  const { gather: _, rowGram: __, ...productsOnly } = model;
  const narrow = (columns: Uint32Array): Products => ({
    productCost: columns.length,
    times: (x, out) => model.times(spread(x, columns, model.size), out),
    async transposeTimes(u, out) {
      const all = zeros(model.size, model.dtype);
      await model.transposeTimes(u, all);
      for (let s = 0; s < columns.length; s++) out[s] = all[columns[s]!]!;
    },
    release: () => {},
  });
  return { gathered: model, own: { ...productsOnly, narrow }, "all of G": productsOnly };
}

const [n, p] = [6, 11];
const support = Uint32Array.of(1, 2, 5, 8, 10);

describe("a row model", () => {
  test.each([false, true])("has core's objective as its value, first-order term %s", async (firstOrder) => {
    const problem = randomProblem({ n, p, keep: 3, firstOrder });
    const model = rowModel(problem, kernels);
    for (let trial = 0; trial < 5; trial++) {
      const w = random(p, `w ${trial}`);
      const expected = await objective(problem, matrix(1, p, w));
      expect(valueAt(model, await pointAt(model, w))).toBeCloseTo(expected, 12); // the same sums in another order
    }
  });

  test("its slope is the derivative of its value, by central differences", async () => {
    const model: RowModel = {
      ...rowModel(randomProblem({ n, p, keep: 3, firstOrder: true }), kernels),
      offset: random(n, "offset"),
    };
    const w = random(p, "w");
    const slope = new Float64Array(p);
    await gradientAt(model, await pointAt(model, w), slope);
    const h = 1e-4;
    for (let j = 0; j < p; j++) {
      const at = async (step: number): Promise<number> =>
        valueAt(
          model,
          await pointAt(
            model,
            w.map((value, i) => value + (i === j ? step : 0)),
          ),
        );
      // Q is quadratic: the central difference has no error but rounding, eps / h.
      expect(((await at(h)) - (await at(-h))) / (2 * h)).toBeCloseTo(slope[j]!, 9);
    }
  });

  test("refuses weights of several rows", () => {
    const problem = { ...randomProblem({ n, p, keep: 3 }), w: matrix(2, p, new Float64Array(2 * p)) };
    expect(() => rowModel(problem, kernels)).toThrow(expect.objectContaining({ code: "ERR_INCOMPATIBLE" }));
  });

  test("computes in the dtype of its weights, whatever the rows are stored in", async () => {
    const rows = matrix(n, p, Float32Array.from(random(n * p, "rows")));
    const problem = problemFrom({ rows, w: matrix(1, p, random(p, "w0")), keep: 3, ridge: 0.1 });
    const model = rowModel(problem, kernels);
    expect(model.dtype).toBe("f64");
    const gathered = new Float64Array(n * 2);
    await model.gather!(Uint32Array.of(3, 7), gathered);
    expect(gathered[2]).toBe(rows.data[p + 3]);
    expect((await model.rowGram!()).data).toBeInstanceOf(Float64Array);
  });
});

describe.each(["gathered", "own", "all of G"] as const)("over some weights, with products by %s", (way) => {
  const problem = randomProblem({ n, p, keep: 3, firstOrder: true, ridge: 0.3 });
  const full = rowModel(problem, kernels);
  const model = ways(full)[way];

  test("products are those of G's columns", async () => {
    const inner = await narrowed(model, support);
    const [x, u] = [random(support.length, "x"), random(n, "u")];
    const [Gx, expected] = [new Float64Array(n), new Float64Array(n)];
    await inner.times(x, Gx);
    await full.times(spread(x, support, p), expected);
    const [Gu, whole] = [new Float64Array(support.length), new Float64Array(p)];
    await inner.transposeTimes(u, Gu);
    await full.transposeTimes(u, whole);
    Gx.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 13);
    });
    Gu.forEach((value, s) => {
      expect(value).toBeCloseTo(whole[support[s]!]!, 13);
    });
    inner.release();
  });

  test("the value anywhere is the full model's with zeros elsewhere, and so is the slope", async () => {
    const { model: inner, release } = await restrict(model, support);
    expect([inner.rows, inner.size]).toEqual([n, support.length]);
    for (let trial = 0; trial < 5; trial++) {
      const w = random(support.length, `w ${trial}`);
      const [small, large] = [await pointAt(inner, w), await pointAt(full, spread(w, support, p))];
      expect(valueAt(inner, small)).toBeCloseTo(valueAt(full, large), 12);
      const [slope, whole] = [new Float64Array(support.length), new Float64Array(p)];
      await gradientAt(inner, small, slope);
      await gradientAt(full, large, whole);
      slope.forEach((value, s) => {
        expect(value).toBeCloseTo(whole[support[s]!]!, 12);
      });
    }
    release();
  });

  test("restricting twice is restricting once, also from a model with an offset", async () => {
    const shifted: RowModel = { ...model, offset: random(n, "offset"), constant: 1.5 };
    const { model: once } = await restrict(shifted, support);
    const { model: twice } = await restrict(once, Uint32Array.of(0, 3));
    const { model: direct } = await restrict(shifted, Uint32Array.of(1, 8));
    const w = random(2, "w");
    expect(valueAt(twice, await pointAt(twice, w))).toBeCloseTo(valueAt(direct, await pointAt(direct, w)), 12);
    expect([...twice.columnNormsSquared()]).toEqual([...direct.columnNormsSquared()]);
  });
});

test("the restricted model's minimum is the exact minimiser on the support", async () => {
  const problem = randomProblem({ n, p, keep: 3, firstOrder: true, ridge: 0.3 });
  const { model } = await restrict(rowModel(problem, kernels), support);
  const { w, value } = await exactOn(problem, [...support], await denseHessian(problem));
  const inside = Float64Array.from(support, (j) => w.data[j]!);
  const point = await pointAt(model, inside);
  const slope = new Float64Array(support.length);
  await gradientAt(model, point, slope);
  expect(valueAt(model, point)).toBeCloseTo(value, 12);
  for (const s of slope) expect(Math.abs(s)).toBeLessThan(1e-12);
});

test("the Gram matrix over columns is G_S G_S', also where it takes several tiles of columns", async () => {
  const wide = rowModel(randomProblem({ n: 3, p: 5000, keep: 1 }), kernels);
  const columns = Uint32Array.from({ length: 4500 }, (_, s) => s + 100);
  const gram = await columnGram(wide, columns);
  const rows = new Float64Array(3 * columns.length);
  await wide.gather!(columns, rows);
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 3; j++) {
      let sum = 0;
      for (let s = 0; s < columns.length; s++) sum += rows[i * columns.length + s]! * rows[j * columns.length + s]!;
      expect(gram.data[i * 3 + j]).toBeCloseTo(sum, 8); // sums of 4500 f64 products
    }
  }
});
