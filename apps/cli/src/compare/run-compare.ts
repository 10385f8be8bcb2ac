/** One run of `secateur compare`: every method at every sparsity, each from the checkpoint as it is. */
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { printResult } from "../commands/print-result.ts";
import { badUsage, keepsAll, missingFlag } from "../errors.ts";
import type { ReestimateTime } from "../flags/batch-norm-flags.ts";
import { kebab } from "../flags/option-schema.ts";
import { gradientPlanKeys, type PlanFlags, planFromFlags } from "../flags/plan-flags.ts";
import type { FoundEntry, SolverEntry } from "../plugins/find-entry.ts";
import { findSolver } from "../plugins/find-solver.ts";
import { notePlugin } from "../plugins/note-plugin.ts";
import { needsGradients, plannedRun, pruneNetwork } from "../prune/prune-network.ts";
import { resolveOptions } from "../prune/prune-settings.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { batchNormOfModel, chosenDense, remeasuringModel } from "../run/any-model-settings.ts";
import { mapDataPaths } from "../run/data-spec.ts";
import type { EngineChoice } from "../run/load-tensorflow.ts";
import { peakMemoryBytes } from "../run/memory.ts";
import { openAnyModel } from "../run/open-any-model.ts";
import { openData } from "../run/open-data.ts";
import { modelFile } from "../run/open-tfjs.ts";
import { type Session, type SessionFlags, withSession } from "../run/session.ts";
import { versions } from "../run/versions.ts";
import type { Terminal } from "../terminal.ts";
import { type CompareDocument, type ComparedRun, compareDocument } from "./compare-document.ts";
import { compareText } from "./compare-text.ts";
import { gradientKey, shareGradients, sharingOrder } from "./shared-gradients.ts";

/** The flags of `secateur compare` as commander hands them over. */
export interface CompareFlags extends SessionFlags, PlanFlags {
  readonly arch?: string;
  readonly engine?: EngineChoice;
  readonly data?: string;
  readonly normalize?: string;
  readonly reestimateBatchNorm?: ReestimateTime;
  readonly solvers?: readonly string[];
  readonly sparsities?: readonly number[];
  readonly keepDense?: readonly string[];
  readonly report?: string;
  readonly force?: boolean;
}

interface CompareCall {
  /** MODEL as typed. */
  readonly model: string;
  readonly flags: CompareFlags;
  readonly terminal: Terminal;
  /** As typed, for the report. */
  readonly argv: readonly string[];
}

/** Runs everything, prints the table, writes the report. @throws whatever is wrong with the input, ERR_ABORTED */
export async function runCompare(call: CompareCall): Promise<void> {
  const { flags, terminal, argv } = call;
  const { solvers, sparsities } = flags;
  if (flags.data === undefined)
    throw missingFlag("--data", "say what to prune and measure with, for example --data mnist");
  if (!solvers) throw missingFlag("--solvers", "name the methods, for example --solvers magnitude,cbs,chita");
  if (!sparsities) throw missingFlag("--sparsities", "say how far to prune, for example --sparsities 0.5,0.9");
  const overwrite = flags.force === true;
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  if (report !== undefined) await checkOutput(report, { overwrite });
  if (report !== undefined && flags.events !== undefined && report === absolutePath(terminal, flags.events)) {
    throw badUsage(`${report}: two outputs would go there; give each its own name`);
  }
  const found = await Promise.all(solvers.map((name) => findSolver(name, terminal.cwd)));
  const { document, runs } = await withSession({ flags, terminal, overwrite }, (session) =>
    compareInSession({ call, found, sparsities, session }),
  );
  if (report !== undefined) {
    const { compareReport } = await import("../report/compare-report.ts");
    await writeFileAtomic(report, await compareReport({ document, runs, argv }), { overwrite });
  }
  const wrote = report === undefined ? "" : `\nwrote ${report}\n`;
  printResult({ terminal, flags, document, text: () => `${compareText(document)}${wrote}` });
}

async function compareInSession(spec: {
  call: CompareCall;
  found: readonly FoundEntry<SolverEntry>[];
  sparsities: readonly number[];
  session: Session;
}): Promise<{ document: CompareDocument; runs: readonly ComparedRun[] }> {
  const { call, found, sparsities, session } = spec;
  const { flags, terminal } = call;
  for (const one of found) notePlugin(one, session);
  const path = modelFile(absolutePath(terminal, call.model));
  const source = mapDataPaths(flags.data!, (file) => absolutePath(terminal, file));
  const solvers = await Promise.all(
    found.map(async (one) => ({ one, solver: one.entry.create((await resolveOptions(one.entry, {})) as never) })),
  );
  const plan = planFromFlags(flags);
  assertUsed({ plan, anyGradients: solvers.some(({ solver }) => needsGradients(solver)) });
  const { onEvent } = session;
  const { cwd } = terminal;
  const first = await openAnyModel({ path, arch: flags.arch, engine: flags.engine, cwd, onEvent });
  const { classes, spec: layers } = first;
  const { pruned: params, dense: keptDense } = chosenDense(first, flags.keepDense ?? []);
  if (params.length === 0) throw keepsAll(path);
  const data = await openData({ data: source, normalize: flags.normalize, classes, network: layers, onEvent });
  const { reestimateBatchNorm: when } = flags;
  const settings = batchNormOfModel(first, when === undefined ? {} : { when });
  await remeasuringModel({ model: first, data, settings, session }).before();
  const dense = await first.network.evaluate(data.test, session.context());
  const jobs = solvers.flatMap(({ one, solver }) => sparsities.map((sparsity) => ({ one, solver, sparsity })));
  const plans = await Promise.all(
    jobs.map(async ({ solver, sparsity }) => {
      const planned = await plannedRun({ network: first.network, params, solver, sparsity, plan, train: data.train });
      const stages = planned.stages + planned.targetStages;
      return { key: needsGradients(solver) ? gradientKey(planned) : undefined, stages };
    }),
  );
  const order = sharingOrder(plans);
  const shared = shareGradients();
  const runs: ComparedRun[] = [];
  const sources: FoundEntry[] = [...found];
  try {
    for (const [turn, position] of order.entries()) {
      const { one, solver, sparsity } = jobs[position]!;
      const { key = "" } = plans[position]!;
      // Kept for runs of one stage only: longer ones take many gradients, and need the memory for them.
      const next = order[turn + 1];
      const isKept = next !== undefined && plans[next]!.key === key && plans[position]!.stages === 1;
      let wasShared = (): boolean => false;
      const engine = first.tfjs?.engine.name;
      const model = await openAnyModel({ path, arch: first.arch, engine, cwd, onEvent: () => {} });
      const { network } = model;
      const { before, settle, after } = remeasuringModel({ model, data, settings, session });
      await before();
      const { result, curvature } = await pruneNetwork({
        ...{ network, solver, sparsity, plan, params, session, ...(settle ? { settle } : {}) },
        train: data.train,
        cwd: terminal.cwd,
        wrapEstimator: (inner) => {
          const run = shared.forRun({ key, inner, isKept });
          wasShared = run.wasShared;
          return run.estimator;
        },
      });
      await after();
      if (curvature) sources.push(curvature);
      const pruned = await network.evaluate(data.test, session.context());
      model.close();
      runs[position] = { solver: one.entry.name, sparsity, dense, pruned, result, sharesGradients: wasShared() };
      if (!flags.json) note(session, runs[position], { done: turn + 1, total: jobs.length });
    }
  } finally {
    shared.release();
  }
  const document = compareDocument({
    model: { path, sha256: first.sha256, arch: first.arch },
    data: source,
    dense,
    keptDense,
    runs,
    seed: session.seed,
    backend: session.kernels.name,
    versions: versions([...sources, ...first.packages]),
    peakMemoryBytes: peakMemoryBytes(),
  });
  first.close();
  return { document, runs };
}

function note(session: Session, run: ComparedRun, { done, total }: { done: number; total: number }): void {
  const { solver, sparsity, pruned } = run;
  const message = `${done} of ${total}: ${solver} at ${sparsity}: ${pruned.accuracy.toFixed(2)} %`;
  session.onEvent({ type: "note", level: "info", code: "compare", message });
}

/** Where no method takes gradients, a setting of them would change nothing. */
function assertUsed({ plan, anyGradients }: { plan: ReturnType<typeof planFromFlags>; anyGradients: boolean }): void {
  const key = anyGradients ? undefined : gradientPlanKeys.find((candidate) => plan[candidate] !== undefined);
  if (key !== undefined)
    throw badUsage(`--${kebab(key)} would change nothing: no solver named takes gradients; leave it out`);
}
