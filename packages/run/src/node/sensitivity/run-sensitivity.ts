/** Which layers stand pruning least: one set of gradients, layers pruned one at a time, a proposal of what to keep dense. */
import {
  createRng,
  type Dataset,
  type Evaluation,
  type FlatParam,
  gainOver,
  isPruneError,
  keptCount,
  layoutParams,
  type MeasuredValue,
  mainMeasure,
  type RunContext,
  readFlat,
  sampleIndices,
  subset,
} from "@secateur/core";
import { badUsage, flagWithoutEffect, keepsNothing, noGradients } from "../../errors.ts";
import type { FoundEntry, SolverEntry } from "../../plugins/found-entry.ts";
import { resolveOptions } from "../../plugins/resolve-options.ts";
import type { ReestimateTime } from "../../prune/augmentation.ts";
import { poseTask } from "../../prune/pose-task.ts";
import type { NetworkGradients } from "../../sensitivity/network-gradients.ts";
import { costlyLayers, sensitiveLayers } from "../../sensitivity/propose-dense.ts";
import {
  type FailedLayer,
  gradientPruner,
  pruneAndMeasure,
  type ScanSpec,
  scanLayers,
} from "../../sensitivity/scan-layers.ts";
import type { Proposal, SensitivityDocument } from "../../sensitivity/sensitivity-document.ts";
import type { Session } from "../../session.ts";
import { peakMemoryBytes } from "../memory.ts";
import {
  asksForMatching,
  batchNormOfModel,
  chosenDense,
  noteCorrected,
  remeasuringModel,
} from "../open/any-model-settings.ts";
import type { EngineChoice } from "../open/load-tensorflow.ts";
import { type AnyModel, openAnyModel } from "../open/open-any-model.ts";
import { openData } from "../open/open-data.ts";
import { findSolver } from "../plugins/find-solver.ts";
import { findTask } from "../plugins/find-task.ts";
import { versions } from "../versions.ts";
import { takeGradients } from "./layer-problem.ts";
import { layerPruner } from "./layer-pruner.ts";

/** What is taken where a flag is left out. */
export const sensitivityDefaults = {
  solver: "woodfisher",
  sparsity: 0.9,
  sparsities: [0.5, 0.8, 0.9, 0.95],
  tolerance: 1,
  examples: 1000,
  heldOut: 5000,
} as const;

/** What to scan; what is left out is taken from {@link sensitivityDefaults}. */
export interface SensitivitySpec {
  /** Absolute path of the model. */
  readonly path: string;
  readonly arch: string | undefined;
  /** Of a TensorFlow.js model; default: the fastest that works. */
  readonly engine?: EngineChoice | undefined;
  /** The DATA argument with absolute paths. */
  readonly data: string;
  readonly normalize: string | undefined;
  /** The text of --preprocess. */
  readonly preprocess: string | undefined;
  /** NAME or NAME:KEY=VALUE,...; default: told from the model and the data. */
  readonly task: string | undefined;
  /** Name of the method. */
  readonly solver: string | undefined;
  /** Where layers are judged. */
  readonly sparsity: number | undefined;
  readonly sparsities: readonly number[] | undefined;
  /** What a layer may cost: points of a measure in percent, else in its unit; default: one point, or a hundredth of what it is before. */
  readonly tolerance: number | undefined;
  /** Gradient rows, and training examples that are measured; apart from each other. */
  readonly examples: number | undefined;
  readonly heldOut: number | undefined;
  readonly ridge: number | "auto" | undefined;
  /** When statistics of batch normalisation are measured anew; default: where the network has any, before and after a layer is pruned. */
  readonly reestimateBatchNorm?: ReestimateTime | undefined;
  /** The folder from which plugins are looked for. */
  readonly cwd: string;
  readonly session: Session;
  /** Measures pruned layers somewhere else; default: here, one after the other. */
  readonly elsewhere?: ScanElsewhere | undefined;
}

/** Where layers are pruned and measured, if not here. */
export interface ScanElsewhere {
  /** Hands all layers out. @returns what {@link ScanSpec} has */
  open(start: OpenedScan): Promise<NonNullable<ScanSpec["elsewhere"]>>;
  /** Waits for what still runs: jobs in this thread use the opened model. */
  close(): Promise<void>;
}

/** What a scan starts from: the model and data, gradients, and how the dense network does. */
export interface OpenedScan {
  readonly found: FoundEntry<SolverEntry>;
  readonly opened: AnyModel;
  readonly params: readonly FlatParam[];
  readonly sparsities: readonly number[];
  readonly dense: Evaluation;
  /** Whether `dense` is under statistics of batch normalisation that were measured anew. */
  readonly isRemeasured: boolean;
  readonly rows: number;
  readonly gradients: NetworkGradients | undefined;
  readonly scan: ScanSpec;
}

/** Opens model and data and takes the gradients; whoever asked closes `opened`. @throws whatever is wrong with the input */
export async function openScan(spec: SensitivitySpec): Promise<OpenedScan> {
  const { path, arch, engine, cwd, session } = spec;
  const corrects = asksForMatching(spec.reestimateBatchNorm);
  const opened = await openAnyModel({ path, arch, engine, corrects, cwd, untie: true, onEvent: session.onEvent });
  try {
    return await scanOf(opened, spec);
  } catch (error) {
    opened.close();
    throw error;
  }
}

async function scanOf(opened: AnyModel, spec: SensitivitySpec): Promise<OpenedScan> {
  const { path, data: source, cwd, session } = spec;
  const { sparsity = sensitivityDefaults.sparsity } = spec;
  const found = await findSolver(spec.solver ?? sensitivityDefaults.solver, cwd);
  const solver = found.entry.create((await resolveOptions(found.entry, {})) as never);
  const isLayerwise = solver.scope === "layers";
  if (isLayerwise && spec.ridge !== undefined) {
    throw flagWithoutEffect({ flag: "--ridge", reason: `${found.entry.name} takes no gradients` });
  }
  const { onEvent } = session;
  const { network } = opened;
  const { normalize } = spec;
  const named = spec.task === undefined ? undefined : (await findTask(spec.task, cwd)).task;
  const data = await openData({
    data: source,
    ...{ normalize, preprocess: { text: spec.preprocess }, stated: opened.stated },
    task: named ?? opened.own?.trainedFor,
    classes: opened.classes,
    network: opened.spec,
    inputs: network.inputs,
    onEvent,
    cwd,
  });
  const { forGradients, heldOut } = splitTraining(data.train, spec);
  const ctx = session.context();
  const params = layoutParams(network, chosenDense(opened, []).pruned);
  const weights = await readFlat(network, params);
  const sparsities = [...new Set([...(spec.sparsities ?? sensitivityDefaults.sparsities), sparsity])].sort(
    (a, b) => a - b,
  );
  assertKeepsSome({ path, params, sparsities: spec.sparsities ?? [] });
  noteSkipped({ params, sparsities, onEvent });
  const { reestimateBatchNorm: when } = spec;
  const settings = batchNormOfModel(opened, when === undefined ? {} : { when });
  if (settings) noteCorrected(opened, session);
  // The examples that are measured decide nothing.
  const seen = { ...data, train: forGradients, test: heldOut };
  const measurements = remeasuringModel({ model: opened, data: seen, settings, session });
  const isRemeasured = await measurements.before();
  const posed = await poseTask({ network, data: seen, named, session });
  await measurements.judgeBy(posed);
  const { task } = posed;
  const dense = await posed.evaluate(network, ctx);
  const rows = forGradients.size;
  const ridge = spec.ridge ?? "auto";
  const gradients = isLayerwise
    ? undefined
    : await takeGradients(
        { network, params, weights, data: await posed.withTeacher(forGradients), task, rows, ridge },
        ctx,
      );
  if (gradients?.ridge === 0 && ridge === "auto") throw noGradients(path);
  const pruner = gradients
    ? gradientPruner(solver, gradients)
    : layerPruner({ network, solver, params, weights, data: forGradients });
  const { recalibrate, restore } = measurements;
  const scan: ScanSpec = { network, pruner, recalibrate, restore, evaluate: (inner) => posed.evaluate(network, inner) };
  return { found, opened, params, sparsities, dense, isRemeasured, rows, gradients, scan };
}

/**
 * Takes one set of gradients, prunes every layer alone at every sparsity, and tries the sensitive ones as dense. A layer that
 * fails, or an interrupt, costs no other its result.
 *
 * @throws whatever is wrong with the input; the first layer's error, or ERR_ABORTED, where nothing was found
 */
export async function runSensitivity(spec: SensitivitySpec): Promise<SensitivityDocument> {
  const ctx = spec.session.context();
  const started = ctx.now();
  const start = await openScan(spec);
  try {
    const elsewhere = await spec.elsewhere?.open(start);
    const scan: ScanSpec = { ...start.scan, ...(elsewhere ? { elsewhere } : {}) };
    return await runScan({ ...start, scan }, { ...spec, started }, ctx);
  } finally {
    await spec.elsewhere?.close();
    start.opened.close();
  }
}

async function runScan(
  start: OpenedScan,
  spec: SensitivitySpec & { readonly started: number },
  ctx: RunContext,
): Promise<SensitivityDocument> {
  const { path, data: source, session, started } = spec;
  const { sparsity = sensitivityDefaults.sparsity } = spec;
  const { onEvent } = session;
  const { found, opened, sparsities, dense, isRemeasured, rows, gradients, scan } = start;
  const measure = mainMeasure(dense);
  const tolerance = spec.tolerance ?? usualTolerance(measure);
  const onFailure = ({ layer, sparsity: at, message: why }: FailedLayer): void => {
    onEvent({ type: "note", level: "warn", code: "layer-failed", message: `${layer} at ${at} failed: ${why}` });
  };
  const scanned = await scanLayers({ ...scan, sparsities, onFailure }, ctx);
  const { layers } = scanned;
  const judged = { scans: layers, dense: measure, target: sparsity, tolerance };
  const candidates = sensitiveLayers(judged).map(({ name }) => name);
  const common = { sparsity, tolerance, candidates };
  let { isInterrupted } = scanned;
  const failed = [...scanned.failed];
  let proposal: Proposal;
  try {
    proposal = isInterrupted
      ? undecided(common, "the scan was interrupted before the last layer")
      : await tryDense({ scan, ...common, costly: costlyLayers(judged).map(({ name }) => name), measure }, ctx);
  } catch (error) {
    if (!isPruneError(error)) throw error;
    isInterrupted = error.code === "ERR_ABORTED";
    proposal = undecided(common, `trying ${candidates.join(", ")} as dense ended early: ${error.message}`);
    if (!isInterrupted) {
      failed.push({ layer: candidates.join(", "), sparsity, code: error.code, message: error.message });
    }
  }
  return {
    ...{
      model: path,
      modelSha256: opened.sha256,
      arch: opened.arch,
      data: source,
      solver: found.entry.name,
      dense,
      ...(isRemeasured ? { remeasured: true as const } : {}),
    },
    gradients: { examples: rows, ridge: gradients?.ridge ?? 0, gradientMs: gradients?.gradientMs ?? 0 },
    ...{ measure, layers, ...(failed.length === 0 ? {} : { failed }) },
    ...(isInterrupted ? { interrupted: true as const } : {}),
    ...{ proposal, seed: session.seed, backend: session.kernels.name },
    timing: { gradientMs: gradients?.gradientMs ?? 0, totalMs: ctx.now() - started },
    peakMemoryBytes: peakMemoryBytes(),
    versions: versions([found, ...opened.packages]),
  };
}

/** A point of what is measured in percent; a hundredth of the value before of anything else. */
function usualTolerance({ unit, value }: MeasuredValue): number {
  return unit === "%" ? sensitivityDefaults.tolerance : (sensitivityDefaults.tolerance / 100) * Math.abs(value);
}

/** Draws the examples that give gradients and, apart from them, the examples that are measured: never the test split. */
function splitTraining(
  train: Dataset,
  { examples, heldOut, session }: SensitivitySpec,
): { forGradients: Dataset; heldOut: Dataset } {
  const half = Math.floor(train.size / 2);
  const rows = examples ?? Math.min(sensitivityDefaults.examples, half);
  const measured = heldOut ?? Math.min(sensitivityDefaults.heldOut, train.size - rows);
  if (rows + measured > train.size || measured < 1 || rows < 1) {
    throw badUsage(
      `--examples ${rows} and --held-out ${measured} need ${rows + measured} training examples and there are ${train.size}; lower one of them`,
      { rows, measured, size: train.size },
    );
  }
  const order = sampleIndices(train.size, rows + measured, createRng(session.seed).fork("sensitivity split"));
  const side = (positions: Uint32Array) => subset(train, positions.slice().sort());
  return { forGradients: side(order.subarray(0, rows)), heldOut: side(order.subarray(rows)) };
}

/** Sparsities that nobody asked for leave out the layers that would keep no weight. */
function noteSkipped(spec: {
  params: readonly { name: string; size: number }[];
  sparsities: readonly number[];
  onEvent: Session["onEvent"];
}): void {
  const skipped = spec.params.flatMap(({ name, size }) => {
    const empty = spec.sparsities.filter((sparsity) => keptCount(size, sparsity) === 0);
    return empty.length === 0 ? [] : [`${name} at ${empty.join(" and ")}`];
  });
  if (skipped.length === 0) return;
  const message = `not tried, since no weight would be left: ${skipped.join(", ")}`;
  spec.onEvent({ type: "note", level: "info", code: "layer-skipped", message });
}

function assertKeepsSome(spec: {
  path: string;
  params: readonly { name: string; size: number }[];
  sparsities: readonly number[];
}): void {
  const { path, params, sparsities } = spec;
  for (const { name, size } of params) {
    for (const sparsity of sparsities) {
      if (keptCount(size, sparsity) === 0) throw keepsNothing({ where: `${path}: layer ${name}`, sparsity, size });
    }
  }
}

function undecided(common: Pick<Proposal, "sparsity" | "tolerance" | "candidates">, reason: string): Proposal {
  return { ...common, keepDense: [], undecided: true, reason };
}

/** Tries the candidates as dense, with as many weights in all, and proposes them only if that is better. */
async function tryDense(
  spec: {
    scan: ScanSpec;
    candidates: readonly string[];
    /** Those that cost more than the tolerance, whether the budget has room for them or not. */
    costly: readonly string[];
    sparsity: number;
    tolerance: number;
    measure: MeasuredValue;
  },
  ctx: RunContext,
): Promise<Proposal> {
  const { scan, candidates, costly, sparsity, tolerance, measure } = spec;
  const { name, better } = measure;
  const { params, weights } = scan.pruner;
  const common = { sparsity, tolerance, candidates };
  if (candidates.length === 0) {
    const amount = `${Number(tolerance.toPrecision(3))}${measure.unit === "%" ? " points" : ""} of ${name}`;
    const reason =
      costly.length === 0
        ? `no layer costs more than ${amount} when it alone is pruned to ${sparsity}`
        : `${costly.join(", ")} cost${costly.length === 1 ? "s" : ""} more than ${amount} alone, but dense would take more than half of the weights that are kept`;
    return { ...common, keepDense: [], reason };
  }
  const keep = keptCount(weights.length, sparsity);
  const names = params.map((param) => param.name);
  const others = params.filter((param) => !candidates.includes(param.name));
  const denseWeights = weights.length - others.reduce((sum, { size }) => sum + size, 0);
  const all = mainMeasure(await pruneAndMeasure({ ...scan, names, keep }, ctx)).value;
  const kept = mainMeasure(
    await pruneAndMeasure({ ...scan, names: others.map((param) => param.name), keep: keep - denseWeights }, ctx),
  ).value;
  const accuracies = name === "accuracy" ? { accuracyAll: all, accuracyKept: kept } : {};
  const measured = { ...common, valueAll: all, valueKept: kept, ...accuracies };
  if (!(gainOver(all, { value: kept, better }) > 0)) {
    const reason = `keeping ${candidates.join(", ")} dense makes the others sparser, and the whole network is no better for it`;
    return { ...measured, keepDense: [], reason };
  }
  const reason = `with as many weights in all, the whole network is better with ${candidates.join(", ")} dense`;
  return { ...measured, keepDense: candidates, flag: excluding(candidates), reason };
}

/** --exclude counts dense weights as kept, as the comparison does; --keep-dense would keep them on top of the budget. */
function excluding(names: readonly string[]): string {
  return names.map((name) => `--exclude ${name}`).join(" ");
}
