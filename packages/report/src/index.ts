/** Reports of pruning runs as one HTML file that needs nothing else. */
export { compareContent } from "./compare-report.ts";
export { accuracyFigure } from "./figures/accuracy-figure.ts";
export { figureAxis, figureOption, svgFile } from "./figures/figure.ts";
export { pruneContent, reportRun } from "./prune-report.ts";
export { makeReport } from "./report.ts";
export { sensitivityReport } from "./sensitivity-report.ts";
export { type SweepReportDocument, sweepReport } from "./sweep-report.ts";
export { trainingReport } from "./training-report.ts";
