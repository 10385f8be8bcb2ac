/** The report of a sweep: accuracy against bytes and milliseconds, and the table. */
import { type Figure, figureAxis, figureOption, rounded } from "./figures/figure.ts";
import { escapeHtml, htmlTable } from "./html.ts";
import { makePage } from "./page.ts";
import { formatBytes, formatCount, formatFraction, formatMeasure, measureTitle } from "./text/format.ts";
import { shownArchitecture } from "./text/shown-architecture.ts";

interface Spread {
  readonly mean: number;
  readonly lowest: number;
  readonly highest: number;
}

interface Configuration {
  readonly solver: string;
  readonly sparsity: number;
  readonly ridge?: number | "auto";
  readonly seeds: number;
  readonly choice: Spread;
  readonly test: Spread;
  readonly nonzeros: number;
  readonly bytes?: number;
  readonly milliseconds?: number;
  readonly onFront: { readonly bytes: boolean; readonly milliseconds: boolean };
}

/** The parts of the JSON document of `secateur sweep` that its report reads. */
export interface SweepReportDocument {
  readonly model: string;
  readonly modelSha256: string;
  readonly arch: string;
  readonly data: string;
  readonly measuredOn: string;
  readonly remeasured?: true;
  readonly measure: { readonly name: string; readonly unit: string; readonly value: number };
  readonly configurations: readonly Configuration[];
  readonly goal?: string;
  readonly best?: number;
  readonly backend: string;
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * The report of one `secateur sweep`, as HTML.
 *
 * @param spec.command - as typed, to repeat it
 * @param spec.plottingLibrary - see `makePage`
 */
export function sweepReport(spec: {
  document: SweepReportDocument;
  command: string;
  plottingLibrary?: string;
}): string {
  const { document, command, plottingLibrary } = spec;
  const { arch, data, measure, configurations, goal, best, measuredOn, versions } = document;
  const number = (text: string) => ({ text, isNumber: true });
  const shown = (value: number) => number(formatMeasure({ value, unit: measure.unit }));
  const rows = configurations.map((one, place) => [
    { text: `${one.solver}${place === best ? " (best under the goal)" : ""}` },
    number(formatFraction(one.sparsity)),
    number(String(one.ridge ?? "")),
    number(String(one.seeds)),
    ...[one.choice.mean, one.choice.lowest, one.choice.highest, one.test.mean].map(shown),
    number(formatCount(Math.round(one.nonzeros))),
    number(one.bytes === undefined ? "" : formatBytes(one.bytes)),
    number(one.milliseconds === undefined ? "" : one.milliseconds.toPrecision(3)),
  ]);
  const titles = [
    "solver",
    "sparsity",
    "ridge",
    "seeds",
    measure.name,
    "lowest",
    "highest",
    `on ${measuredOn}`,
    "kept",
    "packed",
    "ms",
  ];
  const found =
    best === undefined
      ? "no configuration meets it"
      : `${configurations[best]!.solver} at ${formatFraction(configurations[best]!.sparsity)}`;
  const summary = `On ${data}. Configurations are compared by the ${measure.name} on training examples held out from all runs (the dense network may have been trained on them); the ${measuredOn} examples are for this report only. Before pruning${document.remeasured ? ", with statistics of batch normalisation measured anew" : ""}: ${formatMeasure(measure)} on ${measuredOn}.${goal === undefined ? "" : ` Goal ${goal}: ${found}.`}`;
  const facts = [
    ["model", document.model],
    ["model SHA-256", document.modelSha256],
    ["kernels", document.backend],
    ...Object.entries(versions),
  ];
  return makePage({
    title: `${shownArchitecture(arch)}: ${configurations.length} configurations`,
    intro: `<p class="soft">${escapeHtml(summary)}</p>`,
    figures: [
      ...frontFigure(document, {
        key: "bytes",
        axis: "packed file (bytes)",
        what: "the size of the packed file of int8 values",
      }),
      ...frontFigure(document, {
        key: "milliseconds",
        axis: "expected time (ms)",
        what: "the time that the packed network is expected to take",
      }),
    ],
    plottingLibrary,
    sections: [
      { title: "Configurations", html: htmlTable(titles, rows) },
      {
        title: "Repeat it",
        html: `<pre>${escapeHtml(command)}</pre>${htmlTable(
          ["", ""],
          facts.map((row) => row.map((text) => ({ text: text! }))),
        )}`,
      },
    ],
  });
}

/** Every configuration as a point, the front as a line; nothing where none could be packed. */
function frontFigure(
  { configurations, measure }: SweepReportDocument,
  { key, axis, what }: { key: "bytes" | "milliseconds"; axis: string; what: string },
): readonly Figure[] {
  const points = configurations.filter((one) => one[key] !== undefined);
  if (points.length === 0) return [];
  const place = (one: Configuration) => [rounded(one[key]!), rounded(one.choice.mean)] as const;
  const solvers = [...new Set(points.map(({ solver }) => solver))];
  const front = points.filter(({ onFront }) => onFront[key]).map(place);
  return [
    {
      id: `front-${key}`,
      title: `${measure.name[0]!.toUpperCase()}${measure.name.slice(1)} against ${key}`,
      caption: `Every configuration, by ${what}; on the line none is at least as good and as small.`,
      option: figureOption({
        xAxis: figureAxis({ type: "log", name: axis }),
        yAxis: figureAxis({ type: "value", name: measureTitle(measure), nameGap: 44, scale: true }),
        series: [
          ...solvers.map((name) => ({
            ...{ name, type: "line", symbolSize: 9, lineStyle: { width: 0 } },
            data: points.filter(({ solver }) => solver === name).map(place),
          })),
          {
            ...{ name: "front", type: "line", symbol: "none", step: false, color: "#888888" },
            lineStyle: { type: "dashed", color: "#888888" },
            data: [...front].sort((a, b) => a[0] - b[0]),
          },
        ],
      }),
    },
  ];
}
