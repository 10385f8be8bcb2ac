export { type Engine, type EngineName, type EngineOptions, engineNames, openEngine } from "./engines.ts";
export { type LossName, lossNames } from "./loss.ts";
export {
  type FileWeight,
  type ModelFiles,
  type ModelJson,
  type ReadFile,
  readModelFiles,
  type WeightSpec,
} from "./model-files.ts";
export { registerGradientKernels } from "./register-kernels.ts";
export { loadModel, type ModelArtifacts, openModelFiles, type SavedModel } from "./saved-model.ts";
export { type KeptDense, type TfjsModel, type TfjsModelOptions, tfjsModel } from "./tfjs-model.ts";
export { decodeWeight } from "./weight-bytes.ts";
