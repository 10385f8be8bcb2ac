/** Numbers, tables and command lines as people read them. */
export {
  formatBytes,
  formatCount,
  formatDuration,
  formatFraction,
  formatLoss,
  formatMeasure,
  formatNumber,
  formatPercent,
  formatShape,
  formatStats,
  plainText,
} from "./format.ts";
export { profileText } from "./profile-text.ts";
export { followProgress, type ProgressLine } from "./progress-line.ts";
export { roundRows, roundTitles } from "./round-table.ts";
export { sensitivityText } from "./sensitivity-text.ts";
export { shellCommand } from "./shell-command.ts";
export { shownArchitecture } from "./shown-architecture.ts";
export { stageText } from "./stage-table.ts";
export { formatTable } from "./table.ts";
export { wrapText } from "./wrap-text.ts";
