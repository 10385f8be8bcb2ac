/** The table of operators in docs/onnx.md. */
import { recurrentOperators } from "../plan/recurrent.ts";
import { operators } from "./registry.ts";

/** Where the table stands in the page. */
const tableMarks = { start: "<!-- operators -->", end: "<!-- /operators -->" } as const;

/** The table, as Markdown. */
function operatorTable(): string {
  const recurrent = recurrentOperators.map((name) => ({
    name,
    derivative: "yes",
    layout: "first",
    weightInputs: [1, 2],
  }));
  const rows = [...operators, ...recurrent]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, derivative, layout, weightInputs }) => {
      const gradients = derivative === "yes" ? "backward, tangent" : derivative === "none" ? "flat: none" : "none";
      return `| ${name} | ${gradients} | ${weightInputs ? "yes" : ""} | ${layout === "first" ? "" : "yes"} |`;
    });
  const head = ["| operator | derivatives | has weights that are pruned | keeps channels last |", "|---|---|---|---|"];
  return [...head, ...rows].join("\n");
}

/** A page with the table as it is now. */
export function withTable(page: string): string {
  const [before, rest] = page.split(tableMarks.start) as [string, string];
  return `${before}${tableMarks.start}\n${operatorTable()}\n${tableMarks.end}${rest.split(tableMarks.end)[1]}`;
}
