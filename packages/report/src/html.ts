/** HTML from text that nobody vouches for. */

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as HTML text or as a quoted attribute's value. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => entities[char] ?? char);
}

/** A value as JSON that may stand inside a script element: no text in it can end the element. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value)
    .replace(/</g, "\\u003c")
    .replace(/\u2028/g, "\\u2028")
    .replace(/\u2029/g, "\\u2029");
}

/** A table cell: text, and whether it is a number. */
export interface Cell {
  readonly text: string;
  readonly isNumber?: boolean;
}

/** A table with one header row. */
export function htmlTable(titles: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = ({ text, isNumber }: Cell) => `<td${isNumber ? ' class="number"' : ""}>${escapeHtml(text)}</td>`;
  // A title stands where its column's numbers stand.
  const head = titles
    .map((title, c) => `<th scope="col"${rows[0]?.[c]?.isNumber ? ' class="number"' : ""}>${escapeHtml(title)}</th>`)
    .join("");
  const body = rows.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("\n");
  return `<div class="wide"><table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${body}\n</tbody></table></div>`;
}
