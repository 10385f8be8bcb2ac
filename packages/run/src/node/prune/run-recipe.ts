/** The recipe of a run of pruning, and by what of it a run is known again. */
import type { Session } from "../../session.ts";
import type { BatchNormSettings } from "../norm/batch-norm.ts";
import { batchNormOfModel } from "../open/any-model-settings.ts";
import type { InputTexts } from "../open/input-choices.ts";
import type { AnyModel } from "../open/open-any-model.ts";
import type { Preprocessing } from "../preprocessing/preprocessing.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { versions } from "../versions.ts";
import type { PruneSettings } from "./prune-settings.ts";

/** What is done about batch normalisation. */
export function batchNormOf({ retrain, batchNorm }: PruneSettings, model: AnyModel): BatchNormSettings | undefined {
  return batchNormOfModel(model, batchNorm, { isRetrained: retrain !== undefined });
}

/** The recipe as far as it is known before the run: its plan is what was asked for. */
export function recipeOf(spec: {
  settings: PruneSettings;
  retrain: Recipe["retrain"] | undefined;
  /** What holds of preparing data. */
  preprocess: Preprocessing | undefined;
  model: AnyModel;
  session: Session;
}): Recipe {
  const { settings, retrain, preprocess, model, session } = spec;
  const { normalize, found, sparsity, keepDense, plan, seed, options, allocation: bounds, curvatureOptions } = settings;
  const batchNorm = batchNormOf(settings, model);
  return {
    recipe: 1,
    model: model.path,
    modelSha256: model.sha256,
    arch: model.arch,
    ...(model.tfjs ? { engine: model.tfjs.engine.name } : {}),
    ...(settings.includeFrozen ? { includeFrozen: true } : {}),
    ...textsOf(settings.inputs),
    ...(settings.data === undefined ? {} : { data: settings.data }),
    ...(normalize === undefined ? {} : { normalize }),
    ...(preprocess === undefined ? {} : { preprocess }),
    ...(settings.task === undefined ? {} : { task: settings.task }),
    solver: found.entry.name,
    options,
    ...(sparsity === undefined ? {} : { sparsity }),
    ...settings.limits,
    ...(settings.cut === undefined ? {} : { cut: settings.cut }),
    ...(settings.costs && settings.limits.milliseconds !== undefined ? { costs: settings.costs } : {}),
    ...(keepDense.length === 0 ? {} : { keepDense }),
    plan,
    ...(retrain === undefined ? {} : { retrain }),
    ...(bounds === undefined ? {} : { allocation: bounds }),
    ...(settings.layers === undefined ? {} : { layers: settings.layers }),
    ...(Object.keys(curvatureOptions).length === 0 ? {} : { curvatureOptions }),
    ...(batchNorm === undefined ? {} : { batchNorm }),
    seed,
    kernels: session.kernelChoice,
    backend: session.kernels.name,
    versions: versions([found, ...model.packages]),
  };
}

/** Only what was said. */
function textsOf({ inputShape = [], fix = [] }: InputTexts): Pick<Recipe, "inputShape" | "fix"> {
  return { ...(inputShape.length > 0 ? { inputShape } : {}), ...(fix.length > 0 ? { fix } : {}) };
}

/** What a saved state must agree in with the run that continues it, as JSON; core's fingerprint covers plan and seed. */
export function runIdentity(recipe: Recipe): string {
  const { modelSha256, arch, engine, includeFrozen, data, normalize, task, solver, options, sparsity } = recipe;
  const { flops, bytes, milliseconds, costs, units, keepDense, batchNorm, retrain, allocation, curvatureOptions } =
    recipe;
  const { layers, inputShape, fix, preprocess } = recipe;
  return JSON.stringify({
    ...{ modelSha256, arch, engine, includeFrozen, data, normalize, task, solver, options, sparsity },
    ...{ flops, bytes, milliseconds, costs, units, keepDense, batchNorm, retrain, allocation, curvatureOptions },
    ...{ layers, inputShape, fix, preprocess },
  });
}

/** All that decides a run's result, as JSON: its recipe, but for where it lies and which versions made it. */
export function requestOf({ model: _place, versions: _versions, ...recipe }: Recipe): string {
  return JSON.stringify(recipe);
}
