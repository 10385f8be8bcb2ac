/**
 * Pruning layer by layer of a model that is never in memory: each layer is read from the copy that becomes the output, solved from the inputs that the
 * layers before it give as they are by then, and written back.
 */
import type { PrunedLayer } from "@secateur/core";
import { activations } from "@secateur/fisher";
import { assertKnownOperators, createGraphModel } from "@secateur/graph";
import { type PruneLayersResult, pruneLayers } from "@secateur/solvers-layerwise";
import { tooLargeFor } from "../../errors.ts";
import { openData } from "../open/open-data.ts";
import type { StatedOfModel } from "../preprocessing/preprocessing.ts";
import type { PruneRun } from "../prune/measured-run.ts";
import type { PruneDocument } from "../prune/prune-document.ts";
import type { PruneSettings } from "../prune/prune-settings.ts";
import type { DistantWeight, LargeOnnx } from "./large-onnx.ts";
import { streamedGraph } from "./streamed-graph.ts";
import { changedCopies, type WriteSpec } from "./write-pruned.ts";

/** Calibration examples where nothing is said: those of layer-wise runs of other models are more, which are in memory anyway. */
const usualExamples = 128;

/**
 * Prunes copies of the data in place, which appear when all layers are solved. Time: a pass over the calibration examples, in which every weight is read
 * for each batch, and a solve a layer. Memory: one layer and its problem, tables such as embeddings, a byte a weight for the masks, and
 * the values of the waiting examples.
 *
 * @throws ERR_USAGE, what `openData` and `pruneLayers` throw; then nothing is written
 */
export async function pruneLargeLayers(
  { settings, session, cwd }: Omit<PruneRun, "makeReport" | "resume">,
  large: LargeOnnx,
  { weights, files, stated }: { weights: readonly DistantWeight[]; files: WriteSpec; stated: StatedOfModel },
): Promise<PruneLayersResult> {
  const { layers = {}, data: source, normalize, sparsity = 0, solver } = settings;
  const { pattern, damping, examples = usualExamples } = layers;
  const { model: file, path } = large;
  let placeOf = (place: string): string => place;
  const graph = streamedGraph(file.graph, path, (place) => placeOf(place));
  const model = createGraphModel({ graph, opsets: file.opsets, name: path });
  assertKnownOperators(model, "pruning it layer by layer");
  const { train } = await openData({
    ...{
      data: source!,
      normalize,
      preprocess: settings.preprocess,
      stated,
      classes: undefined,
      inputs: model.inputs,
      onEvent: session.onEvent,
      cwd,
    },
  });
  // What does not go together is told before anything is copied.
  await model.flops(train);
  return await changedCopies(files, async (copyOf) => {
    placeOf = copyOf;
    return await pruneLayers(
      {
        ...{ model, data: train, solver, curvature: activations({ damping }), sparsity, examples },
        ...{ params: weights.map(({ name }) => name), inputs: "sequential", match: "own", offsets: "none" },
        ...(pattern ? { pattern } : { allocation: "uniform" }),
      },
      session.context(),
    );
  });
}

/** What needs more than a layer at a time is refused. @throws ERR_USAGE */
export function assertLayersFit({ layers = {}, data, sparsity }: PruneSettings, path: string): void {
  const refuse = (what: string): never => {
    throw tooLargeFor({ path, what });
  };
  if (data === undefined) refuse("pruning layer by layer without --data");
  if (layers.inputs === "parallel") refuse("--inputs parallel");
  if (layers.match === "dense") refuse("--match dense");
  if (layers.refitBlocks) refuse("--refit-blocks");
  if (layers.biases === "fitted") refuse("--layer-biases fitted");
  if (layers.allocation !== undefined && layers.allocation !== "uniform")
    refuse(`--layer-allocation ${layers.allocation}`);
  if (sparsity === undefined && !layers.pattern) refuse("a run without a --sparsity");
}

/** One weight of several groups as one line of the document. */
export function layerOfDocument(
  { name, shape, size }: DistantWeight,
  solved: readonly PrunedLayer[],
): PruneDocument["layers"][number] {
  const own = solved.filter((layer) => layer.name === name);
  const kept = own.reduce((sum, { mask }) => sum + mask.reduce((total, bit) => total + bit, 0), 0);
  const nonzeros = own.reduce((sum, layer) => sum + layer.nonzeros, 0);
  const relativeError = own.reduce((sum, layer) => sum + layer.relativeError, 0) / Math.max(1, own.length);
  const solveMs = own.reduce((sum, layer) => sum + layer.solveMs, 0);
  return { name, shape, size, kept, nonzeros, relativeError, solveMs, status: own[0]?.status ?? "exact" };
}
