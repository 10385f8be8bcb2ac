/** What solving takes in a run of {@link chita} by a plan, counted in multiply-adds; for the expected time only. */
import { momentExamples, planSparsities, type ResolvedPlan, type RunSituation, type SolverWork } from "@secateur/core";
import { gemmSpeedUp } from "@secateur/core/linalg";
import { cheapProduct } from "./path/shrink-path.ts";
import { productsOfRows } from "./plan.ts";

/**
 * Of the time of dense products those over few kept weights take about their share of the weights (.11 at .1 and .87 at .7, by panels of a chain), and this
 * beside: passes over the examples, and small layers.
 */
const fixedShare = 0.1;
/** Products with the Gauss-Newton matrix a stage that are no iterations: of slopes, residuals, objectives, and its diagonal. */
const otherProducts = 5;
/** Passes through a network of convolutions that a product with its Jacobian takes. */
const passesOfConvolutions = 2;
/** Iterations of the path (see path/shrink-path.ts) for rows that cost a pass over thousands of examples. */
const fewProducts = { ratio: 1.35, round: 5, last: 15, atTarget: 20 };
/** And where a product is that of a few small matrices. */
const manyProducts = { ratio: 1.15, round: 20, last: 60, atTarget: 60 };

/** @returns multiply-adds of all its stages */
export function chitaWork(plan: ResolvedPlan, situation: RunSituation): SolverWork {
  const { prunable, weightReuse = 1, sparsity, initialSparsity, layers = [] } = situation;
  const competing = plan.ridge === "auto" ? plan.ridgeFactors.length : 1;
  const isKronecker = plan.curvature === "kronecker-gauss-newton";
  // Every group has factors of its own.
  const kronecker = layers.reduce((sum, { rows, cols, groups }) => sum + rows * cols * (rows / groups + cols), 0);
  const pace = isKronecker && kronecker <= cheapProduct * gemmSpeedUp * prunable ? manyProducts : fewProducts;
  let [curvature, products, asDense] = [0, 0, 0];
  const add = (counted: number, dense = counted): void => {
    products += counted;
    asDense += dense;
  };
  let before = 1 - initialSparsity;
  for (const [index, reached] of planSparsities(plan, sparsity).entries()) {
    const after = Math.min(before, 1 - reached);
    const isAtTarget = index >= plan.stages;
    const rounds = Math.max(1, Math.ceil(Math.log(before / Math.max(after, 1 / prunable)) / Math.log(pace.ratio)));
    const iterations = isAtTarget ? pace.atTarget : pace.round * (rounds - 1) + pace.last;
    const rows = isAtTarget ? plan.targetExamples : plan.examples;
    if (isKronecker) {
      for (const { cols, groups, positions } of layers) {
        const seen = momentExamples({ examples: rows, inputs: cols, positions });
        curvature += (seen * positions * groups * cols ** 2) / 2;
      }
      // One of G'G an iteration, and those of residuals a round.
      add(competing * (iterations + 2 * (isAtTarget ? 2 : rounds)) * kronecker);
    } else if (plan.curvature === "gauss-newton") {
      // Convolutions take as long however few weights are kept.
      const share = weightReuse > 1 ? passesOfConvolutions : (before + after) / 2;
      const time = weightReuse > 1 ? passesOfConvolutions : Math.min(1, fixedShare + share);
      const pass = competing * rows * prunable * weightReuse;
      add(pass * (otherProducts + 2 * iterations * share), pass * (otherProducts + 2 * iterations * time));
    } else {
      // Of the row Gram a part, see relaxation/search.ts.
      const columns = Math.min(prunable, Math.max(after * prunable, 2 * rows));
      add(competing * rows * ((rows / 2) * columns + productsOfRows(rows) * prunable));
    }
    before = after;
  }
  return { curvature, products, asDense };
}
