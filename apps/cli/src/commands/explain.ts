/** `secateur explain`: a method's formula, source and options, and how it would be run. */
import {
  type EntryKind,
  type EntryOf,
  entryKinds,
  keptCount,
  layoutParams,
  makeStages,
  optionProperties,
  type RunSituation,
  readFlat,
  runSituation,
} from "@secateur/core";
import { formatCount, formatTable, stageTable } from "@secateur/report/text";
import {
  asSolver,
  describeOption,
  type FoundEntry,
  flagWithoutEffect,
  isLiftable,
  kebab,
  mapDataPaths,
  needsGradients,
  resolveOptions,
  type SolverEntry,
  valueLabel,
} from "@secateur/run";
import { type DenseSettings, findAnyEntry, modelFile, openAnyModel, openData, parseRetrain } from "@secateur/run/node";
import { type Command, Option } from "commander";
import { addSparsityFlag } from "../flags/common-flags.ts";
import { wholeParser } from "../flags/number.ts";
import { explainSchedule } from "../retrain/explain-schedule.ts";
import { addScheduleFlags } from "../retrain/retrain-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import type { Terminal } from "../terminal.ts";

interface ExplainFlags {
  readonly kind?: EntryKind;
  readonly sparsity?: number;
  readonly model?: string;
  readonly arch?: string;
  readonly data?: string;
  readonly weights?: number;
  readonly trainExamples?: number;
  readonly retrainEpochs?: number;
  readonly phases?: number | "auto";
  readonly denseTraining?: DenseSettings;
}

/** The size of the situation a plan is shown for: MLPNet on MNIST. */
const usual = { sparsity: 0.9, weights: 32360, trainExamples: 60000 };

const examples = `
Examples:
  secateur explain chita
  secateur explain chita --sparsity 0.98 --weights 266200 --train-examples 60000
  secateur explain chita --model lenet5.safetensors --data mnist
      the plan for that network, whose layers decide what a plan costs
  secateur explain gmp --kind training-rule
      the rule of train --rule, where a schedule has the same name
  secateur explain llr --sparsity 0.98 --phases 3 --retrain-epochs 10
      a schedule of retraining: sparsities, epochs and rates of its phases`;

/** Adds the command. */
export function addExplainCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("explain")
    .summary("say what a method does, and how it would be run")
    .description("Show a method's formula, its paper, its options, and the plan it would follow.")
    .argument("<name>", "anything that secateur plugins lists: a solver, a curvature, a schedule of --retrain, ...");
  command.addOption(
    new Option("--kind <kind>", "which of several things of one name (default: the first in this order)").choices(
      entryKinds,
    ),
  );
  command.optionsGroup("The situation to show the plan for:");
  addSparsityFlag(command, `default: ${usual.sparsity}`);
  command
    .addOption(new Option("--model <file>", "the network itself: its layers decide what a plan costs"))
    .addOption(new Option("--arch <name>", "with --model: the network its tensors belong to"))
    .addOption(new Option("--data <data>", "with --model: the data; their training split counts"))
    .addOption(
      new Option("--weights <n>", `prunable weights (default: ${usual.weights}, MLPNet)`).argParser(
        wholeParser("--weights", 1),
      ),
    )
    .addOption(
      new Option("--train-examples <n>", `training examples (default: ${usual.trainExamples}, MNIST)`).argParser(
        wholeParser("--train-examples", 1),
      ),
    );
  addScheduleFlags(command);
  command.addHelpText("after", examples).action(async (name: string) => {
    const flags = command.opts<ExplainFlags>();
    const found = await findAnyEntry(name, terminal.cwd, flags.kind);
    keptCount(1, flags.sparsity ?? usual.sparsity); // refuses a sparsity outside [0, 1)
    const situation = flags.model === undefined ? sizesOf(flags) : await situationOf(flags.model, flags, terminal);
    if (found.entry.kind === "schedule") {
      terminal.stdout.write(
        await scheduleText({ ...found, entry: found.entry }, flags, { situation, from: terminal.cwd }),
      );
      return;
    }
    const stray = (["retrainEpochs", "phases", "denseTraining"] as const).find((key) => flags[key] !== undefined);
    if (stray !== undefined) {
      throw flagWithoutEffect({ flag: `--${kebab(stray)}`, reason: `${name} is no schedule of retraining` });
    }
    terminal.stdout.write(await explanation(found, situation));
  });
}

/** A situation of sizes alone. @throws ERR_USAGE for flags that need a model */
function sizesOf(flags: ExplainFlags): RunSituation {
  const stray = (["arch", "data"] as const).find((key) => flags[key] !== undefined);
  if (stray !== undefined) throw flagWithoutEffect({ flag: `--${stray}`, reason: "it belongs to --model" });
  return {
    sparsity: flags.sparsity ?? usual.sparsity,
    prunable: flags.weights ?? usual.weights,
    examples: flags.trainExamples ?? usual.trainExamples,
    initialSparsity: 0,
  };
}

/** The situation of a model, as a run of prune would see it. @throws ERR_USAGE for --weights, what opening throws */
async function situationOf(path: string, flags: ExplainFlags, terminal: Terminal): Promise<RunSituation> {
  if (flags.weights !== undefined) throw flagWithoutEffect({ flag: "--weights", reason: "the model has its own" });
  if (flags.data !== undefined && flags.trainExamples !== undefined) {
    throw flagWithoutEffect({ flag: "--train-examples", reason: "the data say how many there are" });
  }
  const onEvent = (): void => {};
  const { cwd } = terminal;
  const absolute = (file: string): string => absolutePath(terminal, file);
  const model = await openAnyModel({
    path: modelFile(absolute(path)),
    arch: flags.arch,
    engine: undefined,
    cwd,
    onEvent,
  });
  try {
    const { network, classes, spec } = model;
    const params = layoutParams(network);
    const weights = await readFlat(network, params);
    const sparsity = flags.sparsity ?? usual.sparsity;
    const data =
      flags.data &&
      (await openData({
        data: mapDataPaths(flags.data, absolute),
        normalize: undefined,
        classes,
        network: spec,
        onEvent,
      }));
    const situation = runSituation({
      model: network,
      params,
      weights,
      sparsity,
      ...(data ? { data: data.train } : {}),
    });
    return data ? situation : { ...situation, examples: flags.trainExamples ?? usual.trainExamples };
  } finally {
    model.close();
  }
}

async function scheduleText(
  found: FoundEntry<EntryOf<"schedule">>,
  { retrainEpochs, phases, denseTraining }: ExplainFlags,
  { situation, from }: { situation: RunSituation; from: string },
): Promise<string> {
  const { name } = found.entry;
  // Programs of many prunings are shown at the length of their papers.
  const epochs = retrainEpochs ?? (name === "gradual" ? 100 : name === "gmp" || name === "bimp" ? 20 : 10);
  const value = {
    schedule: name,
    epochs,
    ...(phases === undefined ? {} : { phases }),
    ...(denseTraining === undefined ? {} : { dense: denseTraining }),
  };
  const { settings } = await parseRetrain({ where: "explain", value, from });
  return await explainSchedule({ found, situation, settings });
}

async function explanation(found: FoundEntry, situation: RunSituation): Promise<string> {
  const { entry, packageName, version } = found;
  const parts = [`${entry.name}: ${entry.summary}\n`];
  if (found.note !== undefined) parts.push(`Note: ${found.note}\n`);
  if (entry.explanation) parts.push(`${wrap(entry.explanation)}\n`);
  if (entry.reference) parts.push(`Reference: ${entry.reference}\n`);
  parts.push(optionsText(found));
  const use = uses[entry.kind]?.(entry.name);
  if (use !== undefined) parts.push(`${use}\n`);
  if (isLiftable(entry)) parts.push(await planText({ ...found, entry: asSolver(entry) }, situation));
  parts.push(`From ${packageName} ${version}.\n`);
  return parts.join("\n");
}

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
  return `Options:\n${indent(formatTable([{ title: isMethod ? "flag" : "option" }, { title: "meaning" }], rows))}`;
}

async function planText({ entry }: FoundEntry<SolverEntry>, situation: RunSituation): Promise<string> {
  const solver = entry.create((await resolveOptions(entry, {})) as never);
  const isLayered = solver.scope === "layers";
  const { plan, stages } = makeStages({
    ...{ solver, situation, takesGradients: needsGradients(solver) && !isLayered },
    ...(isLayered ? { scope: { kind: "layers", inputs: "sequential" } } : {}),
  });
  const { sparsity, prunable, examples } = situation;
  const { titles, rows } = stageTable(stages);
  const lines = [
    ...(stages.length === 1
      ? ["stages: 1"]
      : [
          `stages: ${plan.stages} rising (${plan.schedule}) + ${plan.targetStages} at the target = ${stages.length}, with fresh gradients each`,
        ]),
    ...(needsGradients(solver) ? [] : ["gradients: none needed"]),
    `why: ${isLayered ? "layers are pruned one by one from their inputs, once" : plan.reason}`,
  ];
  const keeps = `${formatCount(keptCount(prunable, sparsity))} of ${formatCount(prunable)} weights`;
  const head = `Plan for sparsity ${sparsity} (keeps ${keeps}) with ${formatCount(examples)} training examples:\n`;
  const table = formatTable(
    titles.map((title) => ({ title })),
    rows,
  );
  return head + indent(lines.map((line) => `${line}\n`).join("") + table);
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}

/** Paragraphs at most 100 characters wide; lines that are indented (formulas) stay as they are. */
function wrap(text: string): string {
  return text
    .split("\n")
    .map((line) => (/^\s/.test(line) ? line : wrapLine(line)))
    .join("\n");
}

function wrapLine(line: string): string {
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(" ")) {
    if (current !== "" && current.length + 1 + word.length > 100) {
      lines.push(current);
      current = word;
    } else {
      current = current === "" ? word : `${current} ${word}`;
    }
  }
  return [...lines, current].join("\n");
}
