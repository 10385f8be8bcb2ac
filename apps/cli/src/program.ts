/** The commands, put together. */
import { unknownName } from "@secateur/core";
import { badUsage } from "@secateur/run";
import { solverNameFrom } from "@secateur/run/node/plugins/find-solver";
import { ownVersion } from "@secateur/run/node/plugins/own-version";
import { Command } from "commander";
import { commandList, commandNames } from "./command-list.ts";
import { refuseContradictions } from "./flags/refuse-contradictions.ts";
import type { Terminal } from "./terminal.ts";
import { UsageCommand } from "./usage-command.ts";

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
    .helpOption("-h, --help", "print this help")
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
  for (const { name: listed, usage, summary, add } of commandList) {
    // Of the other commands the help shows a line.
    if (listed !== name)
      program
        .command(listed)
        .usage(usage)
        .action(() => refuseLate(listed));
    else await add(program, { terminal, argv, solver, recipeFile });
    program.commands.at(-1)!.summary(summary);
  }
  for (const command of program.commands) refuseContradictions(command);
  return program;
}

/** A command is loaded where it is the first word; nothing may seem done that was not. */
function refuseLate(name: string): never {
  throw badUsage(`'${name}' has to come first, before any flag: secateur ${name} ...`);
}

/** How wide a stream's terminal is; 100 where it is none. */
function columns(stream: NodeJS.WritableStream): number {
  return "columns" in stream && typeof stream.columns === "number" ? stream.columns : 100;
}

function withoutDashes(words: readonly string[]): readonly string[] {
  return words[0] === "--" ? words.slice(1) : words;
}

/** The command and the flags that decide which other flags there are; everything else is judged later. */
function scan(argv: readonly string[]): {
  name: string | undefined;
  solver: string | undefined;
  recipeFile: string | undefined;
} {
  // "--" says that no flags of the program follow, of which there are none that go with a command.
  const words = withoutDashes(argv);
  const [name, ...rest] = words[0] === "help" ? withoutDashes(words.slice(1)) : words;
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
