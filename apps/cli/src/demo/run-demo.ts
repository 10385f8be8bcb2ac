/** The demo: the bundled MLPNet, pruned by magnitude and by CHITA with defaults, as a table, files, a report and a plot. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReportRun } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { makeFolder, writeFileAtomic } from "@secateur/formats";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFraction,
  formatPercent,
  formatTable,
} from "@secateur/report/text";
import { type FoundEntry, pruneNetwork, resolveOptions, type Session, type SolverEntry } from "@secateur/run";
import { compressedSizes } from "@secateur/run/node/inspect/compressed-sizes";
import { architectureKey } from "@secateur/run/node/open/architecture/resolve-architecture";
import { encodeNetwork } from "@secateur/run/node/open/encode-network";
import { openData } from "@secateur/run/node/open/open-data";
import { openModel } from "@secateur/run/node/open/open-model";
import { runBench } from "@secateur/run/node/pack/run-bench";
import { type PackDocument, runPack } from "@secateur/run/node/pack/run-pack";
import { findCurvature } from "@secateur/run/node/plugins/find-entry";
import { findSolver } from "@secateur/run/node/plugins/find-solver";
import { versions } from "@secateur/run/node/versions";
import { loadReport } from "../run/load-report.ts";
import { withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

/** The bundled network; assets/README.md says how it was trained. */
const bundledModel = fileURLToPath(new URL("../../assets/mlpnet-mnist.safetensors", import.meta.url));

/** What the demo runs, and where its files go. */
export interface DemoSpec {
  readonly terminal: Terminal;
  /** Absolute path; made if missing, files of earlier demos in it are replaced. */
  readonly folder: string;
  /** Default: magnitude and chita. */
  readonly solvers?: readonly string[];
  /** Default: 0.9, 0.95, 0.98. */
  readonly sparsities?: readonly number[];
}

/** Runs the demo and prints its table. @throws what the commands throw; ERR_ABORTED */
export async function runDemo(spec: DemoSpec): Promise<void> {
  const { terminal, folder, solvers = ["magnitude", "chita"], sparsities = [0.9, 0.95, 0.98] } = spec;
  await makeFolder(folder);
  // Generated files, wherever the demo is run, are nobody's to commit.
  await writeFileAtomic(join(folder, ".gitignore"), "*\n", { overwrite: true });
  const found = await Promise.all(solvers.map((name) => findSolver(name, terminal.cwd)));
  const { before, runs, gains } = await withSession({ flags: {}, terminal, overwrite: true }, async (session) => {
    const { network, architecture } = await openModel({
      path: bundledModel,
      arch: undefined,
      onEvent: session.onEvent,
    });
    const { classes } = network.spec;
    const data = await openData({ data: "mnist", normalize: undefined, classes, onEvent: session.onEvent });
    const dense = await network.evaluate(data.test, session.context());
    const done: ReportRun[] = [];
    const curvatures: FoundEntry[] = [];
    const onCurvature = (curvature: FoundEntry) => curvatures.push(curvature);
    for (const solver of found) {
      for (const sparsity of sparsities) {
        const run = await pruneOnce({ solver, sparsity, data, folder, session, onCurvature });
        done.push(run);
        if (terminal.stderr.isTTY !== true) terminal.stderr.write(progressLine(run));
      }
    }
    await writeReport({ runs: done, folder, found: [...found, ...curvatures] });
    const weights = formatCount(weightCount(network.params()));
    const accuracy = `${formatPercent(dense.accuracy)} of ${formatCount(dense.examples)} test images of MNIST`;
    const gains = await measureGains({ folder, solver: found.at(-1)!.entry.name, sparsities, session });
    return { before: `${architecture.name}, ${weights} weights: ${accuracy}\n`, runs: done, gains };
  });
  terminal.stdout.write(`\n${before}\n${demoTable(runs)}\n${gainsTable(gains)}\n${filesText(folder)}`);
}

function weightCount(params: readonly { rows: number; cols: number }[]): number {
  return params.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
}

async function pruneOnce(spec: {
  solver: FoundEntry<SolverEntry>;
  sparsity: number;
  data: DatasetSplits;
  folder: string;
  session: Session;
  onCurvature: (curvature: FoundEntry) => void;
}): Promise<ReportRun> {
  const { solver: found, sparsity, data, folder, session, onCurvature } = spec;
  const { entry } = found;
  const { network, architecture, metadata } = await openModel({
    path: bundledModel,
    arch: undefined,
    onEvent: session.onEvent,
  });
  const solver = entry.create((await resolveOptions(entry, {})) as never);
  const dense = await network.evaluate(data.test, session.context());
  const { train } = data;
  const job = {
    network,
    solver,
    sparsity,
    plan: {},
    train,
    findCurvature: (name: string) => findCurvature(name, folder),
    session,
    onCurvature,
  };
  const { result } = await pruneNetwork(job);
  const pruned = await network.evaluate(data.test, session.context());

  const path = join(folder, `mlpnet.${entry.name}-${sparsity}.safetensors`);
  const labels = {
    [architectureKey]: architecture.name,
    "secateur.solver": entry.name,
    "secateur.sparsity": `${sparsity}`,
  };
  const bytes = await encodeNetwork({ from: folder, network, path, metadata: { ...metadata, ...labels } });
  await writeFileAtomic(path, bytes, { overwrite: true });
  const { gzipBytes } = await compressedSizes(bytes, session.signal);
  const { reportRun } = await loadReport();
  const run = reportRun({ outcome: { dense, result, pruned }, solver: entry.name, sparsity });
  return { ...run, fileBytes: bytes.length, gzipBytes };
}

/** What one pruned network is worth once it is packed. */
interface Gain {
  readonly sparsity: number;
  readonly packed: PackDocument;
  /** Milliseconds for one image, as packed and with every weight taking part, measured in turn. */
  readonly ms: number;
  readonly denseMs: number;
}

/** Packs the networks of one solver and runs them beside the network before pruning. */
async function measureGains(spec: {
  folder: string;
  solver: string;
  sparsities: readonly number[];
  session: Session;
}): Promise<readonly Gain[]> {
  const { folder, solver, sparsities, session } = spec;
  const gains: Gain[] = [];
  for (const sparsity of sparsities) {
    const model = join(folder, `mlpnet.${solver}-${sparsity}.safetensors`);
    const out = model.replace(/safetensors$/, "secateur");
    const packed = await runPack(
      { model, out, data: "mnist", dense: bundledModel, overwrite: true, cwd: folder },
      session,
    );
    const times = await runBench({ path: out, arch: undefined, threads: 1, cwd: folder }, session);
    const [ms, denseMs] = ["secateur", "secateur-dense"].map(
      (name) => times.find(({ engine }) => engine === name)!.medianMs,
    );
    gains.push({ sparsity, packed, ms: ms!, denseMs: denseMs! });
  }
  return gains;
}

/** What pruning bought: bytes, milliseconds and accuracy of the packed networks beside the dense one's. */
function gainsTable(gains: readonly Gain[]): string {
  const right = { align: "right" } as const;
  const [first] = gains as readonly [Gain, ...Gain[]];
  const { bytes, accuracy } = first.packed;
  const dense = formatPercent(accuracy!.dense!.accuracy);
  const rows = gains.map(({ sparsity, packed, ms, denseMs }) => [
    `${formatFraction(sparsity)} pruned, packed`,
    formatPercent(packed.accuracy!.after.accuracy),
    formatBytes(packed.bytes.gzip),
    `${(bytes.denseF32 / packed.bytes.gzip).toFixed(0)} x`,
    `${(bytes.denseInt8Brotli / packed.bytes.gzip).toFixed(1)} x`,
    (1000 * ms).toFixed(1),
    `${(denseMs / ms).toFixed(1)} x`,
  ]);
  return formatTable(
    [
      { title: "what pruning bought" },
      { title: "accuracy", ...right },
      { title: "bytes", ...right },
      { title: "smaller than f32", ...right },
      { title: "than int8, brotli", ...right },
      { title: "microseconds", ...right },
      { title: "faster than dense", ...right },
    ],
    [
      ["dense, f32", dense, formatBytes(bytes.denseF32), "", "", (1000 * first.denseMs).toFixed(1), ""],
      ["dense, int8 and brotli", "", formatBytes(bytes.denseInt8Brotli), "", "", "", ""],
      ...rows,
    ],
  );
}

/** Where nothing is drawn on a terminal, a line a run shows that the demo lives. */
function progressLine({ solver, sparsity, timing }: ReportRun): string {
  return `pruned to ${formatFraction(sparsity)} by ${solver} in ${formatDuration(timing.totalMs)}\n`;
}

function demoTable(runs: readonly ReportRun[]): string {
  const right = { align: "right" } as const;
  return formatTable(
    [
      { title: "solver" },
      { title: "sparsity", ...right },
      { title: "accuracy", ...right },
      { title: "kept weights", ...right },
      { title: "file", ...right },
      { title: "gzipped", ...right },
      { title: "seconds", ...right },
    ],
    runs.map(({ solver, sparsity, pruned, nonzeros, fileBytes = 0, gzipBytes = 0, timing }) => [
      solver,
      formatFraction(sparsity),
      formatPercent(pruned.accuracy),
      formatCount(nonzeros),
      formatBytes(fileBytes),
      formatBytes(gzipBytes),
      (timing.totalMs / 1000).toFixed(2),
    ]),
  );
}

async function writeReport(spec: {
  runs: readonly ReportRun[];
  folder: string;
  found: readonly FoundEntry[];
}): Promise<void> {
  const { runs, folder, found } = spec;
  const { accuracyFigure, makeReport, plottingLibrary, svgFile } = await loadReport();
  const html = makeReport({
    plottingLibrary,
    title: "MLPNet on MNIST, pruned",
    summary: "The bundled network at several sparsities, each solver with its defaults, seed 0.",
    runs,
    command: "npm run demo",
    versions: versions(found),
    facts: [],
  });
  await writeFileAtomic(join(folder, "report.html"), html, { overwrite: true });
  await writeFileAtomic(join(folder, "accuracy.svg"), svgFile(accuracyFigure(runs)), { overwrite: true });
}

function filesText(folder: string): string {
  return [
    `Report with plots:   ${join(folder, "report.html")}\n`,
    `The plot by itself:  ${join(folder, "accuracy.svg")}\n`,
    `Pruned networks:     ${join(folder, "*.safetensors")}\n`,
    `Packed networks:     ${join(folder, "*.secateur")}\n`,
  ].join("");
}
