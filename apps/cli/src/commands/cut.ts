/** `secateur cut`: channels that do nothing are taken out of a network for good. */
import { assertNotInput } from "@secateur/run/node/check-places";
import { cutText } from "@secateur/run/node/cut/cut-text";
import { runCut } from "@secateur/run/node/cut/run-cut";
import { modelFile } from "@secateur/run/node/open/open-tfjs";
import type { Command } from "commander";
import { missingFlag } from "../errors.ts";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addMessageFlags, collect, multipleOption } from "../flags/common-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

interface CutFlags extends SessionFlags {
  readonly arch?: string;
  readonly out?: string;
  readonly inputShape?: readonly string[];
  readonly multipleOf?: number;
  readonly force?: boolean;
}

const examples = `
Examples:
  secateur cut net.magnitude-0.9.safetensors --out small.safetensors
  secateur cut masked.onnx --out small.onnx`;

/** Adds the command. */
export function addCutCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("cut")
    .description(
      "Write a smaller network that computes the same: channels that are zero, constant or read by nobody are taken out of every tensor, whoever made them so. Checked on random inputs before anything is written.",
    )
    .argument("<model>", "checkpoint of a known architecture, ONNX model, or TensorFlow.js layers model");
  addArchFlags(command, terminal);
  command
    .option("--out <file>", "NAME.onnx; of a checkpoint also NAME.safetensors or FOLDER/model.json")
    .option("--input-shape <name=extents>", "of an ONNX model's input, where sizes that are tried do not fit", collect)
    .addOption(multipleOption())
    .option("--force", "replace the file if it is there");
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", examples).action(async (model: string) => {
    const { out: place, force: overwrite = false, ...flags } = command.opts<CutFlags>();
    if (place === undefined) throw missingFlag("--out", "name the file to write, for example --out small.onnx");
    const [path, out] = [modelFile(absolutePath(terminal, model)), absolutePath(terminal, place)];
    assertNotInput({ outputs: [{ flag: "--out", path: out }], inputs: [path] });
    const { arch, inputShape, multipleOf } = flags;
    const run = { path, arch, out, inputShape, multipleOf, overwrite, cwd: terminal.cwd };
    const document = await withSession({ flags, terminal, overwrite }, (session) => runCut(run, session));
    printResult({ terminal, flags, document, text: () => cutText(document) });
  });
}
