/** What the plugin packages of the workspace offer, and the pages about it: formula, source, options, plan, measurements. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { keptCount, optionProperties, type Plugin, type PluginEntry, resolvePlan } from "@secateur/core";
import { describeRange, kebab, valueLabel } from "@secateur/run";
import type { Measured } from "./measured.ts";

/** A plugin package of the workspace. */
export interface PluginPackage {
  /** "@secateur/solvers-chita" */
  readonly name: string;
  /** "packages/solvers-chita" */
  readonly folder: string;
  readonly description: string;
  readonly plugin: Plugin;
}

/** Every built package under `root` that has a plugin manifest. */
export async function pluginPackages(root: string): Promise<readonly PluginPackage[]> {
  const found: PluginPackage[] = [];
  for (const file of globSync("packages/*/package.json", { cwd: root }).sort()) {
    const manifest = JSON.parse(readFileSync(join(root, file), "utf8")) as Manifest;
    const target = manifest.exports?.["./plugin"]?.default;
    const folder = file.replace(/[/\\]package\.json$/, "").replaceAll("\\", "/");
    if (target === undefined || !existsSync(join(root, folder, target))) continue;
    const { default: plugin } = (await import(pathToFileURL(join(root, folder, target)).href)) as { default: Plugin };
    found.push({ name: manifest.name, folder, description: manifest.description, plugin });
  }
  return found;
}

interface Manifest {
  readonly name: string;
  readonly description: string;
  readonly exports?: Readonly<Record<string, { readonly default?: string } | undefined>>;
}

/** The situation that plans are shown for: MLPNet on MNIST. */
const situation = { prunable: 32360, examples: 60000, initialSparsity: 0 };
const plannedSparsities = [0.5, 0.9, 0.98];

/** One page a package. `guides`: pages in docs that are about it, as links. */
export function methodPage(spec: {
  found: PluginPackage;
  guides: readonly { title: string; link: string }[];
  measured: Measured;
}): string {
  const { found, guides, measured } = spec;
  const short = found.name.replace(/^@[^/]+\//, "");
  const read = guides.map(({ title, link }) => `[${title}](${link})`);
  const intro = [
    `# What ${short} offers`,
    found.description,
    `The package is [\`${found.name}\`](../../${found.folder}/README.md)${read.length > 0 ? `; more in ${read.join(", ")}` : ""}. ` +
      "This page is made from what the package declares: `secateur explain NAME` prints the same.",
    "",
  ].join("\n\n");
  return `${intro}${found.plugin.entries.map((entry) => entrySection(entry, measured)).join("\n")}`;
}

function entrySection(entry: PluginEntry, measured: Measured): string {
  const parts = [`## ${entry.name} (${entry.kind})`, sentence(entry.summary)];
  if (entry.explanation) parts.push(explanationText(entry.explanation));
  if (entry.reference) parts.push(`**Source.** ${entry.reference}`);
  parts.push(optionTable(entry));
  if (entry.kind === "solver") {
    parts.push(planTable(entry), measuredTable(entry.name, measured));
  }
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function sentence(text: string): string {
  const end = /[.!?]$/.test(text) ? "" : ".";
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${end}`;
}

/** Lines that are indented are formulas. */
function explanationText(text: string): string {
  return text
    .split(/\n{2,}|\n(?=\s)|(?<=\n\s[^\n]*)\n/)
    .map((part) => (/^\s/.test(part) ? `\`\`\`text\n${part.trim()}\n\`\`\`` : part.replaceAll("*", "\\*")))
    .join("\n\n");
}

/** The options as a table, from the schema that also validates them. */
export function optionTable(entry: PluginEntry): string {
  const rows = Object.entries(optionProperties(entry.options)).map(([key, property]) => {
    const only = entry.optionsOnlyWith?.[key];
    const typed = flagKinds.includes(entry.kind) ? `--${kebab(key)}` : key;
    const meaning = `${cell(String(property["description"] ?? ""))}${only ? ` (with the curvature ${only.join(", ")} only)` : ""}`;
    return `| \`${typed}\` | \`${cell(valueLabel(property))}\` | ${cell(describeRange(property))} | ${meaning} |`;
  });
  if (rows.length === 0) return "It has no options of its own.";
  return ["| option | takes | default and range | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

/** Kinds whose options are flags of the commands; those of others are keys of recipes or of --curvature-option. */
const flagKinds: readonly string[] = ["solver", "selector", "saliency", "updater"];

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replace(/\s+/g, " ");
}

/** What the solver's own plan is; solvers whose options cannot all be left out have none. */
function planTable(entry: Extract<PluginEntry, { kind: "solver" }>): string {
  const options = entry.options["~standard"].validate({});
  if (options instanceof Promise || options.issues) return "";
  const solver = entry.create(options.value as never);
  const rows = plannedSparsities.map((sparsity) => {
    const plan = resolvePlan(solver, { ...situation, sparsity });
    const takesGradients = (solver.needs.curvature ?? []).length > 0;
    const gradients = takesGradients
      ? `${plan.curvature} | ${plan.examples}${plan.batch === 1 ? "" : ` of ${plan.batch}`}`
      : "none | ";
    const how = `${plan.stages} + ${plan.targetStages} | ${gradients} | ${cell(plan.reason)}`;
    return { how, row: `| ${sparsity} | ${keptCount(situation.prunable, sparsity)} | ${how} |` };
  });
  // Where the sparsity changes nothing, one row says it.
  const isOne = rows.every(({ how }) => how === rows[0]!.how);
  const shown = isOne ? [`| any | k | ${rows[0]!.how} |`] : rows.map(({ row }) => row);
  const head = "| sparsity | kept | stages: rising + at the target | curvature | gradient rows | why |";
  return `Its plan for MLPNet (${situation.prunable} weights) on MNIST, when nothing is set:\n\n${[head, "|---|---|---|---|---|---|", ...shown].join("\n")}`;
}

function measuredTable(name: string, measured: Measured): string {
  const own = measured.runs.filter(({ solver }) => solver === name);
  if (own.length === 0) return "";
  const head = own.map(({ sparsity }) => `${100 * sparsity} %`).join(" | ");
  const values = own.map(({ accuracy }) => accuracy.toFixed(2)).join(" | ");
  const text = `Measured: ${measured.what}; accuracy in percent (${measured.dense.toFixed(2)} before pruning), as its own plan runs it:`;
  return `${text}\n\n| sparsity | ${head} |\n|---|${"---|".repeat(own.length)}\n| accuracy | ${values} |`;
}
