import { assertNeeds, type Kernels, type Problem } from "@secateur/core";
import { type QuadraticModel, quadraticModel } from "@secateur/core/linalg";

/** A problem of one row as the quadratic that CHITA works on. @throws ERR_INCOMPATIBLE without a factor view, ERR_SHAPE */
export function rowModel(problem: Problem, kernels: Kernels): QuadraticModel {
  assertNeeds("chita", { curvature: ["factor"] }, problem);
  return quadraticModel(problem, { kernels });
}
