import { assertNeeds, type Kernels, type Problem } from "@secateur/core";
import { type QuadraticModel, quadraticModel } from "@secateur/core/linalg";
import { onlyOneRow } from "../errors.ts";

/** The one row of a problem as the quadratic that CHITA works on. @throws ERR_INCOMPATIBLE for more than one row of weights, ERR_SHAPE */
export function rowModel(problem: Problem, kernels: Kernels): QuadraticModel {
  assertNeeds("chita", { curvature: ["factor"] }, problem);
  if (problem.w.rows !== 1) throw onlyOneRow(problem.id, problem.w.rows);
  return quadraticModel(problem, { kernels });
}
