/** The commands, put together. */
import { unknownName } from "@secateur/core";
import { badUsage } from "@secateur/run";
import { findSolver, ownVersion, readRecipe, solverNameFrom } from "@secateur/run/node";
import { Command } from "commander";
import { addBenchCommand } from "./commands/bench.ts";
import { addConvertCommand } from "./commands/convert.ts";
import { addCutCommand } from "./commands/cut.ts";
import { addEvalCommand } from "./commands/eval.ts";
import { addExplainCommand } from "./commands/explain.ts";
import { addInitCommand } from "./commands/init.ts";
import { addInspectCommand } from "./commands/inspect.ts";
import { addCompareCommand } from "./commands/jobs/compare.ts";
import { addMergeCommand } from "./commands/jobs/merge.ts";
import { addSweepCommand } from "./commands/jobs/sweep.ts";
import { addWorkerCommands } from "./commands/jobs/worker.ts";
import { addPackCommand } from "./commands/pack.ts";
import { addPluginsCommand } from "./commands/plugins.ts";
import { addPruneCommand } from "./commands/prune.ts";
import { addSensitivityCommand } from "./commands/sensitivity.ts";
import { addSolveCommand } from "./commands/solve.ts";
import { addTrainCommand } from "./commands/train.ts";
import { addUnpackCommand } from "./commands/unpack.ts";
import { refuseContradictions } from "./flags/refuse-contradictions.ts";
import { absolutePath } from "./run/absolute-path.ts";
import type { Terminal } from "./terminal.ts";
import { UsageCommand } from "./usage-command.ts";

/** The commands in the order of the help. */
export const commandNames = [
  "prune",
  "solve",
  "eval",
  "train",
  "compare",
  "sweep",
  "merge",
  "worker",
  "status",
  "init",
  "sensitivity",
  "inspect",
  "convert",
  "cut",
  "pack",
  "unpack",
  "bench",
  "plugins",
  "explain",
] as const;

/** The best method we have, of a whole network and of one layer. */
const defaultSolver = "chita";
const defaultLayerSolver = "layerwise";

const examples = `
Examples:
  secateur train --arch mlpnet --data mnist --out mlpnet.safetensors
  secateur prune mlpnet.safetensors --data mnist --sparsity 0.95 --report report.html
  secateur prune --solver magnitude --help
  secateur explain chita

Exit codes: 0 done, 1 failed while running, 2 bad input or usage, 130 interrupted.`;

/**
 * Builds the program for one call. The options of the solver that the call names are flags of the call, so the solver is
 * found before anything is parsed.
 *
 * @throws ERR_UNKNOWN_NAME and plugin errors for the solver, ERR_RECIPE and file errors for the recipe
 */
export async function buildProgram(argv: readonly string[], terminal: Terminal): Promise<Command> {
  const program = new UsageCommand("secateur")
    .description("Prune neural networks: remove weights, re-fit the rest, measure what it costs.")
    .version(ownVersion(), "--version", "print the version")
    .helpOption("--help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .configureHelp({ subcommandTerm: (command) => `${command.name()} ${command.usage()}`.trim() })
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      getOutHelpWidth: () => columns(terminal.stdout),
      getErrHelpWidth: () => columns(terminal.stderr),
      outputError: () => {}, // reported by reportFailure, in our form
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride()
    .addHelpText("after", examples);
  const { name, solver, recipeFile } = scan(argv);
  if (argv[0] === "version") throw badUsage("there is no command 'version'; write secateur --version");
  const isKnown = name === undefined || name === "help" || commandNames.some((known) => known === name);
  if (argv[0] === "help" && !isKnown && !name.startsWith("-")) {
    throw unknownName({ where: "help", what: "command", found: name, known: commandNames });
  }
  const find = (wanted: string) => findSolver(wanted, terminal.cwd);
  if (name === "prune") {
    const recipe =
      recipeFile === undefined ? undefined : await readRecipe(absolutePath(terminal, recipeFile), terminal.cwd);
    const found = await find(solver ?? recipe?.solver ?? defaultSolver);
    addPruneCommand(program, { terminal, found, recipe, argv });
  } else {
    addPruneCommand(program);
  }
  if (name === "solve") {
    const isLayer = argv.some((word) => word === "--gram" || word.startsWith("--gram="));
    const found = await find(solver ?? (isLayer ? defaultLayerSolver : defaultSolver));
    addSolveCommand(program, { terminal, found });
  } else addSolveCommand(program);
  addEvalCommand(program, terminal);
  addTrainCommand(program, { terminal, argv });
  addCompareCommand(program, { terminal, argv });
  addSweepCommand(program, { terminal, argv });
  addMergeCommand(program, terminal);
  addWorkerCommands(program, terminal);
  addInitCommand(program, terminal);
  addSensitivityCommand(program, { terminal, argv });
  addInspectCommand(program, terminal);
  addConvertCommand(program, terminal);
  addCutCommand(program, terminal);
  addPackCommand(program, terminal);
  addUnpackCommand(program, terminal);
  addBenchCommand(program, terminal);
  addPluginsCommand(program, terminal);
  addExplainCommand(program, terminal);
  for (const command of program.commands) refuseContradictions(command);
  return program;
}

/** How wide a stream's terminal is; 100 where it is none. */
function columns(stream: NodeJS.WritableStream): number {
  return "columns" in stream && typeof stream.columns === "number" ? stream.columns : 100;
}

/** The command and the flags that decide which other flags there are; everything else is judged later. */
function scan(argv: readonly string[]): {
  name: string | undefined;
  solver: string | undefined;
  recipeFile: string | undefined;
} {
  const isHelp = argv[0] === "help";
  const [name, ...rest] = isHelp ? argv.slice(1) : argv;
  const scout = new Command()
    .option("--solver <name>")
    .option("--selector <name>")
    .option("--updater <name>")
    .option("--recipe <file>")
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  try {
    scout.parse(rest, { from: "user" });
  } catch {
    // A flag without its value: the real parser says so.
  }
  const { recipe, ...named } = scout.opts<{ solver?: string; selector?: string; updater?: string; recipe?: string }>();
  // Other commands refuse these flags themselves.
  const solver = name === "prune" || name === "solve" ? solverNameFrom(named) : undefined;
  return { name, solver, recipeFile: recipe };
}
