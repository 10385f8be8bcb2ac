import type { ReportContent } from "@secateur/core";

/** A report's content as JSON, without the code that only a page needs; numbers that JSON does not have become null. */
export function jsonReport({ plottingLibrary: _code, ...content }: ReportContent): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}
