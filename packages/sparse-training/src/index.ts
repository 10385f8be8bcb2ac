/**
 * @secateur/sparse-training: rules that prune while a network trains, and saliencies for pruning it before.
 * @packageDocumentation
 */
export { type FirstStepsOptions, firstSteps } from "./initial/first-steps.ts";
export { type FlowMeasure, flowMeasures, type GradientFlowOptions, gradientFlow } from "./initial/gradient-flow.ts";
export { inStages } from "./initial/in-stages.ts";
export { synapticFlow } from "./initial/synaptic-flow.ts";
export { type DropCriterion, dropCriteria } from "./masks/drop-and-grow.ts";
export type { Distribution } from "./masks/layer-counts.ts";
export { type SnowsOptions, snows } from "./refit/snows.ts";
export { averaged } from "./retraining/averaged.ts";
export { type SoupMember, soup, type TrainMember } from "./retraining/soup.ts";
export { type AcDcOptions, acDc } from "./rules/ac-dc.ts";
export { type AdmmOptions, admm } from "./rules/admm.ts";
export { type AutoPruneOptions, autoPrune } from "./rules/auto-prune.ts";
export { type DynamicSparsityOptions, rigl, set } from "./rules/dynamic-sparsity.ts";
export { type FiltersOptions, filters } from "./rules/filters.ts";
export { type GmpOptions, gmp } from "./rules/gmp.ts";
export { type GranetOptions, granet, granetSt } from "./rules/granet.ts";
export { type IssPOptions, issP } from "./rules/iterative-shrinkage.ts";
export { type PerpOptions, perp } from "./rules/perp.ts";
export { type PolarizationOptions, polarization } from "./rules/polarization.ts";
export { type PowerpropagationOptions, powerpropagation } from "./rules/powerpropagation.ts";
export { type StampOptions, stamp } from "./rules/stamp.ts";
export { type TppOptions, tpp } from "./rules/tpp.ts";
