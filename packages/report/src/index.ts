/** Reports of pruning runs as one HTML file that needs nothing else. */
export { compareReport } from "./compare-report.ts";
export { figureAxis, figureOption, svgFile } from "./figure.ts";
export { accuracyFigure } from "./figures.ts";
export { pruneReport, reportRun } from "./prune-report.ts";
export { makeReport } from "./report.ts";
export type { ReportContent, ReportRun } from "./report-run.ts";
export { sensitivityReport } from "./sensitivity-report.ts";
