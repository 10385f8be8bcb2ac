/**
 * The commands in the order of the help, each with its line there. What a command is made of is loaded when it is called: all of them together are a
 * thousand modules, which take longer to load than most commands take.
 */
import type { FoundEntry, SolverEntry } from "@secateur/run";
import type { Command } from "commander";
import { absolutePath } from "./run/absolute-path.ts";
import type { Terminal } from "./terminal.ts";

/** One call of the program. */
export interface Call {
  readonly terminal: Terminal;
  readonly argv: readonly string[];
  /** The flags that decide which other flags `prune` and `solve` have. */
  readonly solver: string | undefined;
  readonly recipeFile: string | undefined;
}

interface ListedCommand {
  readonly name: string;
  /** As commander makes it of the command's flags and arguments. */
  readonly usage: string;
  readonly summary: string;
  /** Adds the command with everything that it takes. */
  add(program: Command, call: Call): Promise<void>;
}

/** The best method we have, of a whole network and of one layer. */
const defaultSolver = "chita";
const defaultLayerSolver = "layerwise";

/** The commands, first to last as the help lists them. */
export const commandList: readonly ListedCommand[] = [
  {
    name: "prune",
    usage: "[options] [model]",
    summary: "remove weights from a trained network and re-fit the rest",
    async add(program, call) {
      const { addPruneCommand } = await import("./commands/prune.ts");
      const { terminal, solver, recipeFile, argv } = call;
      const recipe = recipeFile === undefined ? undefined : await recipeOf(recipeFile, terminal);
      const found = await foundSolver(solver ?? recipe?.solver ?? defaultSolver, terminal);
      addPruneCommand(program, { terminal, found, recipe, argv });
    },
  },
  {
    name: "solve",
    usage: "[options]",
    summary: "solve one pruning problem given as .npy files",
    async add(program, { terminal, solver, argv }) {
      const { addSolveCommand } = await import("./commands/solve.ts");
      const isLayer = argv.some((word) => word === "--gram" || word.startsWith("--gram="));
      const found = await foundSolver(solver ?? (isLayer ? defaultLayerSolver : defaultSolver), terminal);
      addSolveCommand(program, { terminal, found });
    },
  },
  {
    name: "eval",
    usage: "[options] <model>",
    summary: "measure a network's accuracy",
    async add(program, { terminal }) {
      (await import("./commands/eval.ts")).addEvalCommand(program, terminal);
    },
  },
  {
    name: "train",
    usage: "[options] [model]",
    summary: "train a network, or go on training one",
    async add(program, call) {
      (await import("./commands/train.ts")).addTrainCommand(program, call);
    },
  },
  {
    name: "compare",
    usage: "[options] <model>",
    summary: "prune one network by several methods, side by side",
    async add(program, call) {
      (await import("./commands/jobs/compare.ts")).addCompareCommand(program, call);
    },
  },
  {
    name: "sweep",
    usage: "[options] <model>",
    summary: "methods, sparsities, seeds and ridges as one table, on one machine or many",
    async add(program, call) {
      (await import("./commands/jobs/sweep.ts")).addSweepCommand(program, call);
    },
  },
  {
    name: "merge",
    usage: "[options] <parts...>",
    summary: "put the parts of a sweep together that --shard wrote",
    async add(program, { terminal }) {
      (await import("./commands/jobs/merge.ts")).addMergeCommand(program, terminal);
    },
  },
  {
    name: "worker",
    usage: "[options]",
    summary: "make runs that commands with --queue hand out",
    async add(program, { terminal }) {
      (await import("./commands/jobs/worker.ts")).addWorkerCommand(program, terminal);
    },
  },
  {
    name: "status",
    usage: "[options]",
    summary: "what a queue holds and who serves it",
    async add(program, { terminal }) {
      (await import("./commands/jobs/worker.ts")).addStatusCommand(program, terminal);
    },
  },
  {
    name: "init",
    usage: "[options] [file]",
    summary: "write a recipe with comments, to edit and run",
    async add(program, { terminal }) {
      (await import("./commands/init.ts")).addInitCommand(program, terminal);
    },
  },
  {
    name: "sensitivity",
    usage: "[options] <model>",
    summary: "prune one layer at a time and say which to keep dense",
    async add(program, call) {
      (await import("./commands/sensitivity.ts")).addSensitivityCommand(program, call);
    },
  },
  {
    name: "inspect",
    usage: "[options] <model>",
    summary: "show what a checkpoint holds",
    async add(program, { terminal }) {
      (await import("./commands/inspect.ts")).addInspectCommand(program, terminal);
    },
  },
  {
    name: "convert",
    usage: "[options] <model>",
    summary: "write a network in another format",
    async add(program, { terminal }) {
      (await import("./commands/convert.ts")).addConvertCommand(program, terminal);
    },
  },
  {
    name: "cut",
    usage: "[options] <model>",
    summary: "take channels that do nothing out of a network",
    async add(program, { terminal }) {
      (await import("./commands/cut.ts")).addCutCommand(program, terminal);
    },
  },
  {
    name: "pack",
    usage: "[options] <model>",
    summary: "make a small file that runs fast",
    async add(program, { terminal }) {
      (await import("./commands/pack.ts")).addPackCommand(program, terminal);
    },
  },
  {
    name: "unpack",
    usage: "[options] <file>",
    summary: "make a checkpoint or an ONNX model of a packed network",
    async add(program, { terminal }) {
      (await import("./commands/unpack.ts")).addUnpackCommand(program, terminal);
    },
  },
  {
    name: "bench",
    usage: "[options] [model...]",
    summary: "measure what networks take, dense and packed",
    async add(program, { terminal }) {
      (await import("./commands/bench.ts")).addBenchCommand(program, terminal);
    },
  },
  {
    name: "plugins",
    usage: "[options]",
    summary: "list the methods at hand",
    async add(program, { terminal }) {
      (await import("./commands/plugins.ts")).addPluginsCommand(program, terminal);
    },
  },
  {
    name: "explain",
    usage: "[options] <name>",
    summary: "say what a method does, and how it would be run",
    async add(program, { terminal }) {
      (await import("./commands/explain.ts")).addExplainCommand(program, terminal);
    },
  },
];

/** Their names, in the order of the help. */
export const commandNames: readonly string[] = commandList.map(({ name }) => name);

async function recipeOf(file: string, terminal: Terminal) {
  const { readRecipe } = await import("@secateur/run/node/recipe/read-recipe");
  return await readRecipe(absolutePath(terminal, file), terminal.cwd);
}

async function foundSolver(name: string, { cwd }: Terminal): Promise<FoundEntry<SolverEntry>> {
  const { findSolver } = await import("@secateur/run/node/plugins/find-solver");
  return await findSolver(name, cwd);
}
