export { type Engine, type EngineName, type EngineOptions, engineNames, openEngine } from "./engines.ts";
export {
  type FileWeight,
  type ModelFiles,
  type ModelJson,
  type ReadFile,
  readModelFiles,
  type WeightSpec,
} from "./files/model-files.ts";
export { quantizeFiles } from "./files/quantize-files.ts";
export { loadModel, type ModelArtifacts, openModelFiles, type SavedModel } from "./files/saved-model.ts";
export { decodeWeight } from "./files/weight-bytes.ts";
export { registerGradientKernels } from "./gradients/register-kernels.ts";
export { type LossName, lossNames } from "./tasks/loss-name.ts";
export { type KeptDense, type TfjsModel, type TfjsModelOptions, tfjsModel } from "./tfjs-model.ts";
