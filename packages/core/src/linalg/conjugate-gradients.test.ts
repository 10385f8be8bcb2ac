import { describe, expect, test } from "vitest";
import { referenceKernels as kernels } from "../kernels/reference-kernels.ts";
import { type Mat, matrix } from "../problem/matrix.ts";
import { createRunContext } from "../run-context.ts";
import { diagonalOf, solveSpd } from "./cholesky.ts";
import { type CgSystem, conjugateGradients } from "./conjugate-gradients.ts";
import { gradientRows, symmetric } from "./random-systems.test-support.ts";

const ctx = createRunContext();

/** Systems with H [c, c] and right-hand sides [rows, c] that start from 0. */
function systemOf(H: Mat, b: Mat, limits: Pick<CgSystem, "tolerance" | "maxIterations">): CgSystem {
  return {
    rows: b.rows,
    x: new Float64Array(b.data.length),
    residual: Float64Array.from(b.data),
    diagonal: diagonalOf(H),
    apply: (x, out) => kernels.gemm({ a: matrix(b.rows, b.cols, x), b: H, out: matrix(b.rows, b.cols, out) }),
    ...limits,
  };
}

const exactly = { tolerance: 1e-13, maxIterations: 200 } as const;

describe("conjugate gradients", () => {
  test("solve several right-hand sides at once, each as if it stood alone", async () => {
    const H = symmetric(gradientRows({ rows: 30, size: 12, seed: 1 }), 0.1);
    const b = gradientRows({ rows: 4, size: 12, seed: 2 });
    const together = systemOf(H, b, exactly);
    expect((await conjugateGradients(together, ctx)).status).toBe("converged");
    for (let r = 0; r < 4; r++) {
      const own = matrix(1, 12, b.data.slice(r * 12, (r + 1) * 12));
      const alone = systemOf(H, own, exactly);
      await conjugateGradients(alone, ctx);
      expect([...together.x.subarray(r * 12, (r + 1) * 12)]).toEqual([...alone.x]);
      solveSpd({ H: { ...H, data: H.data.slice() }, b: own.data, what: "H", damping: 0, kernels });
      // Condition numbers below 100 here, and a residual of 1e-13.
      alone.x.forEach((value, j) => {
        expect(value).toBeCloseTo(own.data[j]!, 10);
      });
    }
  });

  test("never let the quadratic rise, and are exact after as many iterations as there are weights", async () => {
    const H = symmetric(gradientRows({ rows: 8, size: 6, seed: 3 }), 0.01);
    const b = gradientRows({ rows: 1, size: 6, seed: 4 });
    const image = new Float64Array(6);
    let last = 0;
    for (let maxIterations = 1; maxIterations <= 6; maxIterations++) {
      const system = systemOf(H, b, { tolerance: 0, maxIterations });
      await conjugateGradients(system, ctx);
      kernels.gemv({ a: H, x: system.x, out: image });
      const value = 0.5 * kernels.dot(system.x, image) - kernels.dot(system.x, b.data);
      expect(value).toBeLessThan(last);
      last = value;
    }
    const exact = b.data.slice();
    solveSpd({ H: { ...H, data: H.data.slice() }, b: exact, what: "H", damping: 0, kernels });
    // The least value is -1/2 b'H^-1 b.
    expect(last).toBeCloseTo(-0.5 * kernels.dot(exact, b.data), 10);
  });

  test("say that the iterations ran out, and do no more", async () => {
    const H = symmetric(gradientRows({ rows: 30, size: 12, seed: 5 }), 0);
    const system = systemOf(H, gradientRows({ rows: 2, size: 12, seed: 6 }), { tolerance: 1e-12, maxIterations: 3 });
    expect(await conjugateGradients(system, ctx)).toEqual({ iterations: 3, status: "max-iterations" });
  });

  test("end at a direction without curvature, and leave the rows beside it alone", async () => {
    // H = diag(1, 2, 0): the third weight has no curvature, and the second right-hand side pulls at it.
    const H = matrix(3, 3, Float64Array.of(1, 0, 0, 0, 2, 0, 0, 0, 0));
    const b = matrix(2, 3, Float64Array.of(3, 4, 0, 0, 0, 5));
    const system = systemOf(H, b, exactly);
    expect((await conjugateGradients(system, ctx)).status).toBe("flat");
    expect([...system.x]).toEqual([3, 2, 0, 0, 0, 0]);
  });

  test("need no iteration for a right-hand side of zeros", async () => {
    const H = symmetric(gradientRows({ rows: 5, size: 3, seed: 7 }), 1);
    const system = systemOf(H, matrix(1, 3, new Float64Array(3)), exactly);
    expect(await conjugateGradients(system, ctx)).toEqual({ iterations: 0, status: "converged" });
  });

  test("hear an abort", async () => {
    const controller = new AbortController();
    controller.abort();
    const H = symmetric(gradientRows({ rows: 5, size: 3, seed: 8 }), 1);
    const system = systemOf(H, gradientRows({ rows: 1, size: 3, seed: 9 }), exactly);
    const aborted = createRunContext({ signal: controller.signal });
    await expect(conjugateGradients(system, aborted)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  });
});
