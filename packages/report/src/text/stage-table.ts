/** The list of stages that a run follows, as a table for people: a column only where any stage says something there. */
import type { Limit, Stage } from "@secateur/core";
import { formatFraction, formatNumber, formatRows } from "./format.ts";
import { formatTable } from "./table.ts";
import { wrapText } from "./wrap-text.ts";

/** Columns and rows; one row a stage. */
export function stageTable(stages: readonly Stage[]): {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
} {
  const columns = all.filter(({ of }) => stages.some((stage, index) => of(stage, index) !== ""));
  return {
    titles: columns.map(({ title }) => title),
    rows: stages.map((stage, index) => columns.map(({ of }) => of(stage, index))),
  };
}

/** The same stages as text of at most about 100 characters a line: what all stages share is said once, above the table. */
export function stageText(stages: readonly Stage[]): string {
  const { titles, rows } = stageTable(stages);
  const isShared = (c: number): boolean => stages.length > 1 && c > 0 && rows.every((row) => row[c] === rows[0]![c]);
  const columns = titles.map((title, c) => ({ title, c }));
  const shared = columns.filter(({ c }) => isShared(c)).map(({ title, c }) => `${title} ${rows[0]![c]}`);
  const own = columns.filter(({ c }) => !isShared(c));
  const table = formatTable(
    own.map(({ title }) => ({ title })),
    rows.map((row) => own.map(({ c }) => row[c]!)),
  );
  return `${shared.length === 0 ? "" : `${wrapText(`in every stage: ${shared.join("; ")}`)}\n`}${table}`;
}

const all: readonly { readonly title: string; of(stage: Stage, index: number): string }[] = [
  { title: "stage", of: (_stage, index) => String(index + 1) },
  { title: "sparsity", of: ({ sparsity }) => formatFraction(sparsity) },
  { title: "limits", of: ({ limits = [] }) => limits.map(limitText).join(", ") },
  { title: "scope", of: ({ scope }) => (scope.kind === "layers" ? `layers, ${scope.inputs} inputs` : "") },
  {
    title: "curvature",
    of: ({ curvature }) =>
      curvature
        ? `${curvature.name}${curvature.temperature === 1 ? "" : ` at temperature ${curvature.temperature}`}`
        : "",
  },
  {
    title: "gradient rows",
    of: ({ curvature }) => (curvature ? formatRows(curvature) : ""),
  },
  {
    title: "ridge",
    of({ curvature }) {
      if (!curvature) return "";
      const { ridge, ridgeFactors } = curvature;
      return ridge === "auto" && ridgeFactors.length > 1
        ? `auto, the best of ${ridgeFactors.join(", ")} times it`
        : String(ridge);
    },
  },
  { title: "first-order", of: ({ curvature }) => (curvature?.firstOrder ? "yes" : "") },
  {
    title: "competing with the step",
    of: ({ accept: { lineSearch, tryMagnitude } }) =>
      [...(lineSearch ? ["shorter ones"] : []), ...(tryMagnitude ? ["the largest magnitudes"] : [])].join(", "),
  },
  { title: "pruned weights come back", of: ({ prunes, regrow }) => (prunes && regrow ? "may" : "") },
  { title: "on trial", of: ({ regrowFraction }) => (regrowFraction > 0 ? formatNumber(regrowFraction) : "") },
  { title: "pruning", of: ({ prunes }) => (prunes ? "" : "none") },
  {
    title: "training after it",
    of: ({ train }) =>
      train
        ? `${train.epochs} ${train.epochs === 1 ? "epoch" : "epochs"}${train.keepsMomentum ? ", momentum kept" : ""}`
        : "",
  },
];

function limitText({ kind, amount, absolute }: Limit): string {
  return absolute ? `${formatNumber(amount)} ${kind}` : `${formatFraction(amount)} of ${kind}`;
}
