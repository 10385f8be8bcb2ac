/** A column of a text table. */
export interface Column {
  readonly title: string;
  /** Numbers align right; default left. */
  readonly align?: "left" | "right";
}

/** Rows under titles, two spaces between columns, no trailing blanks; ends with a newline. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, c) =>
    rows.reduce((width, row) => Math.max(width, (row[c] ?? "").length), title.length),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, c) =>
        align === "right" ? (cells[c] ?? "").padStart(widths[c]!) : (cells[c] ?? "").padEnd(widths[c]!),
      )
      .join("  ")
      .trimEnd();
  return [columns.map(({ title }) => title), ...rows].map((row) => `${line(row)}\n`).join("");
}
