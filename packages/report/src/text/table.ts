import { wrapText } from "./wrap-text.ts";

/** A column of a text table. */
export interface Column {
  readonly title: string;
  /** Numbers align right; default left. */
  readonly align?: "left" | "right";
  /** Longer cells go on below, in lines of so many characters; for one column of a table. */
  readonly wrap?: number;
}

/** Rows under titles, two spaces between columns, no trailing blanks; ends with a newline. */
export function formatTable(columns: readonly Column[], cells: readonly (readonly string[])[]): string {
  const rows = cells.flatMap((row) => wrapRow(columns, row));
  const widths = columns.map(({ title }, c) =>
    rows.reduce((width, row) => Math.max(width, (row[c] ?? "").length), title.length),
  );
  const line = (row: readonly string[]) =>
    columns
      .map(({ align }, c) =>
        align === "right" ? (row[c] ?? "").padStart(widths[c]!) : (row[c] ?? "").padEnd(widths[c]!),
      )
      .join("  ")
      .trimEnd();
  return [columns.map(({ title }) => title), ...rows].map((row) => `${line(row)}\n`).join("");
}

/** A row, and the lines under it that its wrapped cell needs. */
function wrapRow(columns: readonly Column[], row: readonly string[]): readonly (readonly string[])[] {
  const at = columns.findIndex(({ wrap }) => wrap !== undefined);
  if (at < 0) return [row];
  const [first = "", ...rest] = wrapText(row[at] ?? "", columns[at]!.wrap).split("\n");
  return [
    row.map((cell, c) => (c === at ? first : cell)),
    ...rest.map((line) => row.map((_, c) => (c === at ? line : ""))),
  ];
}
