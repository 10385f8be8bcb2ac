/** A report as one HTML file that needs nothing else: drawings, data, and the plotting library itself are in it. */
import { drawFigure, type Figure } from "./figures/figure.ts";
import { escapeHtml, scriptJson } from "./html.ts";
import { pageStyle } from "./page-style.ts";

/** Nothing may be fetched, whatever the page holds. */
const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/** Replaces the static drawings by live ones, with values under the pointer. Without scripts the drawings stay. */
const livePlots = `
for (const { id, option } of JSON.parse(document.getElementById("figures").textContent)) {
  const box = document.getElementById(id);
  box.replaceChildren();
  // On a narrow screen the legend would wrap over the plot, and the plot would be too flat.
  if (box.clientWidth < 560) {
    box.style.aspectRatio = "1";
    option.legend.type = "scroll";
    option.grid.top = 48;
  }
  const chart = echarts.init(box, null, { renderer: "svg" });
  chart.setOption(option);
  new ResizeObserver(() => chart.resize()).observe(box);
}
`;

/** A section of the page: its title and its HTML. */
export interface Section {
  readonly title: string;
  readonly html: string;
}

/**
 * Makes the page.
 *
 * @param spec.title - plain text
 * @param spec.intro - HTML between the title and the figures
 * @param spec.sections - after the figures, in order
 * @param spec.plottingLibrary - code of ECharts for browsers, with which the page redraws its figures with values under the
 * pointer; absent: the drawings stay as they are
 */
export function makePage(spec: {
  title: string;
  intro: string;
  figures: readonly Figure[];
  sections: readonly Section[];
  plottingLibrary?: string | undefined;
}): string {
  const { title, intro, figures, sections, plottingLibrary } = spec;
  const options = figures.map(({ id, option }) => ({ id, option }));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${intro}
${figures.map(figureHtml).join("\n")}
${sections.map(({ title: name, html }) => `<section>\n<h2>${escapeHtml(name)}</h2>\n${html}\n</section>`).join("\n")}
</main>
${plottingLibrary === undefined ? "" : liveScripts(options, plottingLibrary)}</body>
</html>
`;
}

function figureHtml(figure: Figure): string {
  const { id, title, caption } = figure;
  return `<section>
<h2>${escapeHtml(title)}</h2>
<figure>
<div class="plot" id="${escapeHtml(id)}" role="img" aria-label="${escapeHtml(title)}">${drawFigure(figure)}</div>
<figcaption>${escapeHtml(caption)}</figcaption>
</figure>
</section>`;
}

function liveScripts(options: unknown, plottingLibrary: string): string {
  return `<script type="application/json" id="figures">${scriptJson(options)}</script>
<script>${plottingLibrary.replaceAll("</script", "<\\/script")}</script>
<script>${livePlots}</script>
`;
}
