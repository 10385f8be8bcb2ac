/** One run of `secateur sensitivity`: one set of gradients, layers pruned one at a time, a proposal of what to keep dense. */
import {
  createRng,
  type Dataset,
  keptCount,
  layoutParams,
  type RunContext,
  readFlat,
  sampleIndices,
  subset,
} from "@secateur/core";
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { printResult } from "../commands/print-result.ts";
import { badUsage, keepsNothing, missingFlag } from "../errors.ts";
import { findSolver } from "../plugins/find-solver.ts";
import { resolveOptions } from "../prune/prune-settings.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { mapDataPaths } from "../run/data-spec.ts";
import { peakMemoryBytes } from "../run/memory.ts";
import { openData } from "../run/open-data.ts";
import { openModel } from "../run/open-model.ts";
import { type Session, type SessionFlags, withSession } from "../run/session.ts";
import { versions } from "../run/versions.ts";
import type { Terminal } from "../terminal.ts";
import { takeGradients } from "./layer-problem.ts";
import { sensitiveLayers } from "./propose-dense.ts";
import { pruneAndMeasure, type ScanSpec, scanLayers } from "./scan-layers.ts";
import type { Proposal, SensitivityDocument } from "./sensitivity-document.ts";
import { sensitivityText } from "./sensitivity-text.ts";

/** The flags of `secateur sensitivity` as commander hands them over. */
export interface SensitivityFlags extends SessionFlags {
  readonly arch?: string;
  readonly data?: string;
  readonly normalize?: string;
  readonly solver?: string;
  readonly sparsity?: number;
  readonly sparsities?: readonly number[];
  readonly tolerance?: number;
  readonly examples?: number;
  readonly heldOut?: number;
  readonly ridge?: number | "auto";
  readonly report?: string;
  readonly force?: boolean;
}

/** What is taken where a flag is left out. */
export const sensitivityDefaults = {
  solver: "woodfisher",
  sparsity: 0.9,
  sparsities: [0.5, 0.8, 0.9, 0.95],
  tolerance: 1,
  examples: 1000,
  heldOut: 5000,
} as const;

interface SensitivityCall {
  /** MODEL as typed. */
  readonly model: string;
  readonly flags: SensitivityFlags;
  readonly terminal: Terminal;
  /** As typed, for the report. */
  readonly argv: readonly string[];
}

/** Scans, proposes, prints, writes the report. @throws whatever is wrong with the input, ERR_ABORTED */
export async function runSensitivity(call: SensitivityCall): Promise<void> {
  const { flags, terminal, argv } = call;
  if (flags.data === undefined) {
    throw missingFlag("--data", "say what to prune and measure with, for example --data mnist");
  }
  const overwrite = flags.force === true;
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  if (report !== undefined) await checkOutput(report, { overwrite });
  if (report !== undefined && flags.events !== undefined && report === absolutePath(terminal, flags.events)) {
    throw badUsage(`${report}: two outputs would go there; give each its own name`);
  }
  const document = await withSession({ flags, terminal, overwrite }, (session) => scanInSession(call, session));
  if (report !== undefined) {
    const { sensitivityReport } = await import("../report/sensitivity-report.ts");
    await writeFileAtomic(report, await sensitivityReport({ document, argv }), { overwrite });
  }
  const wrote = report === undefined ? "" : `\nwrote ${report}\n`;
  printResult({ terminal, flags, document, text: () => `${sensitivityText(document)}${wrote}` });
}

async function scanInSession(call: SensitivityCall, session: Session): Promise<SensitivityDocument> {
  const { flags, terminal } = call;
  const { sparsity = sensitivityDefaults.sparsity, tolerance = sensitivityDefaults.tolerance } = flags;
  const path = absolutePath(terminal, call.model);
  const found = await findSolver(flags.solver ?? sensitivityDefaults.solver, terminal.cwd);
  const solver = found.entry.create((await resolveOptions(found.entry, {})) as never);
  const { onEvent } = session;
  const { network, architecture, sha256 } = await openModel({ path, arch: flags.arch, onEvent });
  const source = mapDataPaths(flags.data!, (file) => absolutePath(terminal, file));
  const { spec } = network;
  const { normalize } = flags;
  const data = await openData({ data: source, normalize, classes: spec.classes, network: spec, onEvent });
  const { forGradients, heldOut } = splitTraining(data.train, { flags, seed: session.seed });
  const ctx = session.context();
  const started = ctx.now();
  const params = layoutParams(network);
  const weights = await readFlat(network, params);
  const sparsities = [...new Set([...(flags.sparsities ?? sensitivityDefaults.sparsities), sparsity])].sort(
    (a, b) => a - b,
  );
  assertKeepsSome({ path, params, sparsities });
  const dense = await network.evaluate(heldOut, ctx);
  const rows = forGradients.size;
  const ridge = flags.ridge ?? "auto";
  const gradients = await takeGradients({ network, params, weights, data: forGradients, rows, ridge }, ctx);
  const scan: ScanSpec = { network, solver, gradients, heldOut };
  const layers = await scanLayers({ ...scan, sparsities }, ctx);
  const candidates = sensitiveLayers({ scans: layers, dense: dense.accuracy, target: sparsity, tolerance });
  const proposal = await judge({ scan, candidates: candidates.map(({ name }) => name), sparsity, tolerance }, ctx);
  return {
    ...{ model: path, modelSha256: sha256, arch: architecture.name, data: source, solver: found.entry.name, dense },
    gradients: { examples: rows, ridge: gradients.ridge, gradientMs: gradients.gradientMs },
    ...{ layers, proposal, seed: session.seed, backend: session.kernels.name },
    timing: { gradientMs: gradients.gradientMs, totalMs: ctx.now() - started },
    peakMemoryBytes: peakMemoryBytes(),
    versions: versions([found]),
  };
}

/** Draws the examples that give gradients and, apart from them, the examples that are measured: never the test split. */
function splitTraining(
  train: Dataset,
  { flags, seed }: { flags: SensitivityFlags; seed: number },
): { forGradients: Dataset; heldOut: Dataset } {
  const half = Math.floor(train.size / 2);
  const rows = flags.examples ?? Math.min(sensitivityDefaults.examples, half);
  const measured = flags.heldOut ?? Math.min(sensitivityDefaults.heldOut, train.size - rows);
  if (rows + measured > train.size || measured < 1 || rows < 1) {
    throw badUsage(
      `--examples ${rows} and --held-out ${measured} need ${rows + measured} training examples and there are ${train.size}; lower one of them`,
    );
  }
  const order = sampleIndices(train.size, rows + measured, createRng(seed).fork("sensitivity split"));
  const side = (positions: Uint32Array) => subset(train, positions.slice().sort());
  return { forGradients: side(order.subarray(0, rows)), heldOut: side(order.subarray(rows)) };
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

/** Tries the candidates as dense, with as many weights in all, and proposes them only if that is better. */
async function judge(
  spec: { scan: ScanSpec; candidates: readonly string[]; sparsity: number; tolerance: number },
  ctx: RunContext,
): Promise<Proposal> {
  const { scan, candidates, sparsity, tolerance } = spec;
  const { params, weights } = scan.gradients;
  const common = { sparsity, tolerance, candidates };
  if (candidates.length === 0) {
    const reason = `no layer that would fit into half of the kept weights loses more than ${tolerance} points when it alone is pruned to ${sparsity}`;
    return { ...common, keepDense: [], reason };
  }
  const keep = keptCount(weights.length, sparsity);
  const names = params.map(({ name }) => name);
  const others = params.filter(({ name }) => !candidates.includes(name));
  const denseWeights = weights.length - others.reduce((sum, { size }) => sum + size, 0);
  const { accuracy: accuracyAll } = await pruneAndMeasure({ ...scan, names, keep }, ctx);
  const { accuracy: accuracyKept } = await pruneAndMeasure(
    { ...scan, names: others.map(({ name }) => name), keep: keep - denseWeights },
    ctx,
  );
  const measured = { ...common, accuracyAll, accuracyKept };
  if (!(accuracyKept > accuracyAll)) {
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
