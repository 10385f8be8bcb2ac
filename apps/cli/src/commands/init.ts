/** `secateur init`: a recipe to start from, with comments. */

import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { shellCommand } from "@secateur/report/text";
import { recipeKinds, recipeTemplate } from "@secateur/run";
import { assertEnding } from "@secateur/run/node/check-places";
import { type Command, Option } from "commander";
import { badFlagValue } from "../errors.ts";
import { absolutePath } from "../run/absolute-path.ts";
import type { Terminal } from "../terminal.ts";

const examples = `
Examples:
  secateur init
      writes secateur.recipe.jsonc; edit it, then: secateur prune --recipe secateur.recipe.jsonc
  secateur init chita.recipe.jsonc --kind prune --model net.safetensors --data mnist`;

interface InitFlags {
  readonly kind: (typeof recipeKinds)[number];
  readonly model?: string;
  readonly data?: string;
  readonly force?: boolean;
}

/** Adds the command. */
export function addInitCommand(program: Command, terminal: Terminal): void {
  program
    .command("init")
    .description("Write a recipe with comments that say what each key does; secateur prune --recipe FILE runs it.")
    .argument("[file]", "where it goes, .jsonc or .json", "secateur.recipe.jsonc")
    .addOption(
      new Option("--kind <name>", "imp: prune and retrain in rounds; prune: no training; gradual: prune while training")
        .choices(recipeKinds)
        .default("imp"),
    )
    .option("--model <file>", "the checkpoint it names (default: model.safetensors)")
    .option("--data <data>", "the data it names (default: mnist)")
    .option("--force", "replace an existing file")
    .addHelpText("after", examples)
    .action(async (file: string, flags: InitFlags) => {
      const path = absolutePath(terminal, file);
      assertEnding({ flag: "FILE", path }, [".jsonc", ".json"]);
      for (const flag of ["model", "data"] as const) {
        if (flags[flag] === "") throw badFlagValue({ flag: `--${flag}`, found: "", allowed: "a name" });
      }
      await checkOutput(path, { overwrite: flags.force === true });
      await writeFileAtomic(path, recipeTemplate(flags), { overwrite: flags.force === true });
      const next = flags.model === undefined ? 'set "model" and "data" in it to yours, then run it' : "run it";
      terminal.stdout.write(`wrote ${path}\n${next}: ${shellCommand("secateur", ["prune", "--recipe", file])}\n`);
    });
}
