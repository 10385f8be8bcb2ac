/** A report about one run or several: headline numbers, figures, tables, and everything needed to repeat it. */

import { gainOver, mainMeasure, type ReportContent, type ReportRun } from "@secateur/core";
import { figures } from "./figures/figures.ts";
import { type Cell, escapeHtml, htmlTable } from "./html.ts";
import { makePage, type Section } from "./page.ts";
import { objectiveUnit, takesGradients } from "./report-run.ts";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFraction,
  formatLoss,
  formatMeasure,
  formatNumber,
  formatRows,
  formatShape,
  formatStats,
  lossUnit,
  measureTitle,
} from "./text/format.ts";
import { roundRows, roundTitles } from "./text/round-table.ts";
import { stageTable } from "./text/stage-table.ts";

/** Makes the report's HTML. At least one run. */
export function makeReport(content: ReportContent): string {
  const { title, summary, runs } = content;
  const single = runs.length === 1 ? runs[0] : undefined;
  const intro = `<p class="soft">${escapeHtml(summary)}</p>\n${single ? headline(single) : ""}`;
  const sections = [
    runsSection(runs),
    ...(single
      ? [...roundsSection(single), layersSection(single), stagesSection(single), ...scheduleSection(single)]
      : []),
    planSection(runs),
    repeatSection(content),
  ];
  return makePage({ title, intro, figures: figures(runs), sections, plottingLibrary: content.plottingLibrary });
}

function headline(run: ReportRun): string {
  const { dense, pruned, nonzeros, prunable, timing } = run;
  const [before, after] = [mainMeasure(dense), mainMeasure(pruned)];
  const change = gainOver(before.value, after);
  const better = after.unit === "%" ? `${change >= 0 ? "+" : ""}${change.toFixed(2)} points; ` : "";
  const cards = [
    [after.name, formatMeasure(after), `${better}before: ${formatMeasure(before)}`],
    ["weights kept", formatCount(nonzeros), `of ${formatCount(prunable)}`],
    ["sparsity", formatFraction(1 - nonzeros / prunable), `${run.solver}`],
    ...(run.limits ?? []).map(({ kind, asked, reached, absolute }) =>
      absolute
        ? [kind, formatNumber(reached), `limit ${formatNumber(asked)}`]
        : [kind, formatFraction(reached), `of the dense network's; limit ${formatFraction(asked)}`],
    ),
    [
      "time",
      formatDuration(timing.totalMs),
      `${run.stages.some(({ partsMs }) => partsMs) ? "inputs of layers" : "gradients"} ${formatDuration(timing.gradientMs)}, solving ${formatDuration(timing.solveMs)}`,
    ],
  ];
  const card = ([name, value, note]: readonly string[]) =>
    `<div class="card"><dt>${escapeHtml(name!)}</dt><dd>${escapeHtml(value!)}<small>${escapeHtml(note!)}</small></dd></div>`;
  return `<dl class="cards">\n${cards.map(card).join("\n")}\n</dl>`;
}

function number(text: string): Cell {
  return { text, isNumber: true };
}

function runsSection(runs: readonly ReportRun[]): Section {
  const hasFiles = runs.some(({ fileBytes }) => fileBytes !== undefined);
  const titles = [
    "solver",
    "sparsity",
    mainMeasure(runs[0]!.dense).name,
    measureTitle({ name: "loss", unit: lossUnit(runs[0]!.dense) }),
    "weights kept",
    "gradients",
    "solving",
    "in all",
  ];
  const rows = runs.map((run) => [
    { text: run.solver },
    number(formatFraction(run.sparsity)),
    number(formatMeasure(mainMeasure(run.pruned))),
    number(formatNumber(run.pruned.loss)),
    number(formatCount(run.nonzeros)),
    number(formatDuration(run.timing.gradientMs)),
    number(formatDuration(run.timing.solveMs)),
    number(formatDuration(run.timing.totalMs)),
    ...(hasFiles ? [number(bytes(run.fileBytes)), number(bytes(run.gzipBytes))] : []),
  ]);
  const { dense, measuredOn = "test", remeasured } = runs[0]!;
  const before = `<p>Before pruning: ${escapeHtml(formatMeasure(mainMeasure(dense)))}, loss ${escapeHtml(formatLoss(dense))}, on ${escapeHtml(formatCount(dense.examples))} ${measuredOn} examples${remeasured ? ", with statistics of batch normalisation measured anew" : ""}.</p>`;
  return {
    title: "Results",
    html: `${before}\n${htmlTable(hasFiles ? [...titles, "file", "gzipped"] : titles, rows)}`,
  };
}

function bytes(value: number | undefined): string {
  return value === undefined ? "" : formatBytes(value);
}

function layersSection({ layers }: ReportRun): Section {
  const isAlone = layers.some(({ relativeError }) => relativeError !== undefined);
  const rows = layers.map(({ name, shape, size, kept, nonzeros, maskedError, relativeError, solveMs, ...ended }) => [
    { text: name },
    { text: formatShape(shape) },
    number(formatCount(size)),
    number(formatCount(nonzeros)),
    number(size === 0 ? "" : formatFraction(1 - kept / size)),
    ...(isAlone
      ? [
          number(shown(maskedError, formatNumber)),
          number(shown(relativeError, formatNumber)),
          number(shown(solveMs, formatDuration)),
          { text: [ended.status ?? "", ...(ended.method === undefined ? [] : [ended.method])].join(", ") },
        ]
      : []),
  ]);
  const titles = ["layer", "shape", "weights", "non-zero", "sparsity"];
  if (!isAlone) return { title: "Layers", html: htmlTable(titles, rows) };
  const words =
    "<p>Error: squared change of a layer's outputs as a fraction of their squares, on the inputs it was pruned for; with the zeros alone, and with the other weights making up for them.</p>";
  return {
    title: "Layers",
    html: `${words}\n${htmlTable([...titles, "error of the zeros", "error re-fitted", "solving", "ended"], rows)}`,
  };
}

function shown(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? "" : format(value);
}

function stagesSection(run: ReportRun): Section {
  const { stages, dense } = run;
  const rows = stages.map((stage, index) => [
    number(String(index + 1)),
    number(formatFraction(stage.sparsity)),
    number(stage.loss === undefined ? "" : formatNumber(stage.loss)),
    number(formatNumber(stage.objective)),
    { text: stage.status },
    number(stage.examples === undefined ? "" : formatCount(stage.examples)),
    number(stage.ridge === undefined ? "" : formatNumber(stage.ridge)),
    number(formatDuration(stage.gradientMs)),
    number(formatDuration(stage.solveMs)),
    { text: [formatStats(stage.stats), partTimes(stage.partsMs)].filter(Boolean).join("; ") },
  ]);
  const titles = [
    "stage",
    "sparsity",
    measureTitle({ name: "training loss before", unit: lossUnit(dense) }),
    measureTitle({ name: "objective", unit: objectiveUnit(run) }),
    "status",
    "rows",
    "ridge",
    "gradients",
    "solving",
    "numbers of the solver",
  ];
  return { title: "Stages", html: htmlTable(titles, rows) };
}

/** What each part of a stage over layers took. */
function partTimes(parts: Readonly<Record<string, number>> = {}): string {
  return Object.entries(parts)
    .map(([name, ms]) => `${name} ${formatDuration(ms)}`)
    .join(", ");
}

/** The list of stages as data, made before anything ran. */
function scheduleSection({ schedule = [] }: ReportRun): readonly Section[] {
  if (schedule.length === 0) return [];
  const { titles, rows } = stageTable(schedule);
  const words = "<p>What was planned: solver, schedule and flags made this list before the run began.</p>";
  return [
    {
      title: "The list of stages",
      html: `${words}\n${htmlTable(
        titles,
        rows.map((row) => row.map(number)),
      )}`,
    },
  ];
}

/** Nothing for a run without retraining. */
function roundsSection({ rounds }: ReportRun): readonly Section[] {
  if (!rounds) return [];
  const rows = roundRows(rounds).map((row) => row.map(number));
  const words =
    "<p>Accuracies on the test split. Instability is the share of the accuracy that the pruning cost; distance is that of the pruned point from the weights before, moved that of the retrained weights from the pruned point; FLOPs are those of non-zero weights as a share of all.</p>";
  return [{ title: "Rounds", html: `${words}\n${htmlTable(roundTitles, rows)}` }];
}

/** One block a solver: its reason, then a row a sparsity. */
function planSection(runs: readonly ReportRun[]): Section {
  const solvers = [...new Set(runs.map(({ solver }) => solver))];
  const blocks = solvers.map((solver) => {
    const own = runs.filter((run) => run.solver === solver);
    const why = joinReasons(own.map(({ plan }) => plan.reason ?? "").filter((reason) => reason !== ""));
    return `<h3>${escapeHtml(solver)}</h3>\n${why.map((text) => `<p>${escapeHtml(text)}</p>`).join("\n")}\n${planTable(own)}`;
  });
  return { title: "The plan, and why", html: blocks.join("\n") };
}

function planTable(runs: readonly ReportRun[]): string {
  const usesGradients = runs.some(({ stages }) => stages.some(takesGradients));
  const rows = runs.map(({ sparsity, plan, stages }) => {
    const last = stages[stages.length - 1];
    return [
      number(formatFraction(sparsity)),
      number(String(plan.stages ?? 1)),
      number(String(plan.targetStages ?? 0)),
      { text: String(plan.schedule ?? "") },
      ...(usesGradients
        ? [
            { text: plan.curvature ?? "" },
            number(last?.examples === undefined ? "" : formatRows({ rows: last.examples, batch: last.batch ?? 1 })),
            number(last?.ridge === undefined ? "" : formatNumber(last.ridge)),
            { text: plan.firstOrder ? "yes" : "no" },
          ]
        : [{ text: "none" }]),
    ];
  });
  const titles = [
    "sparsity",
    "rising stages",
    "stages at the target",
    "schedule",
    "curvature",
    ...(usesGradients ? ["gradient rows (last stage)", "ridge (last stage)", "first-order"] : []),
  ];
  return htmlTable(titles, rows);
}

/** Reasons that differ in single words, as numbers of stages do, become one sentence with the words side by side. */
export function joinReasons(reasons: readonly string[]): readonly string[] {
  const different = [...new Set(reasons)];
  const words = different.map((reason) => reason.split(" "));
  const [first = []] = words;
  const isAlike =
    words.every(({ length }) => length === first.length) &&
    2 * first.filter((word, i) => words.some((other) => other[i] !== word)).length <= first.length;
  if (!isAlike || different.length < 2) return different;
  return [first.map((_word, i) => [...new Set(words.map((other) => other[i]!))].join("/")).join(" ")];
}

function repeatSection({ command, versions, facts, recipe }: ReportContent): Section {
  const rows = [...facts, ...Object.entries(versions)].map(([name, text]) => [{ text: name }, { text }]);
  const details = recipe
    ? `<details><summary>Recipe</summary><pre><code>${escapeHtml(JSON.stringify(recipe, null, 2))}</code></pre></details>`
    : "";
  return {
    title: "To repeat it",
    html: `<pre><code>${escapeHtml(command)}</code></pre>\n${htmlTable(["what", "value"], rows)}\n${details}`,
  };
}
