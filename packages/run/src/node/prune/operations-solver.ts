/**
 * Which solver a run takes that names none and limits operations alone. Where operations a weight differ, as between the layers of an image network, the layers with
 * most positions have to lose most, further than a model of the loss taken in one step is good for. On held-out training images layer-wise losses, shared out by
 * what each weight costs, were lower there at every limit that was tried: ResNet20 at .2 and .1, LeNet-5 at .2, .1 and .05 (docs/structure.md). Where all weights cost the same, a limit of
 * operations is a sparsity: MLPNet, where chita's stages are far better.
 */
import { layoutParams, type Note } from "@secateur/core";
import { limitKeys } from "../../recipe/limits.ts";
import { openLargeOnnx } from "../large/large-onnx.ts";
import { chosenDense } from "../open/any-model-settings.ts";
import { openAnyModel } from "../open/open-any-model.ts";
import { isTfjsModel } from "../open/open-tfjs.ts";
import type { PruneSettings } from "./prune-settings.ts";

/** What is taken there, and what is said of it. */
export const operationsSolver = "layerwise";
export const operationsNote: Note = {
  code: "operations-solver",
  level: "info",
  message: `operations alone are limited, and layers differ in how many a weight takes: ${operationsSolver} is used, which keeps more of such networks (--solver says otherwise)`,
};

/** Whether a run limits operations and nothing else, and asks for nothing that belongs to its solver. */
export function limitsOperationsAlone(settings: PruneSettings): boolean {
  const { limits, sparsity, retrain, allocation, layers, given, curvatureOptions, data } = settings;
  const others = limitKeys.filter((key) => key !== "flops" && limits[key] !== undefined);
  const isAlone = limits.flops !== undefined && others.length === 0 && sparsity === undefined;
  const isPlain = given.length === 0 && Object.keys(curvatureOptions).length === 0;
  return isAlone && isPlain && !retrain && !allocation && !layers && data !== undefined;
}

/** Whether the weights that would be pruned differ in their operations, in a model whose layers give their inputs. What cannot be opened is for the run to refuse. */
export async function hasUnequalOperations(settings: PruneSettings, cwd: string): Promise<boolean> {
  const { model: path, arch, engine, includeFrozen, inputs, keepDense } = settings;
  try {
    if ((await isTfjsModel(path)) || (await openLargeOnnx(path))) return false;
    const model = await openAnyModel({ path, arch, engine, includeFrozen, inputs, cwd, onEvent: () => {} });
    try {
      const params = layoutParams(model.network, chosenDense(model, keepDense).pruned);
      const isUnequal = params.some(({ flopsPerWeight }) => flopsPerWeight !== params[0]!.flopsPerWeight);
      return isUnequal && model.network.layerInputs !== undefined;
    } finally {
      model.close();
    }
  } catch {
    return false;
  }
}
