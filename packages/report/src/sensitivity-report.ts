import { type Figure, figureAxis, figureOption } from "./figure.ts";
import { escapeHtml, htmlTable } from "./html.ts";
import { makePage } from "./page.ts";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFraction,
  formatMeasure,
  formatNumber,
  formatShape,
} from "./text/format.ts";

/** The parts of the JSON document of `secateur sensitivity` that its report reads. */
export interface SensitivityReportDocument {
  readonly model: string;
  readonly modelSha256: string;
  readonly arch: string;
  readonly data: string;
  readonly solver: string;
  readonly seed: number;
  readonly dense: { readonly examples: number };
  /** By what layers are compared, with its value before pruning. */
  readonly measure: { readonly name: string; readonly unit: string; readonly value: number };
  readonly gradients: { readonly examples: number; readonly ridge: number; readonly gradientMs: number };
  readonly layers: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly size: number;
    readonly measures: readonly { readonly sparsity: number; readonly value: number }[];
  }[];
  readonly timing: { readonly gradientMs: number; readonly totalMs: number };
  readonly backend: string;
  readonly peakMemoryBytes: number;
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * The report of one `secateur sensitivity`, as HTML.
 *
 * @param spec.verdict - what is proposed, in sentences
 * @param spec.command - as typed, to repeat the run
 * @param spec.plottingLibrary - see {@link makePage}
 */
export function sensitivityReport(spec: {
  document: SensitivityReportDocument;
  verdict: string;
  command: string;
  plottingLibrary?: string;
}): string {
  const { document, verdict, command, plottingLibrary } = spec;
  const { arch, data, dense, measure, layers, solver, seed, versions } = document;
  const number = (text: string) => ({ text, isNumber: true });
  const sparsities = [...new Set(layers.flatMap(({ measures }) => measures.map(({ sparsity }) => sparsity)))].sort(
    (a, b) => a - b,
  );
  const rows = layers.map(({ name, shape, size, measures }) => [
    { text: name },
    { text: formatShape(shape) },
    number(formatCount(size)),
    ...sparsities.map((sparsity) => {
      const found = measures.find((one) => one.sparsity === sparsity);
      return number(found ? formatMeasure({ value: found.value, unit: measure.unit }) : "none");
    }),
  ]);
  const facts = [
    ["model", document.model],
    ["model SHA-256", document.modelSha256],
    ["gradient rows", formatCount(document.gradients.examples)],
    ["ridge", formatNumber(document.gradients.ridge)],
    ["time", `${formatDuration(document.timing.totalMs)}, gradients ${formatDuration(document.timing.gradientMs)}`],
    ["kernels", document.backend],
    ["peak memory", formatBytes(document.peakMemoryBytes)],
    ...Object.entries(versions),
  ].map((row) => row.map((text) => ({ text })));
  const summary = `By ${solver} on ${data}, seed ${seed}; measured on ${formatCount(dense.examples)} training examples that gave no gradients, ${formatMeasure(measure)} ${measure.name} before pruning.`;
  return makePage({
    title: `How much each layer of ${arch} stands`,
    intro: `<p class="soft">${escapeHtml(summary)}</p>\n<p>${escapeHtml(verdict.trim()).replaceAll("\n", "<br>\n")}</p>`,
    figures: [layersFigure(document)],
    plottingLibrary,
    sections: [
      {
        title: "Layers, each pruned alone",
        html: htmlTable(["layer", "shape", "weights", ...sparsities.map(formatFraction)], rows),
      },
      {
        title: "To repeat it",
        html: `<pre><code>${escapeHtml(command)}</code></pre>\n${htmlTable(["what", "value"], facts)}`,
      },
    ],
  });
}

/** The measure against the sparsity of one layer, a line a layer. */
function layersFigure({ layers, measure }: SensitivityReportDocument): Figure {
  const { name: measured, unit, value: before } = measure;
  const title = unit === "" ? measured : `${measured} (${unit})`;
  return {
    id: "layers",
    title: "One layer pruned, the others as they were",
    caption: `The ${measured} on the held-out training examples, over the percentage of that layer's weights removed.`,
    option: figureOption({
      legend: { textStyle: { color: "currentColor" }, type: "scroll", top: 0 },
      xAxis: figureAxis({ type: "value", name: "sparsity of the layer (%)", max: 100 }),
      yAxis: figureAxis({
        type: "value",
        name: title,
        nameGap: 44,
        scale: true,
        ...(unit === "%" ? { max: 100 } : {}),
      }),
      series: layers.map(({ name, measures }) => ({
        name,
        type: "line",
        symbolSize: 7,
        lineStyle: { width: 2 },
        data: [[0, before], ...measures.map(({ sparsity, value }) => [100 * sparsity, value])],
      })),
    }),
  };
}
