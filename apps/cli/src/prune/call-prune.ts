/** One call of `secateur prune`: flags to settings, a run, and what is printed of it. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { isPruneError, type Note } from "@secateur/core";
import { shellCommand } from "@secateur/report/text";
import { arePattern, badState, type FoundEntry, limitKeys, type SolverEntry } from "@secateur/run";
import { findReporter } from "@secateur/run/node/plugins/find-reporter";
import { findSolver } from "@secateur/run/node/plugins/find-solver";
import type { PruneRun } from "@secateur/run/node/prune/measured-run";
import {
  hasUnequalOperations,
  limitsOperationsAlone,
  operationsNote,
  operationsSolver,
} from "@secateur/run/node/prune/operations-solver";
import type { PruneDocument } from "@secateur/run/node/prune/prune-document";
import type { PruneOutputs } from "@secateur/run/node/prune/prune-outputs";
import type { PruneSettings } from "@secateur/run/node/prune/prune-settings";
import { pruneText } from "@secateur/run/node/prune/prune-text";
import { runPrune } from "@secateur/run/node/prune/run-prune";
import type { RecipeFile } from "@secateur/run/node/recipe/recipe";
import { type FinishedRun, isFinishedRun } from "@secateur/run/node/state/finished-run";
import { interrupted } from "../errors.ts";
import type { LayersFlags } from "../flags/layers-flags.ts";
import { workFlags } from "../flags/work-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { loadReport } from "../run/load-report.ts";
import { printResult } from "../run/print-result.ts";
import { withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";
import { planOutputs } from "./prune-outputs.ts";
import { type PruneFlags, pruneSettings } from "./prune-settings.ts";

/** One call of the command. */
export interface PruneCall {
  /** MODEL as typed. */
  readonly model: string | undefined;
  readonly flags: PruneFlags;
  /** Long names of the command's own flags, without those of the solver. */
  readonly ownFlags: ReadonlySet<string>;
  readonly terminal: Terminal;
  readonly found: FoundEntry<SolverEntry>;
  readonly recipe: RecipeFile | undefined;
  /** As typed, for the report. */
  readonly argv: readonly string[];
}

/** Prunes, writes the results, prints them. @throws whatever is wrong with the input, ERR_ABORTED */
export async function callPrune(call: PruneCall): Promise<void> {
  const { flags, terminal, argv } = call;
  const { settings, notes } = await settledSettings(call);
  const { model, seed, kernels, found } = settings;
  // An environment that names a queue asks for nothing by itself.
  const isSpread = [flags.workers, flags.queue, flags.store].some((flag) => flag !== undefined);
  const work = isSpread ? workFlags(flags, terminal) : undefined;
  const recipeFile = flags.recipe === undefined ? undefined : absolutePath(terminal, flags.recipe);
  const { retrain } = settings;
  const rewind = retrain?.rewind === undefined ? undefined : absolutePath(terminal, retrain.rewind);
  const method = retrain ? `${found.entry.name}-${retrain.schedule}` : found.entry.name;
  const outputs = await planOutputs({
    flags,
    model,
    files: [recipeFile, rewind],
    data: settings.data,
    method: `${method}-${amountOf(settings)}`,
    terminal,
  });
  const { overwrite } = outputs;
  const appendEvents = flags.resume === true;
  const makeReport: PruneRun["makeReport"] = async (document, outcome) => {
    const { pruneContent, plottingLibrary } = await loadReport();
    const measured = outcome.measured!; // a report without data was refused
    const content = pruneContent({
      ...{ document: { ...document, recipe: { ...document.recipe, data: settings.data! } } },
      ...{ outcome: { ...outcome, ...measured }, command: shellCommand("secateur", argv) },
    });
    return await (await findReporter(outputs.report!, terminal.cwd)).report({ ...content, plottingLibrary });
  };
  let document: PruneDocument | FinishedRun;
  try {
    document = await withSession({ flags: { ...flags, seed, kernels }, terminal, overwrite, appendEvents }, (session) =>
      runPrune({
        settings,
        outputs,
        session,
        work,
        cwd: terminal.cwd,
        resume: flags.resume === true,
        notes,
        makeReport,
      }),
    );
  } catch (error) {
    throw explainInterrupt(error, { outputs, events: flags.events });
  }
  await rm(outputs.state, { force: true });
  const text = () => (isFinishedRun(document) ? "" : `${pruneText(document)}\n${written(outputs)}`);
  printResult({ terminal, flags, document, text });
}

/** The settings of the call; of one that names no solver those of the one that its limits call for. */
async function settledSettings(
  call: PruneCall,
): Promise<{ readonly settings: PruneSettings; readonly notes: readonly Note[] }> {
  const { flags, recipe, terminal } = call;
  const isNamed = [flags.solver, flags.selector, flags.scope, recipe].some((given) => given !== undefined);
  if (!isNamed && flags.flops !== undefined) {
    // What is said of layers is for the solver of layers to read.
    const plain = Object.fromEntries(Object.entries(flags).filter(([key]) => !layerKeys.includes(key as LayerKey)));
    const first = await pruneSettings({ ...call, flags: plain as PruneFlags });
    if (limitsOperationsAlone(first) && (await hasUnequalOperations(first, terminal.cwd))) {
      const found = await findSolver(operationsSolver, terminal.cwd);
      return { settings: await pruneSettings({ ...call, found }), notes: [operationsNote] };
    }
  }
  return { settings: await pruneSettings(call), notes: [] };
}

/** Flags that are of pruning layer by layer alone. */
type LayerKey = keyof LayersFlags;
const layerKeys: readonly LayerKey[] = [
  "inputs",
  "match",
  "refitBlocks",
  "layerBiases",
  "layerAllocation",
  "calibration",
  "layerDamping",
];

/** How far a run goes, for the name of its output: "0.9", "0.5flops" or, of a pattern alone, "2of4". */
function amountOf({ sparsity, limits }: PruneSettings): string {
  const [pattern = ""] = arePattern(limits.units) ? limits.units! : [];
  const parts = [
    ...(sparsity === undefined ? [] : [String(sparsity)]),
    ...limitKeys.flatMap((key) => (key === "units" || limits[key] === undefined ? [] : [`${limits[key]}${key}`])),
  ];
  return [
    ...parts,
    ...(pattern
      ? [
          pattern
            .replace(/^.*of-every:/, "")
            .replace("/", "of")
            .replace(":", "-"),
        ]
      : []),
  ].join("-");
}

function written({ out, recipe, report }: PruneOutputs): string {
  return [`wrote ${out}`, `      ${recipe}`, ...(report === undefined ? [] : [`      ${report}`])]
    .map((line) => `${line}\n`)
    .join("");
}

function explainInterrupt(error: unknown, spec: { outputs: PruneOutputs; events: string | undefined }): unknown {
  const { outputs, events } = spec;
  const { state } = outputs;
  if (!isPruneError(error)) return error;
  // Core knows the state only as data; which file it came from is ours to say.
  const { difference } = error.details ?? {};
  if (error.code === "ERR_RESUME" && typeof difference === "string") {
    return badState(state, `the saved state is of another run: ${difference}`);
  }
  if (error.code !== "ERR_ABORTED") return error;
  return interrupted(
    existsSync(state)
      ? `what is finished is saved in ${state}: repeat the command with --resume to go on from there`
      : events === undefined
        ? "nothing was written"
        : `only the events so far were written, to ${events}`,
  );
}
