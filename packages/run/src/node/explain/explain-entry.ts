/** What `secateur explain` says of anything with a name: formula, source and options, and of a method the stages that it would be run in. */
import {
  type EntryKind,
  expectedWork,
  heldOutCount,
  keptCount,
  makeStages,
  optionProperties,
  type ResolvedPlan,
  type RunSituation,
  type Solver,
} from "@secateur/core";
import { formatCount, formatTable, stageText, wrapText } from "@secateur/report/text";
import type { FoundEntry, SolverEntry } from "../../plugins/found-entry.ts";
import { asSolver, isLiftable } from "../../plugins/lift-entry.ts";
import { describeOption, kebab, valueLabel } from "../../plugins/option-schema.ts";
import { resolveOptions } from "../../plugins/resolve-options.ts";
import { needsGradients } from "../../prune/prune-network.ts";
import { operationsSolver } from "../prune/operations-solver.ts";

/** The page of an entry that is no schedule of retraining. */
export async function explainEntry(found: FoundEntry, situation: RunSituation): Promise<string> {
  const { entry, packageName, version } = found;
  const parts = [`${wrapText(`${entry.name}: ${entry.summary}`)}\n`];
  if (found.note !== undefined) parts.push(`Note: ${found.note}\n`);
  if (entry.explanation) parts.push(`${wrapText(entry.explanation)}\n`);
  if (entry.reference) parts.push(`${wrapText(`Reference: ${entry.reference}`)}\n`);
  parts.push(optionsText(found));
  const use = uses[entry.kind]?.(entry.name);
  if (use !== undefined) parts.push(`${use}\n`);
  if (entry.kind === "solver" && (entry.name === operationsSolver || entry.name === "chita"))
    parts.push(`${wrapText(defaultText)}\n`);
  if (isLiftable(entry)) parts.push(await planText({ ...found, entry: asSolver(entry) }, situation));
  parts.push(`From ${packageName} ${version}.\n`);
  return parts.join("\n");
}

/** When prune takes which solver by itself. */
const defaultText = `Where prune names no solver it takes ${operationsSolver} if --flops is the only limit and layers differ in the operations of a weight, as those of image networks do, else chita.`;

/** How to use what is no method by itself. */
const uses: Partial<Record<EntryKind, (name: string) => string>> = {
  saliency: (name) =>
    `A saliency: --solver ${name} keeps the highest scores, --selector ${name} with any --updater re-fits them.`,
  selector: (name) =>
    `A selector: --solver ${name} keeps its weights as they are, --selector ${name} with any --updater re-fits them.`,
  updater: (name) => `An updater: --selector magnitude --updater ${name}, or after any other selector.`,
  curvature: (name) => `A curvature: --curvature ${name}; --curvature-option KEY=VALUE sets its options.`,
  task: (name) => `A task: --task ${name}, or --task ${name}:KEY=VALUE,... with its options.`,
  "training-rule": (name) => `A training rule: train --rule ${name}; --rule-option KEY=VALUE sets its options.`,
  allocation: (name) => `An allocation: --allocation ${name}, with --exclude and --layer-limit as bounds.`,
  architecture: (name) => `A network: --arch ${name}; secateur train makes one.`,
  dataset: (name) => `A dataset: --data ${name}, with a colon and a path where it needs one.`,
  format: (name) => `A format of model files: ${name}.`,
  reporter: (name) => `A reporter: --report FILE.${name}.`,
};

function optionsText({ entry }: FoundEntry): string {
  // Only options of methods are flags; those of other kinds are typed as KEY=VALUE.
  const isMethod = isLiftable(entry) || entry.kind === "updater";
  const rows = Object.entries(optionProperties(entry.options)).map(([key, property]) => [
    isMethod ? `--${kebab(key)} ${valueLabel(property)}` : `${key}=${valueLabel(property)}`,
    describeOption(property),
  ]);
  if (rows.length === 0) return "It has no options of its own.\n";
  const widest = rows.reduce((width, [flag = ""]) => Math.max(width, flag.length), 0);
  const columns = [{ title: isMethod ? "flag" : "option" }, { title: "meaning", wrap: Math.max(40, 96 - widest) }];
  return `Options:\n${indent(formatTable(columns, rows))}`;
}

async function planText({ entry }: FoundEntry<SolverEntry>, situation: RunSituation): Promise<string> {
  const solver = entry.create((await resolveOptions(entry, {})) as never);
  const isLayered = solver.scope === "layers";
  const { plan, stages } = makeStages({
    ...{ solver, situation, takesGradients: needsGradients(solver) && !isLayered },
    ...(isLayered ? { scope: { kind: "layers", inputs: "sequential" } } : {}),
  });
  const { sparsity, prunable, examples } = situation;
  const lines = [
    ...(stages.length === 1
      ? ["stages: 1"]
      : [
          `stages: ${plan.stages} rising (${plan.schedule}) + ${plan.targetStages} at the target = ${stages.length}, with fresh gradients each`,
        ]),
    ...(needsGradients(solver) ? [] : ["gradients: none needed"]),
    ...(isLayered ? [] : workLines(solver, plan, situation)),
    `why: ${isLayered ? "layers are pruned one by one from their inputs, once" : plan.reason}`,
  ];
  const keeps = `${formatCount(keptCount(prunable, sparsity))} of ${formatCount(prunable)} weights`;
  const head = `Plan for sparsity ${sparsity} (keeps ${keeps}) with ${formatCount(examples)} training examples:\n`;
  return head + indent(lines.map((line) => `${wrapText(line)}\n`).join("") + stageText(stages));
}

/** What a run costs, in multiply-adds and as so many epochs of training, each of three forward passes an example. */
function workLines(solver: Solver, plan: ResolvedPlan, situation: RunSituation): readonly string[] {
  const { prunable, weightReuse = 1, examples } = situation;
  const macs = prunable * weightReuse;
  const counted = expectedWork({ solver, plan, situation, accept: heldOutCount(examples, macs), recalibrates: false });
  const work = counted.gradients + counted.products + counted.losses;
  if (work === 0) return [];
  const epochs = Number((work / (3 * macs * examples)).toPrecision(2));
  return [
    `work: about ${work.toPrecision(2)} multiply-adds, as many as ${epochs} epochs of training on the same examples`,
  ];
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}
