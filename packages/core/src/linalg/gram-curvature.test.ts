import { expect, test } from "vitest";
import { keepCount } from "../budget/constraint.ts";
import { weightUnits } from "../budget/units.ts";
import { referenceKernels } from "../kernels/reference-kernels.ts";
import { matrix } from "../problem/matrix.ts";
import { objective } from "../problem/objective.ts";
import { createRng } from "../rng.ts";
import { flattenRows } from "./flatten-rows.ts";
import { gramCurvature } from "./gram-curvature.ts";

const rng = createRng(3);
const random = (rows: number, cols: number) =>
  matrix(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, () => rng.normal()),
  );

test("the energy of all rows together is what products row by row give, with a slope and flattened, too", async () => {
  const [rows, cols] = [5, 7];
  const H = matrix(cols, cols, new Float64Array(cols * cols));
  referenceKernels.gram({ a: random(20, cols), transpose: true, out: H });
  const { energy, ...byRows } = gramCurvature(H, { kernels: referenceKernels });
  const w = random(rows, cols);
  const constraint = keepCount({ count: rows * cols, keep: 9 });
  const problem = { id: "layer", w, units: weightUnits(rows * cols), constraint, gradient: random(rows, cols) };
  const found = random(rows, cols);
  const expected = await objective({ ...problem, curvature: byRows }, found);
  const together = { ...problem, curvature: { ...byRows, energy: energy! } };
  // Sums of 35 products in f64, in another order.
  expect(await objective(together, found)).toBeCloseTo(expected, 9);
  expect(await objective(flattenRows(together), matrix(1, rows * cols, found.data))).toBeCloseTo(expected, 9);
});

test("rows are taken some at a time", async () => {
  // One row more than a part holds.
  const cols = 2;
  const H = matrix(cols, cols, Float64Array.of(2, 1, 1, 3));
  const rows = 2 * 1024 * 1024 + 1;
  const D = matrix(rows, cols, new Float64Array(rows * cols).fill(1));
  expect(await gramCurvature(H, { kernels: referenceKernels }).energy!(D)).toBe(3.5 * rows);
});
