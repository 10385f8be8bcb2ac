/** The table of operators in docs/onnx.md. */
import { findParams } from "../plan/params.ts";
import { planGraph } from "../plan/plan.ts";
import { recurrentOperators } from "../plan/recurrent.ts";
import { graphOfCase, operatorCases } from "./operator-cases.test-support.ts";
import { operators } from "./registry.ts";

/** Where the table stands in the page. */
const tableMarks = { start: "<!-- operators -->", end: "<!-- /operators -->" } as const;

/** Operators whose work counts: those of which some case has operations. */
function countedOperators(): ReadonlySet<string> {
  const counted = operatorCases.filter((spec) => {
    const graph = graphOfCase(spec);
    const { params } = findParams(graph, "f32");
    const inputs = new Map(graph.inputs.map(({ name, shape }) => [name, shape as readonly number[]]));
    const plan = { graph, opsets: { "": spec.opset }, params, dtype: "f32", inputs, kinds: new Map() } as const;
    const { steps, flops } = planGraph({ ...plan, activeInputs: [...inputs.keys()] });
    if (steps.length > 0) return flops > 0;
    // Of constants alone nothing is left to count; with other inputs the operator says itself what it costs.
    const operator = operators.find(({ name }) => name === spec.op);
    const types = spec.inputs.map(() => ({ kind: "real", shape: [2, 3] }) as const);
    return (operator?.flops({ node: graph.nodes[0]!, opset: spec.opset, inputs: types, weights: [] }, types) ?? 0) > 0;
  });
  return new Set(counted.map(({ op }) => op));
}

/** What a plan puts other things in the place of. */
const folded = [
  "| Constant | folds away | |  |  |",
  "| If | folds away, or both branches run and slopes go back through the one taken | |  |  |",
];

/** The table, as Markdown. */
function operatorTable(): string {
  const recurrent = recurrentOperators.map((name) => ({
    name,
    derivative: "yes",
    layout: "first",
    weightInputs: [1, 2],
  }));
  const counted = countedOperators();
  const rows = [...operators, ...recurrent].map(({ name, derivative, layout, weightInputs }) => {
    const gradients = derivative === "yes" ? "backward, tangent" : derivative === "none" ? "flat: none" : "none";
    const counts = counted.has(name) ? "yes" : "";
    return `| ${name} | ${gradients} | ${counts} | ${weightInputs ? "yes" : ""} | ${layout === "first" ? "" : "yes"} |`;
  });
  const head = [
    "| operator | derivatives | operations counted | has weights that are pruned | keeps channels last |",
    "|---|---|---|---|---|",
  ];
  return [...head, ...[...rows, ...folded].sort()].join("\n");
}

/** A page with the table as it is now. */
export function withTable(page: string): string {
  const [before, rest] = page.split(tableMarks.start) as [string, string];
  return `${before}${tableMarks.start}\n${operatorTable()}\n${tableMarks.end}${rest.split(tableMarks.end)[1]}`;
}
