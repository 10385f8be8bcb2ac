/** `secateur eval`: accuracy and loss of a network on the test split. */
import type { Evaluation } from "@secateur/core";
import { formatCount, formatLoss, formatMeasure, shownArchitecture } from "@secateur/report/text";
import { type AugmentationFlags, flagWithoutEffect, mapDataPaths, poseTask } from "@secateur/run";
import { reestimate } from "@secateur/run/node/norm/batch-norm";
import type { EngineChoice } from "@secateur/run/node/open/load-tensorflow";
import { openAnyModel, ownNetwork } from "@secateur/run/node/open/open-any-model";
import { openData } from "@secateur/run/node/open/open-data";
import { modelFile } from "@secateur/run/node/open/open-tfjs";
import { findTask } from "@secateur/run/node/plugins/find-task";
import type { Command } from "commander";
import { missingFlag } from "../errors.ts";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addAugmentationFlags } from "../flags/batch-norm-flags.ts";
import { addDataFlags, addEngineFlag, addMessageFlags, addRunFlags, type DataFlags } from "../flags/common-flags.ts";
import { addInputFlags, type InputFlags } from "../flags/input-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

interface EvalFlags extends SessionFlags, AugmentationFlags, InputFlags, DataFlags {
  readonly reestimateBatchNorm?: boolean;
  readonly arch?: string;
  readonly engine?: EngineChoice;
  readonly dense?: string;
}

const usageExamples = `
Examples:
  secateur eval mlpnet.safetensors --arch mlpnet --data mnist
  secateur eval net.safetensors --data npy:X.npy,Y.npy --normalize 0.5,0.25 --json`;

/** Adds the command. */
export function addEvalCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("eval")
    .description(
      "Measure the loss and what else the task measures (for classes the accuracy in percent) on the test split.",
    )
    .argument(
      "<model>",
      "checkpoint (safetensors, PyTorch or a plugin's format), ONNX model, TensorFlow.js model.json, or packed .secateur file",
    );
  command.optionsGroup("What to evaluate:");
  addDataFlags(command, "its test split is used");
  addArchFlags(command, terminal);
  addEngineFlag(command);
  command.option(
    "--reestimate-batch-norm",
    "first measure the statistics of batch normalisation on the training split",
  );
  addAugmentationFlags(command, "for --reestimate-batch-norm");
  command.option("--dense <model>", "without targets: the network whose outputs are compared with (default: its own)");
  addInputFlags(command, { hasState: false });
  addRunFlags(command);
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", usageExamples).action(async (model: string) => {
    await runEval({ model, flags: command.opts<EvalFlags>(), terminal });
  });
}

async function runEval(spec: { model: string; flags: EvalFlags; terminal: Terminal }): Promise<void> {
  const { flags, terminal } = spec;
  if (flags.data === undefined) throw missingFlag("--data", "say what to evaluate on, for example --data mnist");
  const paths = (path: string) => absolutePath(terminal, path);
  const data = mapDataPaths(flags.data, paths);
  const { document, text } = await withSession({ flags, terminal, overwrite: false }, async (session) => {
    const { arch, engine } = flags;
    const opening = { arch, engine, inputs: flags, cwd: terminal.cwd, mayBePacked: true, onEvent: session.onEvent };
    const open = (path: string) => openAnyModel({ ...opening, path });
    const model = await open(modelFile(paths(spec.model)));
    const { network } = model;
    const named = flags.task === undefined ? undefined : (await findTask(flags.task, terminal.cwd)).task;
    const splits = await openData({
      data,
      ...{ normalize: flags.normalize, preprocess: { text: flags.preprocess }, stated: model.stated },
      task: named ?? model.own?.trainedFor,
      classes: model.classes,
      network: model.spec,
      inputs: network.inputs,
      onEvent: session.onEvent,
      cwd: terminal.cwd,
    });
    const { test } = splits;
    if (flags.reestimateBatchNorm) {
      const own = ownNetwork(model, "--reestimate-batch-norm");
      await reestimate({ network: own.network, data: splits, flags, session });
    }
    if (flags.dense !== undefined && test.targets) {
      throw flagWithoutEffect({ flag: "--dense", reason: "the data have targets" });
    }
    const { dense: other } = flags;
    const dense = other === undefined ? model : await open(modelFile(paths(other)));
    const posed = await poseTask({ network: dense.network, data: splits, named, session });
    const evaluation = await posed.evaluate(network);
    model.close();
    if (dense !== model) dense.close();
    const { measuredOn } = posed;
    const isAlone = posed.task.targetsFrom === "teacher" && test.targets === undefined;
    const whose = other === undefined ? "its own outputs" : `the outputs of ${other}`;
    const itself = isAlone
      ? `: against ${whose}, as the data have no targets (give some: npy:X.npy,Y.npy; --dense MODEL compares with another network)`
      : "";
    const where = `${test.name}${measuredOn === "calibration" ? ", which is all there is" : ""} (${shownArchitecture(model.arch)})${itself}`;
    return { document: { ...evaluation, measuredOn }, text: evalText(evaluation, where) };
  });
  printResult({ terminal, flags, document, text: () => text });
}

function evalText(evaluation: Evaluation, where: string): string {
  const { measures, examples } = evaluation;
  const measured = measures.map((measure) => `${formatMeasure(measure)} ${measure.name}, `).join("");
  return `${measured}loss ${formatLoss(evaluation)} on ${formatCount(examples)} examples of ${where}\n`;
}
