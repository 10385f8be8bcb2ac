/** `secateur pack`: a model into one small file that @secateur/runtime loads. */
import { chooseTask, countZeros, type Evaluation } from "@secateur/core";
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import {
  type CostTable,
  encodePacked,
  type PackedLayer,
  type PackedValues,
  type PackGraph,
  packGraph,
} from "@secateur/runtime/pack";
import { badUsage, maxLossWithoutAccuracy, packedLossTooLarge } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { brotli, type CompressedCopy, checkCopies, settleCopies } from "../export/compressed-copies.ts";
import type { InputChoices } from "../open/input-choices.ts";
import { openData } from "../open/open-data.ts";
import { findTask } from "../plugins/find-task.ts";
import { statedOfModel } from "../preprocessing/beside-model.ts";
import { statedMetadata } from "../preprocessing/preprocessing.ts";
import { openPackable, type Packable } from "./open-packable.ts";
import { packedAccuracy, taughtByPacked } from "./packed-accuracy.ts";

/** What `secateur pack` is told. Paths are absolute. */
export interface PackSettings {
  readonly model: string;
  readonly out: string;
  readonly arch?: string | undefined;
  /** Of an ONNX model: what is settled of its inputs. */
  readonly inputs?: InputChoices | undefined;
  /** Default int8. */
  readonly values?: PackedValues | undefined;
  /** Points of accuracy that storing values may cost at most. */
  readonly maxLoss?: number | undefined;
  readonly data?: string | undefined;
  readonly normalize?: string | undefined;
  /** The text of --preprocess. */
  readonly preprocess?: string | undefined;
  /** NAME or NAME:KEY=VALUE,...; absent: told from the model and the data. */
  readonly task?: string | undefined;
  /** The network before pruning, to compare bytes with. */
  readonly dense?: string | undefined;
  readonly overwrite: boolean;
  /** Also writes a copy compressed by brotli. */
  readonly compress?: boolean;
  /** The folder from which plugins are looked for. */
  readonly cwd: string;
  readonly costs?: CostTable | undefined;
}

/** Bytes of a network, stored in several ways. */
export interface PackedBytes {
  /** The packed file with nothing compressed, with gzip inside (as it is written), and compressed by brotli. */
  readonly raw: number;
  readonly gzip: number;
  readonly brotli: number;
  /** All weights in four bytes, and in one (a scale an output) compressed by brotli; of `--dense` where it is given, else with zeros in place. */
  readonly denseF32: number;
  readonly denseInt8Brotli: number;
}

/** What `secateur pack --json` prints. */
export interface PackDocument {
  readonly file: string;
  readonly values: PackedValues;
  readonly weights: number;
  readonly nonzeros: number;
  readonly bytes: PackedBytes;
  readonly layers: readonly PackedLayer[];
  readonly expectedMs: number;
  readonly denseMs: number;
  /** With `compress`. */
  readonly copies?: readonly CompressedCopy[];
  /** Before: values as they are in the model; after: as they are in the file. Where data are given. */
  readonly accuracy?: {
    readonly before: Evaluation;
    readonly after: Evaluation;
    readonly dense?: Evaluation;
    /** Without labels: whose outputs the others are compared with. */
    readonly teacher?: "dense" | "model";
  };
}

/**
 * Packs a model and writes the file, whole or not at all.
 *
 * @throws ERR_PACK_LOSS where storing the values costs more accuracy than allowed; ERR_USAGE; what opening models and data throws
 */
export async function runPack(settings: PackSettings, session: Session): Promise<PackDocument> {
  const { out, values = "int8", maxLoss, overwrite, compress = false } = settings;
  if (!out.endsWith(".secateur")) throw badUsage(`--out: '${out}' has to end in .secateur`, { out });
  if (maxLoss !== undefined && settings.data === undefined)
    throw badUsage("--max-loss needs --data: a loss is measured on data");
  await checkOutput(out, { overwrite });
  await checkCopies([out], { overwrite });
  const open = (path: string): Promise<Packable> =>
    openPackable({ path, arch: settings.arch, inputs: settings.inputs, onEvent: session.onEvent });
  const model = await open(settings.model);
  const dense = settings.dense === undefined ? undefined : await open(settings.dense);
  const { graph, spec } = model;
  if (dense) assertSameNetwork(graph, dense.graph, settings.dense!);
  if (dense && zerosIn(dense.graph) > zerosIn(graph)) {
    const message = `--dense ${settings.dense} has more zeros than ${settings.model}: it looks like the network after pruning; MODEL is that one, and --dense the one before`;
    session.onEvent({ type: "note", level: "warn", code: "dense-sparser", message });
  }
  const named = settings.task === undefined ? undefined : (await findTask(settings.task, settings.cwd)).task;
  const stated = await statedOfModel(settings.model, model.metadata);
  const data =
    settings.data === undefined
      ? undefined
      : await openData({
          data: settings.data,
          ...{ normalize: settings.normalize, preprocess: { text: settings.preprocess }, stated },
          task: named ?? model.trainedFor,
          classes: spec?.classes,
          network: spec,
          inputs: graph.inputs,
          onEvent: session.onEvent,
          cwd: settings.cwd,
        });
  const metadata = {
    ...{ ...model.metadata, ...statedMetadata(data?.stated ?? stated) },
    ...(data ? { normalisation: data.normalisation } : {}),
  };
  const costs = settings.costs ? { costs: settings.costs } : {};
  const measure = async ({ name, outputs }: Packable, bytes: Uint8Array): Promise<Evaluation | undefined> => {
    if (!data) return undefined;
    const { trainedFor } = model;
    const told = { outputs, ...(trainedFor ? { taskFor: () => trainedFor } : {}) };
    const task = named ?? chooseTask({ model: told, data: data.test });
    // Without labels the network before anything was lost is the teacher.
    const teacher = async () => ({ name, bytes: await encodePacked((dense ?? model).graph) });
    const taught = await taughtByPacked(teacher, { data: data.test, task }, session.context());
    return await packedAccuracy({ name, bytes, data: taught, task }, session.context());
  };
  const isTaught = data && !data.test.targets;
  const teacher = isTaught ? ({ teacher: dense ? "dense" : "model" } as const) : {};
  const before = await measure(model, await encodePacked(graph));
  const denseAccuracy = dense && (await measure(dense, await encodePacked(dense.graph)));
  let written: Readonly<Record<string, unknown>> = metadata;
  let packed = await packGraph(graph, { values, metadata: written, ...costs });
  const after = await measure(model, packed.bytes);
  if (before && after) {
    const lost = before.accuracy - after.accuracy;
    if (maxLoss !== undefined && Number.isNaN(lost)) throw maxLossWithoutAccuracy(after.task);
    if (maxLoss !== undefined && lost > maxLoss) throw packedLossTooLarge({ values, lost, allowed: maxLoss });
    written = { ...metadata, accuracy: after };
    packed = await packGraph(graph, { values, metadata: written, ...costs });
  }
  await writeFileAtomic(out, packed.bytes, { overwrite, signal: session.signal });
  const { layers } = packed;
  const raw = await encodePacked(packed.graph, { values, metadata: written, compression: "none" });
  const copies = await settleCopies([[out, raw]], { compress, overwrite, signal: session.signal });
  const bytes = await measureBytes({ raw, gzip: packed.bytes.length, dense: dense?.graph ?? packed.graph });
  if (bytes.gzip > Math.max(bytes.denseInt8Brotli, noticedBytes)) {
    const message = `${out}: its ${bytes.gzip} bytes are more than the ${bytes.denseInt8Brotli} of 8-bit weights ${dense ? "before pruning" : "with their zeros in place"}, compressed by brotli: this file saves work, not bytes; a higher sparsity, or compressing the file as it is sent, saves both`;
    session.onEvent({ type: "note", level: "info", code: "packed-size", message });
  }
  const weights = weightsOf(packed.graph);
  const total = (of: (layer: PackedLayer) => number): number => layers.reduce((sum, layer) => sum + of(layer), 0);
  return {
    file: out,
    values,
    weights: weights.reduce((sum, { length }) => sum + length, 0),
    nonzeros: weights.reduce((sum, data) => sum + data.length - countZeros(data), 0),
    bytes,
    layers,
    expectedMs: total((layer) => layer.expectedMs),
    denseMs: total((layer) => layer.denseMs),
    ...copies,
    ...(before && after
      ? { accuracy: { before, after, ...(denseAccuracy ? { dense: denseAccuracy } : {}), ...teacher } }
      : {}),
  };
}

/** Of every layer, those that several share, such as the steps of a recurrent one, once. */
function weightsOf({ operators, tensors }: PackGraph): readonly Float32Array[] {
  const products = operators.filter(({ op }) => op === "Conv" || op === "Gemm");
  return [...new Set(products.map((operator) => operator.tensors[0]!))].map((name) => tensors.get(name)!.data);
}

/** Smaller files are mostly their headers, and travel in one piece however they are stored. */
const noticedBytes = 4096;

async function measureBytes({
  raw,
  gzip,
  dense,
}: {
  readonly raw: Uint8Array;
  readonly gzip: number;
  readonly dense: PackGraph;
}): Promise<PackedBytes> {
  const int8 = await encodePacked(dense, { values: "int8", masks: false, compression: "none" });
  // Constants of the graph's arithmetic, such as masks of its fixed shapes, are no weights of the network before.
  const stored = [...dense.tensors.values()].filter(({ exact }) => !exact);
  const numbers = stored.reduce((sum, { data }) => sum + data.length, 0);
  return {
    raw: raw.length,
    gzip,
    brotli: (await brotli(raw)).length,
    denseF32: 4 * numbers,
    denseInt8Brotli: (await brotli(int8)).length,
  };
}

function zerosIn({ tensors }: PackGraph): number {
  return [...tensors.values()].reduce((sum, { data }) => sum + countZeros(data), 0);
}

/** The network before pruning has the tensors of the pruned one, with other numbers. @throws ERR_USAGE */
function assertSameNetwork(pruned: PackGraph, dense: PackGraph, path: string): void {
  const shapes = ({ tensors }: PackGraph) =>
    [...tensors].map(([name, { dims }]) => `${name} [${dims.join(", ")}]`).sort();
  const [own, others] = [shapes(pruned), shapes(dense)];
  const missing = own.find((one) => !others.includes(one));
  if (missing === undefined && own.length === others.length) return;
  throw badUsage(
    `--dense: ${path} is another network: ${missing === undefined ? "it has more tensors" : `it has no ${missing}`}; give the one before pruning`,
    { path },
  );
}
