/** Figures of a report: an echarts option that is plain JSON, drawn here as SVG and again in the reader's browser. */
import type { ReportRun } from "@secateur/core";
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { LabelLayout } from "echarts/features";
import { SVGRenderer } from "echarts/renderers";
import { escapeHtml } from "../html.ts";
import { formatFraction } from "../text/format.ts";

use([BarChart, LineChart, GridComponent, LabelLayout, LegendComponent, TooltipComponent, SVGRenderer]);

/** One plot. */
export interface Figure {
  /** Also the id of its element. */
  readonly id: string;
  readonly title: string;
  readonly caption: string;
  /** JSON only: no functions, so that it can travel in the page. */
  readonly option: EChartsCoreOption;
}

/** Size in which a figure is drawn, in CSS pixels; it scales with the page. */
const figureSize = { width: 720, height: 380 } as const;

/** Middle tones that can be told apart on white and on black, also by people who see fewer colours. */
const palette: readonly string[] = ["#3b82f6", "#e8813a", "#22a06b", "#b065e0", "#e5484d", "#12a5b8", "#9a8b00"];

/** More lines or bars than this would repeat colours. */
export const mostColours: number = palette.length;

/** Text and lines take the colour of the page's text, so that one drawing serves light and dark pages. */
const ink = "currentColor";

/** The page's ground: page and SVG file set the variable for light and dark. */
export const paper = "var(--paper)";

/** What all figures share; `option` comes on top. */
export function figureOption(option: EChartsCoreOption): EChartsCoreOption {
  return {
    animation: false,
    color: [...palette],
    textStyle: { color: ink, fontFamily: "system-ui, sans-serif" },
    legend: { textStyle: { color: ink }, inactiveColor: "#888888", top: 0, itemGap: 24 },
    tooltip: {
      trigger: "axis",
      backgroundColor: "#1c2128",
      borderWidth: 0,
      textStyle: { color: "#ffffff" },
      confine: true,
    },
    grid: { left: 70, right: 30, top: 72, bottom: 60 },
    ...option,
  };
}

/** An axis in the figures' style; `axis` comes on top. */
export function figureAxis(axis: EChartsCoreOption): EChartsCoreOption {
  return {
    nameLocation: "middle",
    nameGap: 34,
    nameTextStyle: { color: ink },
    axisLabel: { color: ink },
    axisLine: { lineStyle: { color: ink, opacity: 0.5 } },
    axisTick: { lineStyle: { color: ink, opacity: 0.5 } },
    splitLine: { lineStyle: { color: ink, opacity: 0.15 } },
    ...axis,
  };
}

/** Draws a figure as an SVG element without any script. */
export function drawFigure({ id, option }: Figure): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, ...figureSize });
  try {
    chart.setOption(option);
    // Hover styles of the static drawing are of no use and would be repeated for every figure.
    const svg = chart.renderToSVGString().replace(/<style\s*>[\s\S]*?<\/style>/g, "");
    // The names within a drawing count all drawings of the process: the same figure is to be the same text.
    const names = new Map<string, string>();
    return svg.replace(/\bzr\d+[\w-]*/g, (name) => {
      if (!names.has(name)) names.set(name, `${id}-${names.size}`);
      return names.get(name)!;
    });
  } finally {
    chart.dispose();
  }
}

/** A figure as an SVG file of its own, readable on light and on dark pages. */
export function svgFile(figure: Figure): string {
  const style =
    "<style>svg{color:#1f2328;--paper:#ffffff;background:none}@media(prefers-color-scheme:dark){svg{color:#e6edf3;--paper:#0d1117}}</style>";
  const title = `<title>${escapeHtml(figure.title)}</title>`;
  const svg = drawFigure(figure).replace(/<svg[^>]*>/, (start) => `${start}\n${title}\n${style}`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${svg}\n`;
}

/** "chita at 90 %" */
export function runLabel({ solver, sparsity }: ReportRun): string {
  return `${solver} at ${formatFraction(sparsity)}`;
}

/** Six significant digits are more than a figure shows. */
export function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
