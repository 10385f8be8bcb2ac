/** Pruning of a model that is never in memory. By magnitude its weights are read twice to find the threshold and once to write them; layer-wise methods see `prune-large-layers.ts`. */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { keptCount } from "@secateur/core";
import { checkOutput, makeFolder, withOnnxMetadata } from "@secateur/formats";
import { keepsAll, ownData, tooLargeFor } from "../../errors.ts";
import { checkCopies, settleCopies } from "../export/compressed-copies.ts";
import type { EncodedFile } from "../export/encode-model.ts";
import { peakMemoryBytes } from "../memory.ts";
import { asksForMeasuring } from "../norm/batch-norm.ts";
import { denseAmong } from "../open/any-model-settings.ts";
import { onnxArchitecture } from "../open/open-onnx.ts";
import { statedOfModel } from "../preprocessing/beside-model.ts";
import { type StatedOfModel, statedMetadata } from "../preprocessing/preprocessing.ts";
import { settlePreprocessing } from "../preprocessing/settle-preprocessing.ts";
import type { PruneRun } from "../prune/measured-run.ts";
import type { PruneDocument } from "../prune/prune-document.ts";
import type { PruneSettings } from "../prune/prune-settings.ts";
import { portableRecipe } from "../recipe/encode-recipe.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { versions } from "../versions.ts";
import type { DistantWeight, LargeOnnx } from "./large-onnx.ts";
import { elementBytes, thresholdOf } from "./magnitude-threshold.ts";
import { assertLayersFit, layerOfDocument, pruneLargeLayers } from "./prune-large-layers.ts";
import { type FileCopy, type WriteSpec, writePruned } from "./write-pruned.ts";

/**
 * Writes the model file as it is but for what is stated of preparing data, and beside it its data with weights set to zero. By magnitude the largest k of all weights stay, as
 * otherwise: three passes over the data, a few chunks of 16 MiB.
 *
 * @throws ERR_USAGE for what needs all weights at once; ERR_NOT_FINITE, ERR_ABORTED, what `checkOutput` throws
 */
export async function pruneLarge(
  spec: Omit<PruneRun, "makeReport" | "resume">,
  large: LargeOnnx,
): Promise<PruneDocument> {
  const { settings, outputs, session } = spec;
  const { now } = session.context();
  const started = now();
  const { sparsity } = assertFits(settings, large);
  if (outputs.report !== undefined) throw tooLargeFor({ path: large.path, what: "a report" });
  if (outputs.form !== "onnx") throw tooLargeFor({ path: large.path, what: "another format" });
  for (const { name, reason } of large.dense) {
    const message = `'${name}' stays dense: ${reason}`;
    session.onEvent({ type: "note", level: "info", code: "kept-dense", message });
  }
  const copies = await checkPlaces(large, outputs);
  const { pruned, dense } = denseAmong(large.weights, settings.keepDense, large.path);
  const weights = large.weights.filter(({ name }) => pruned.includes(name));
  if (weights.length === 0) throw keepsAll(large.path);
  const other = weights.find(({ dtype }) => !(dtype in elementBytes));
  if (other) throw tooLargeFor({ path: large.path, what: `'${other.name}' of type ${other.dtype}` });
  const shared = weights.find(({ name }) => large.overlapping.has(name));
  if (shared)
    throw tooLargeFor({ path: large.path, what: `'${shared.name}', which shares its bytes with another tensor,` });
  const prunable = weights.reduce((sum, { size }) => sum + size, 0);
  const stated = await statedOfModel(large.path, large.model.metadata);
  const { kept: preprocess } = await settlePreprocessing({
    ...{ asked: { ...settings.preprocess, normalize: settings.normalize }, stated, data: settings.data, cwd: spec.cwd },
  });
  const recipe = portableRecipe(recipeOf({ ...spec, preprocess }, large), outputs.recipe);
  const { labels } = stated;
  const entries = statedMetadata({
    ...(preprocess ? { preprocessing: preprocess } : {}),
    ...(labels ? { labels } : {}),
  });
  const made = [
    { to: outputs.out, content: withOnnxMetadata(large.bytes, entries, large.path) },
    { to: outputs.recipe, content: `${JSON.stringify(recipe, null, 2)}\n` },
  ];
  const files: WriteSpec = { copies, made, signal: session.signal };
  const { layers, objective } = settings.layers
    ? await byLayers(spec, large, { weights, files, stated })
    : await byMagnitude(weights, files, keptCount(prunable, sparsity));
  await settleCopies(placesOf(outputs, copies), { compress: false, overwrite: true });
  const nonzeros = layers.reduce((sum, layer) => sum + layer.nonzeros, 0);
  const kept = layers.reduce((sum, layer) => sum + layer.kept, 0);
  const totalMs = now() - started;
  const times = { gradientMs: 0, solveMs: totalMs };
  const unprunable = large.dense.map(({ name, reason }) => ({ weight: name, reason }));
  return {
    ...{ sparsity: 1 - kept / prunable, nonzeros, prunable, objective, layers },
    ...(dense.length === 0 ? {} : { keptDense: dense }),
    ...(unprunable.length === 0 ? {} : { unprunable }),
    stages: [
      {
        sparsity: 1 - kept / prunable,
        objective,
        nonzeros,
        status: "exact",
        retrainMs: 0,
        stats: {},
        taken: "step",
        ...times,
      },
    ],
    timing: { ...times, measureMs: 0, totalMs },
    ...{ notes: [], peakMemoryBytes: peakMemoryBytes(), solver: recipe.solver, seed: recipe.seed, recipe },
    ...{ versions: recipe.versions, out: outputs.out },
  };
}

/** What was done: lines of the document, and what it cost in the method's own measure. */
interface Done {
  readonly layers: PruneDocument["layers"];
  readonly objective: number;
}

async function byMagnitude(weights: readonly DistantWeight[], files: WriteSpec, keep: number): Promise<Done> {
  const found = await writePruned(files, weights, await thresholdOf(weights, keep, files.signal));
  const layers = weights.map((weight) => {
    const { kept, nonzeros } = found.get(weight)!;
    return { name: weight.name, shape: weight.shape, size: weight.size, kept, nonzeros };
  });
  return { layers, objective: [...found.values()].reduce((sum, weight) => sum + weight.objective, 0) };
}

async function byLayers(
  spec: Parameters<typeof pruneLargeLayers>[0],
  large: LargeOnnx,
  at: { weights: readonly DistantWeight[]; files: WriteSpec; stated: StatedOfModel },
): Promise<Done> {
  const result = await pruneLargeLayers(spec, large, at);
  const layers = at.weights.map((weight) => layerOfDocument(weight, result.layers));
  const errors = result.layers.map(({ relativeError }) => relativeError);
  return { layers, objective: errors.reduce((sum, error) => sum + error, 0) / Math.max(1, errors.length) };
}

/** The sparsity, where nothing else was asked for that does not fit. */
function assertFits(settings: PruneSettings, { path }: LargeOnnx): { readonly sparsity: number } {
  const refuse = (what: string): never => {
    throw tooLargeFor({ path, what });
  };
  const { found, data, retrain, layers, allocation, limits, sparsity, plan } = settings;
  if (found.entry.name !== "magnitude" && !layers) refuse(`--solver ${found.entry.name}`);
  if (data !== undefined && !layers) refuse("measuring with --data");
  if (retrain) refuse("--retrain");
  if (layers) assertLayersFit(settings, path);
  if (allocation) refuse("an allocation");
  for (const [flag, given] of [
    ["--cut", settings.cut],
    ["--task", settings.task],
    ["--arch", settings.arch !== undefined && settings.arch !== onnxArchitecture],
    ["--engine", settings.engine],
    ["--include-frozen", settings.includeFrozen],
    ["--input-shape", settings.inputs.inputShape?.length],
    ["--fix", settings.inputs.fix?.length],
    ["--reestimate-batch-norm", asksForMeasuring(settings.batchNorm.when)],
    ["--curvature-option", Object.keys(settings.curvatureOptions).length],
  ] as const) {
    if (given) refuse(flag);
  }
  if (Object.values(limits).some((limit) => limit !== undefined))
    refuse("a limit on other things than the number of weights");
  if ((plan.stages ?? 1) > 1) refuse("pruning in several stages");
  return { sparsity: sparsity ?? (layers ? 0 : refuse("a run without a --sparsity")) };
}

/** The copies to make: data keep their names beside the output. */
async function checkPlaces({ path, locations }: LargeOnnx, outputs: PruneRun["outputs"]): Promise<readonly FileCopy[]> {
  for (const place of [outputs.out, outputs.recipe]) await checkOutput(place, outputs);
  const copies = locations.map((location) => ({
    location,
    from: join(dirname(path), location),
    to: join(dirname(outputs.out), location),
  }));
  for (const { location, from, to } of copies) {
    await makeFolder(dirname(to));
    if (existsSync(to) && realpathSync(to) === realpathSync(from)) throw ownData({ path, location });
    await checkOutput(to, outputs);
  }
  await checkCopies(
    placesOf(outputs, copies).map(([place]) => place),
    outputs,
  );
  return copies;
}

/** Files that a host may send a compressed copy of; what is in them does not matter where none is made. */
function placesOf({ out }: PruneRun["outputs"], copies: readonly FileCopy[]): readonly EncodedFile[] {
  return [out, ...copies.map(({ to }) => to)].map((place) => [place, new Uint8Array()]);
}

function recipeOf(
  {
    settings,
    session,
    preprocess,
  }: Pick<PruneRun, "settings" | "session"> & { readonly preprocess: Recipe["preprocess"] | undefined },
  large: LargeOnnx,
): Recipe {
  const { found, options, keepDense, plan, seed, sparsity, data, normalize, layers } = settings;
  return {
    ...{ recipe: 1, model: large.path, modelSha256: large.sha256, arch: onnxArchitecture },
    ...{ solver: found.entry.name, options },
    ...(sparsity === undefined ? {} : { sparsity }),
    ...(data === undefined ? {} : { data }),
    ...(normalize === undefined ? {} : { normalize }),
    ...(preprocess === undefined ? {} : { preprocess }),
    ...(layers === undefined ? {} : { layers }),
    ...(keepDense.length === 0 ? {} : { keepDense }),
    ...{ plan, seed, kernels: session.kernelChoice, backend: session.kernels.name, versions: versions([found]) },
  };
}
