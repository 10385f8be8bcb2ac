import { createRng, createRunContext, matrix, type Vec, zeros } from "@secateur/core";
import { gradientAt, pointAt, prunedModel, valueAt } from "@secateur/core/linalg";
import { describe, expect, test } from "vitest";
import { randomProblem } from "../problem.test-support.ts";
import { reduceRows } from "./reduce-rows.ts";
import { storedModel } from "./row-space.test-support.ts";
import type { RowSpaceModel } from "./row-space.ts";

const { kernels } = createRunContext();
const [n, p] = [25, 7];

function tallModel(spec: { firstOrder?: boolean; dtype?: "f32" | "f64"; ridge?: number } = {}): RowSpaceModel {
  return storedModel(randomProblem({ n, p, keep: 3, ...spec }));
}

function randomVectors(count: number, length: number, dtype: "f32" | "f64"): Vec[] {
  const rng = createRng("points");
  const one = (): Float64Array => Float64Array.from({ length }, () => rng.normal());
  return Array.from({ length: count }, () => (dtype === "f64" ? one() : Float32Array.from(one())));
}

describe.each(["f64", "f32"] as const)("in %s", (dtype) => {
  // f64: the triangle's jitter is 1e-12 of the diagonal. f32: the triangle is stored with 24 bits and Q is quadratic in it.
  const tolerance = dtype === "f64" ? 1e-11 : 2e-6;

  test.each([
    { firstOrder: false, offset: false },
    { firstOrder: true, offset: false },
    { firstOrder: false, offset: true },
    { firstOrder: true, offset: true },
  ])("p rows give the same Q and the same slope everywhere: %j", async ({ firstOrder, offset }) => {
    const [shift] = randomVectors(1, n, dtype);
    const model: RowSpaceModel = {
      ...tallModel({ firstOrder, dtype }),
      ...(offset ? { offset: shift! } : {}),
      constant: 2,
    };
    const reduced = await reduceRows(model);
    expect([reduced.rows, reduced.dim]).toEqual([p, p]);
    for (const w of randomVectors(10, p, dtype)) {
      const [full, small] = [await pointAt(model, w), await pointAt(reduced, w)];
      const value = valueAt(model, full);
      expect(Math.abs(valueAt(reduced, small) - value)).toBeLessThan(tolerance * Math.abs(value));
      const [slope, other] = [zeros(p, dtype), zeros(p, dtype)];
      await gradientAt(model, full, slope);
      await gradientAt(reduced, small, other);
      const size = Math.max(...slope.map(Math.abs));
      slope.forEach((value, j) => {
        expect(Math.abs(value - other[j]!)).toBeLessThan(10 * tolerance * size);
      });
    }
  });

  test("its row Gram, columns and column norms are those of the triangle", async () => {
    const model = tallModel({ dtype });
    const reduced = await reduceRows(model);
    const columns = Uint32Array.from({ length: p }, (_, j) => j);
    const R = matrix(p, p, randomVectors(1, p * p, dtype)[0]!);
    await reduced.columns(columns, R);
    const H = matrix(p, p, R.data.slice());
    kernels.gram({ a: R, transpose: true, out: H, alpha: reduced.scale });
    const norms = model.columnNormsSquared();
    for (let j = 0; j < p; j++) {
      expect(Math.abs(H.data[j * p + j]! / (model.scale * norms[j]!) - 1)).toBeLessThan(tolerance);
      expect(reduced.scale * reduced.columnNormsSquared()[j]!).toBeCloseTo(model.scale * norms[j]!, 12);
    }
    const gram = matrix(p, p, R.data.slice());
    kernels.gram({ a: R, out: gram });
    const own = await reduced.rowGram();
    own.data.forEach((value, i) => {
      expect(Math.abs(value - gram.data[i]!)).toBeLessThanOrEqual(tolerance * Math.abs(gram.data[0]!));
    });
  });
});

test("a model with no more rows than weights stays as it is", async () => {
  const model = storedModel(randomProblem({ n: 6, p: 6, keep: 2 }));
  expect(await reduceRows(model)).toBe(model);
});

test("dependent and zero columns reduce without ridge", async () => {
  const problem = randomProblem({ n, p, keep: 3, ridge: 0 });
  const rows = storedModel(problem);
  // Columns 0 and 1 equal, column 2 zero: the model of a support with repeated columns.
  const columns = Uint32Array.of(0, 0, 3, 4);
  const twice: RowSpaceModel = {
    ...rows,
    dim: 4,
    w0: rows.w0.slice(0, 4),
    columns: async (inner, out) =>
      rows.columns(
        Uint32Array.from(inner, (s) => columns[s]!),
        out,
      ),
    columnNormsSquared: () => Float64Array.from(columns, (j) => rows.columnNormsSquared()[j]!),
  };
  const reduced = await reduceRows(twice);
  const at = async (w: number[]): Promise<number> => valueAt(reduced, await pointAt(reduced, Float64Array.from(w)));
  const [a, b] = [await at([1, 2, 3, 4]), await at([2, 1, 3, 4])];
  // d of the two equal columns counts only as a sum: the same Q but for the jitter of 1e-12.
  expect(Math.abs(a - b)).toBeLessThan(1e-9 * a);
});

test("a reduced model can be restricted", async () => {
  const model = tallModel({ firstOrder: true });
  const columns = Uint32Array.of(1, 2, 5);
  const direct = await prunedModel(model, columns);
  const after = await prunedModel(await reduceRows(model), columns);
  for (const w of randomVectors(3, 3, "f64")) {
    const value = valueAt(direct, await pointAt(direct, w));
    expect(Math.abs(valueAt(after, await pointAt(after, w)) / value - 1)).toBeLessThan(1e-10); // the jitter
  }
});
