/**
 * Which solver a run takes that names none and limits operations alone. Where operations a weight differ, as between the layers of an image network, the layers with
 * most positions have to lose most, further than a model of the loss taken in one step is good for. On held-out training images layer-wise losses, shared out by
 * what each weight costs, were lower there at every limit that was tried: ResNet20 at .2 and .1, LeNet-5 at .2, .1 and .05 (docs/structure.md). Where all weights cost the same, a limit of
 * operations is a sparsity: MLPNet, where chita's stages are far better.
 */
import { isPruneError, layoutParams, type Note } from "@secateur/core";
import { limitKeys } from "../../recipe/limits.ts";
import { openLargeOnnx } from "../large/large-onnx.ts";
import { chosenDense } from "../open/any-model-settings.ts";
import { type AnyModel, openAnyModel } from "../open/open-any-model.ts";
import { isTfjsModel } from "../open/open-tfjs.ts";
import type { PruneSettings } from "./prune-settings.ts";

/** What is taken there, and what is said of it. */
export const operationsSolver = "layerwise";
export const operationsNote: Note = {
  code: "operations-solver",
  level: "info",
  message: `operations alone are limited, and layers differ in how many a weight takes: ${operationsSolver} is used, which had the lower loss of training images on image networks (--solver says otherwise)`,
};

/** Layers of more inputs are not solved by the second moments of their inputs unless somebody asks: those take 8 inputs^2 bytes, and inputs^3 operations. */
const mostInputs = 8192;

/** Whether a run limits operations and nothing else, and asks for nothing that belongs to a solver of the whole network. */
export function limitsOperationsAlone(settings: PruneSettings): boolean {
  const { limits, sparsity, retrain, allocation, layers, given, curvatureOptions, data } = settings;
  const isOpen = (key: (typeof limitKeys)[number]): boolean =>
    key === "units" ? (limits.units ?? []).every((units) => units === "weights") : limits[key] === undefined;
  const isAlone = limitKeys.every((key) => (key === "flops" ? !isOpen(key) : isOpen(key))) && sparsity === undefined;
  const isPlain = given.length === 0 && Object.keys(curvatureOptions).length === 0;
  return isAlone && isPlain && !retrain && !allocation && !layers && data !== undefined;
}

/**
 * Whether the weights that would be pruned differ in their operations, and can be pruned by their layers' inputs. Opens the model, which the run does again: its solver
 * decides how. What cannot be opened is for the run to refuse.
 */
export async function hasUnequalOperations(settings: PruneSettings, cwd: string): Promise<boolean> {
  const { model: path, arch, engine, includeFrozen, inputs } = settings;
  try {
    if ((await isTfjsModel(path)) || (await openLargeOnnx(path))) return false;
    const model = await openAnyModel({ path, arch, engine, includeFrozen, inputs, cwd, onEvent: () => {} });
    try {
      return takesLayers(model, settings);
    } finally {
      model.close();
    }
  } catch (error) {
    if (isPruneError(error) && error.code !== "ERR_ABORTED") return false;
    throw error;
  }
}

function takesLayers(model: AnyModel, { keepDense }: PruneSettings): boolean {
  const { network, onnx } = model;
  const params = layoutParams(network, chosenDense(model, keepDense).pruned);
  const isUnequal = params.some(({ flopsPerWeight }) => flopsPerWeight !== params[0]!.flopsPerWeight);
  if (!isUnequal || network.layerInputs === undefined) return false;
  const without = new Set(onnx?.model.withoutInputs);
  return params.every(({ name, cols }) => cols <= mostInputs && !without.has(name));
}
