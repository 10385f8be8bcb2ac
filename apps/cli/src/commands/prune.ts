/** The command line of `secateur prune`: its flags, its help. */

import type { FoundEntry, SolverEntry } from "@secateur/run";
import type { RecipeFile } from "@secateur/run/node/recipe/recipe";
import type { Command } from "commander";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addAugmentationFlags, addReestimateFlag } from "../flags/batch-norm-flags.ts";
import {
  addDataFlags,
  addEngineFlag,
  addFrozenFlag,
  addKeepDenseFlag,
  addMessageFlags,
  addRunFlags,
  addSparsityFlag,
  collect,
  opsetOption,
} from "../flags/common-flags.ts";
import { addInputFlags } from "../flags/input-flags.ts";
import { addLayersFlags } from "../flags/layers-flags.ts";
import { addLimitFlags } from "../flags/limit-flags.ts";
import { addPlanFlags } from "../flags/plan-flags.ts";
import { addSolverFlags } from "../flags/solver-flags.ts";
import { addWorkFlags } from "../flags/work-flags.ts";
import type { PruneFlags } from "../prune/prune-settings.ts";
import { addRetrainFlags } from "../retrain/retrain-flags.ts";
import type { Terminal } from "../terminal.ts";

const examples = `
Examples:
  secateur prune mlpnet.safetensors --arch mlpnet --data mnist --sparsity 0.95
      keeps one weight in twenty, chosen and re-fitted by chita; writes mlpnet.chita-0.95.safetensors
  secateur prune net.safetensors --data npy:X.npy,Y.npy --solver magnitude --sparsity 0.5 --json
      the baseline, with the result as JSON
  secateur prune net.safetensors --data mnist --sparsity 0.98 --stages 30 --report report.html
      thirty stages with fresh gradients, and a report with plots
  secateur prune mlpnet.safetensors --data mnist --solver magnitude --sparsity 0.98 --retrain llr --retrain-epochs 10 --phases 3
      three rounds of pruning and retraining
  secateur prune net.safetensors --data npy:X.npy,Y.npy --solver layerwise --sparsity 0.6
      layer by layer from the layers' inputs; --units of-every:2/4 instead of a sparsity for sparse tensor cores
  secateur prune --recipe net.chita-0.9.recipe.json --force
      the same run again, to the same bytes
An interrupted run of several stages or rounds goes on with the same command and --resume.`;

/** What the command's flags depend on. */
interface PruneCommandSpec {
  readonly terminal: Terminal;
  /** Its options are flags. */
  readonly found: FoundEntry<SolverEntry>;
  readonly recipe: RecipeFile | undefined;
  readonly argv: readonly string[];
}

/** Adds the command. */
export function addPruneCommand(program: Command, spec: PruneCommandSpec): void {
  const command = program
    .command("prune")
    .description("Remove weights from a trained network, re-fit the rest, and measure what that costs.");
  command.argument(
    "[model]",
    "checkpoint to prune (safetensors, PyTorch or a plugin's format), an ONNX model or a TensorFlow.js model.json; with --recipe it may be left out",
  );
  command.optionsGroup("What to prune:");
  addDataFlags(command, "gradients come from its training split, accuracy from its test split");
  addArchFlags(command, spec.terminal);
  addEngineFlag(command);
  addFrozenFlag(command);
  addReestimateFlag(command);
  addAugmentationFlags(
    command,
    "for --reestimate-batch-norm and --retrain",
    "what gives the lower training loss; 0 with --retrain",
  );
  addInputFlags(command, { hasState: false });
  command.optionsGroup("How:");
  addSparsityFlag(command, "default: 0.9");
  addKeepDenseFlag(command);
  addLimitFlags(command);
  command.optionsGroup("By which method:");
  command
    .option(
      "--solver <name>",
      "which method; secateur plugins lists them (default: chita; layerwise where --flops is the only limit and layers differ in the operations of a weight)",
    )
    .option("--selector <name>", "instead of --solver: the method that chooses which weights are kept")
    .option("--updater <name>", "with --selector: the method that finds the kept weights (default: none)")
    .option("--option <key=value>", "an option of the solver or of the plan, may be repeated", collect)
    .option("--curvature-option <key=value>", "an option of the curvature, may be repeated", collect)
    .option(
      "--recipe <file>",
      "repeat the run of a .recipe.json, or run one from secateur init; flags given as well win over it",
    );
  addPlanFlags(command);
  addLayersFlags(command);
  addWorkFlags(command, { hasShards: false });
  addRetrainFlags(command);
  command
    .optionsGroup("Where results go:")
    .option(
      "--out <file>",
      "the pruned network: FILE.safetensors, FILE.onnx, FOLDER/model.json for TensorFlow.js, or a plugin's ending (default: MODEL.SOLVER-SPARSITY beside the model)",
    )
    .addOption(opsetOption())
    .option("--report <file>", "FILE.html: a page with plots, self-contained; FILE.json: its content as data")
    .option("--force", "replace existing outputs")
    .option("--resume", "continue an interrupted run from its last finished stage or epoch");
  addRunFlags(command);
  addMessageFlags(command, { hasEvents: true });
  const ownFlags = new Set(command.options.map((option) => option.long ?? ""));
  addSolverFlags(command, spec.found.entry);
  command.addHelpText("after", examples).action(async (model: string | undefined) => {
    const { callPrune } = await import("../prune/call-prune.ts");
    await callPrune({ ...spec, model, flags: command.opts<PruneFlags>(), ownFlags });
  });
}
