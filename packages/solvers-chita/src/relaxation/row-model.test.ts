import { referenceKernels as kernels, matrix } from "@secateur/core";
import { expect, test } from "vitest";
import { randomProblem } from "../problem.test-support.ts";
import { rowModel } from "./row-model.ts";

test("a row model refuses weights of several rows", () => {
  const problem = { ...randomProblem({ n: 6, p: 11, keep: 3 }), w: matrix(2, 11, new Float64Array(22)) };
  expect(() => rowModel(problem, kernels)).toThrow(expect.objectContaining({ code: "ERR_INCOMPATIBLE" }));
});
