import { type Figure, figureAxis, figureOption } from "./figures/figure.ts";
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
import {
  proposalText,
  remeasuredWords,
  type SensitivityReportDocument,
  scannedSparsities,
} from "./text/sensitivity-text.ts";
import { shownArchitecture } from "./text/shown-architecture.ts";

/**
 * The report of one `secateur sensitivity`, as HTML.
 *
 * @param spec.command - as typed, to repeat the run
 * @param spec.plottingLibrary - see `makePage`
 */
export function sensitivityReport(spec: {
  document: SensitivityReportDocument;
  command: string;
  plottingLibrary?: string;
}): string {
  const { document, command, plottingLibrary } = spec;
  const { arch, data, dense, measure, layers, solver, seed, versions } = document;
  const number = (text: string) => ({ text, isNumber: true });
  const sparsities = scannedSparsities(document);
  const rows = layers.map(({ name, shape, size, measures }) => [
    { text: name },
    { text: formatShape(shape) },
    number(formatCount(size)),
    ...sparsities.map((sparsity) => {
      const found = measures.find((one) => one.sparsity === sparsity);
      return number(found ? formatMeasure({ value: found.value, unit: measure.unit }) : "-");
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
  const summary = `By ${solver} on ${data}, seed ${seed}; measured on ${formatCount(dense.examples)} training examples that gave no gradients, ${formatMeasure(measure)} ${measure.name} before pruning${remeasuredWords(document)}.`;
  return makePage({
    title: `How much each layer of ${shownArchitecture(arch)} stands`,
    intro: `<p class="soft">${escapeHtml(summary)}</p>\n<p>${escapeHtml(proposalText(document).trim()).replaceAll("\n", "<br>\n")}</p>`,
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
