import { countingContext } from "@secateur/conformance";
import {
  createRng,
  factorCurvature,
  type InverseView,
  type Mat,
  matrix,
  referenceKernels,
  type Vec,
} from "@secateur/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dualInverse } from "./inverse/dual-inverse.ts";
import { primalInverse, recursiveInverse } from "./inverse/explicit-inverse.ts";
import { factorInverse, largestSystem, storedCurvature } from "./inverse/factor-inverse.ts";
import { factoredBlock } from "./rows/factored-block.ts";
import { denseFactor, rowFactor, type StoredFactor } from "./rows/row-factor.ts";

const kernels = referenceKernels;

function randomMatrix(rows: number, cols: number, seed: string): Mat {
  const rng = createRng(seed);
  return matrix(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, () => rng.normal()),
  );
}

/** H [p, p], column by column from products. */
async function denseHessian(view: StoredFactor): Promise<Mat> {
  const { dim } = view;
  const H = matrix(dim, dim, new Float64Array(dim * dim));
  for (let j = 0; j < dim; j++) {
    const unit = new Float64Array(dim);
    unit[j] = 1;
    await factorCurvature(view).apply(unit, H.data.subarray(j * dim, (j + 1) * dim));
  }
  return H;
}

/** Largest entry of H[support, support] F - I. */
function defect(H: Mat, support: Uint32Array, F: readonly Vec[]): number {
  let worst = 0;
  support.forEach((i, s) => {
    support.forEach((_, t) => {
      let sum = s === t ? -1 : 0;
      support.forEach((j, u) => {
        sum += H.data[i * H.cols + j]! * F[t]![u]!;
      });
      worst = Math.max(worst, Math.abs(sum));
    });
  });
  return worst;
}

async function columnsOf(inverse: InverseView): Promise<readonly Float64Array[]> {
  const columns: Float64Array[] = [];
  for (let j = 0; j < inverse.dim; j++) {
    const out = new Float64Array(inverse.dim);
    await inverse.column(j, out);
    columns.push(out);
  }
  return columns;
}

const forms = { dual: dualInverse, primal: primalInverse, recursion: recursiveInverse } as const;
const all = (size: number): Uint32Array => Uint32Array.from({ length: size }, (_, j) => j);
// Damping of 0.05 against eigenvalues of a few units: condition numbers below a few hundred in f64.
const tolerance = 1e-11;

describe.each(Object.entries(forms))("the inverse in its %s form", (_name, invert) => {
  test("times H is the identity, by columns, products, diagonal and blocks, for any shape", async () => {
    const shapes = fc.record({ rows: fc.integer({ min: 1, max: 9 }), dim: fc.integer({ min: 1, max: 9 }) });
    await fc.assert(
      fc.asyncProperty(shapes, async ({ rows, dim }) => {
        const view = denseFactor({ rows: randomMatrix(rows, dim, `${rows} ${dim}`), damping: 0.05, kernels });
        const inverse = await invert(view, kernels);
        const columns = await columnsOf(inverse);
        expect(defect(await denseHessian(view), all(dim), columns)).toBeLessThan(tolerance);
        const diagonal = await inverse.diagonal();
        const x = randomMatrix(1, dim, "x").data;
        const product = new Float64Array(dim);
        await inverse.apply(x, product);
        const chosen = all(dim).filter((j) => j % 2 === 0);
        const block = await inverse.block(chosen);
        for (let j = 0; j < dim; j++) {
          expect(diagonal[j]).toBeCloseTo(columns[j]![j]!, 10);
          expect(product[j]).toBeCloseTo(
            columns[j]!.reduce((sum, value, i) => sum + value * x[i]!, 0),
            10,
          );
        }
        chosen.forEach((i, s) => {
          chosen.forEach((j, t) => {
            expect(block.data[s * chosen.length + t]).toBeCloseTo(columns[j]![i]!, 10);
          });
        });
        inverse.release();
      }),
      { numRuns: 25 },
    );
  });

  test("serves dead columns: a weight no gradient reaches has 1 / damping", async () => {
    const rows = randomMatrix(4, 6, "dead");
    for (let i = 0; i < 4; i++) rows.data[i * 6 + 2] = 0;
    const inverse = await invert(denseFactor({ rows, damping: 0.25, kernels }), kernels);
    expect((await inverse.diagonal())[2]).toBeCloseTo(4, 12);
    const column = new Float64Array(6);
    await inverse.column(2, column);
    expect(column.filter((value) => Math.abs(value) > 1e-12)).toHaveLength(1);
  });

  test("refuses a singular H without damping, naming pivot and damping", async () => {
    const view = denseFactor({ rows: randomMatrix(3, 5, "singular"), damping: 0, kernels });
    await expect(invert(view, kernels)).rejects.toThrow(
      expect.objectContaining({ code: "ERR_SINGULAR", message: expect.stringMatching(/pivot \d.*damping 0\).*ridge/) }),
    );
  });
});

describe("the inverse of a principal block", () => {
  test("is that of H[support, support], in every form, from dense and from factored rows", async () => {
    const factors = {
      delta: randomMatrix(7, 3, "delta"),
      input: randomMatrix(7, 4, "input"),
      group: 1,
    };
    const factored = rowFactor({ blocks: [factoredBlock(factors, kernels)], rows: 7, dtype: "f64", damping: 0.05 });
    const dense = denseFactor({ rows: randomMatrix(7, 12, "rows"), damping: 0.05, kernels });
    const support = Uint32Array.of(0, 3, 4, 7, 8, 9, 11);
    for (const view of [factored, dense]) {
      const H = await denseHessian(view);
      for (const form of ["auto", "dual", "primal", "recursion"] as const) {
        const inverse = await factorInverse(view, { kernels, support, form });
        expect(inverse.dim).toBe(7);
        expect(defect(H, support, await columnsOf(inverse))).toBeLessThan(tolerance);
      }
    }
  });

  test("frees what it took, whether it was made or refused", async () => {
    for (const form of Object.keys(forms) as (keyof typeof forms)[]) {
      const { ctx, live } = countingContext();
      const view = denseFactor({ rows: randomMatrix(5, 12, "few"), damping: 0.3, kernels: ctx.kernels });
      for (const support of [undefined, Uint32Array.of(0, 3, 4, 8)]) {
        const inverse = await factorInverse(view, { kernels: ctx.kernels, support, form });
        await inverse.diagonal();
        await inverse.apply(new Float64Array(inverse.dim).fill(1), new Float64Array(inverse.dim));
        expect(live()).toBeGreaterThan(0);
        inverse.release();
        expect(live()).toBe(0);
        // Fewer rows than weights, or zero columns: no inverse without damping.
        const singular = { ...view, damping: 0 };
        await expect(factorInverse(singular, { kernels: ctx.kernels, form })).rejects.toMatchObject({
          code: "ERR_SINGULAR",
        });
        expect(live()).toBe(0);
      }
    }
  });

  test("has the same diagonal where its columns need several tiles", async () => {
    const view = denseFactor({ rows: randomMatrix(5, 1100, "wide"), damping: 0.5, kernels });
    const inverse = await factorInverse(view, { kernels, support: all(1100).filter((j) => j !== 7), form: "dual" });
    const diagonal = await inverse.diagonal();
    const column = new Float64Array(inverse.dim);
    for (const j of [0, 6, 7, 1022, 1023, 1024, 1098]) {
      await inverse.column(j, column);
      expect(Math.abs(diagonal[j]! - column[j]!)).toBeLessThan(tolerance);
    }
  });
});

describe("the inverse of a curvature", () => {
  test("without damping exists where rows outnumber weights", async () => {
    const view = denseFactor({ rows: randomMatrix(12, 4, "tall"), damping: 0, kernels });
    const inverse = await storedCurvature(view, kernels).inverse!();
    expect(defect(await denseHessian(view), all(4), await columnsOf(inverse))).toBeLessThan(tolerance);
  });

  test("refuses what would not fit, and says what would", async () => {
    const size = largestSystem + 1;
    const view = { ...denseFactor({ rows: matrix(1, 1), damping: 1, kernels }), rows: size, dim: size };
    await expect(factorInverse(view, { kernels })).rejects.toThrow(
      expect.objectContaining({ code: "ERR_IMPOSSIBLE", message: expect.stringContaining("blockSize") }),
    );
  });
});
