/** Output of the benchmarks: lines and tables of numbers. */
import process from "node:process";
import { formatTable } from "@secateur/report/text";

/** Prints a line. */
export function printLine(text = ""): void {
  showProgress("");
  process.stdout.write(`${text}\n`);
}

/** Shows on a terminal what is being measured, in a line that the next one replaces; an empty text takes it away. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** Prints a table; the first column is aligned left, all others right. Columns that are undefined in every row are left out. */
export function printTable(titles: readonly string[], rows: readonly (readonly (string | undefined)[])[]): void {
  const shown = titles.map((_, c) => rows.some((row) => row[c] !== undefined));
  const only = <T>(cells: readonly T[]): T[] => cells.filter((_, c) => shown[c]);
  const columns = only(titles).map((title, c) => ({ title, ...(c === 0 ? {} : ({ align: "right" } as const)) }));
  printLine(
    formatTable(
      columns,
      rows.map((row) => only(titles.map((_, c) => row[c] ?? ""))),
    ),
  );
}

/** A number with a fixed count of decimals, or nothing. */
export function decimals(value: number | undefined, places: number): string | undefined {
  return value === undefined ? undefined : value.toFixed(places);
}

/** Four significant digits without exponent. */
export function digits(value: number | undefined): string | undefined {
  if (value === undefined) return undefined;
  const places = value === 0 ? 3 : Math.min(8, Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toFixed(places);
}

/** A fraction as percent: 0.0123 -> "1.23 %". */
export function percent(fraction: number | undefined, places = 2): string | undefined {
  return fraction === undefined ? undefined : `${(100 * fraction).toFixed(places)} %`;
}
