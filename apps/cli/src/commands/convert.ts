/** `secateur convert`: a network in another file format, and nothing else. */
import { assertNotInput } from "@secateur/run/node/check-places";
import { convertText, runConvert } from "@secateur/run/node/export/run-convert";
import { modelFile } from "@secateur/run/node/open/open-tfjs";
import { type Command, Option } from "commander";
import { missingFlag } from "../errors.ts";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addMessageFlags, compressOption, opsetOption } from "../flags/common-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

interface ConvertFlags extends SessionFlags {
  readonly arch?: string;
  readonly out?: string;
  readonly opset?: number;
  readonly values?: "uint8";
  readonly compress?: boolean;
  readonly force?: boolean;
}

const usageExamples = `
Examples:
  secateur convert mlpnet.safetensors --arch mlpnet --out mlpnet.onnx
  secateur convert resnet20.pth --arch resnet20 --out resnet20/model.json
  secateur convert net/model.json --out net.onnx
  secateur convert net/model.json --out small/model.json --values uint8 --compress`;

/** Adds the command. */
export function addConvertCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("convert")
    .description(
      "Write a network as an ONNX model, as a TensorFlow.js layers model, as safetensors or in a plugin's format; the name after --out chooses.",
    )
    .argument(
      "<model>",
      "checkpoint (safetensors, PyTorch or a plugin's format) of a known architecture, or a TensorFlow.js layers model",
    );
  command.optionsGroup("What to write:");
  addArchFlags(command, terminal);
  command.option("--out <file>", "NAME.onnx, NAME.safetensors, FOLDER/model.json, or NAME with a plugin's ending");
  command.addOption(opsetOption());
  command.addOption(
    new Option("--values <type>", "of a TensorFlow.js model's weights (default: f32)").choices(["uint8"]),
  );
  command.option(...compressOption);
  command.option("--force", "replace the file if it is there");
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", usageExamples).action(async (model: string) => {
    await callConvert({ model, flags: command.opts<ConvertFlags>(), terminal });
  });
}

async function callConvert(spec: { model: string; flags: ConvertFlags; terminal: Terminal }): Promise<void> {
  const { flags, terminal } = spec;
  if (flags.out === undefined) throw missingFlag("--out", "name the file to write, for example --out model.onnx");
  const path = modelFile(absolutePath(terminal, spec.model));
  const out = absolutePath(terminal, flags.out);
  const { arch, opset, values, compress = false, force: overwrite = false } = flags;
  assertNotInput({ outputs: [{ flag: "--out", path: out }], inputs: [path] });
  const document = await withSession({ flags, terminal, overwrite }, ({ onEvent }) =>
    runConvert({ path, out, arch, opset, values, compress, overwrite, cwd: terminal.cwd, onEvent }),
  );
  printResult({ terminal, flags, document, text: () => convertText(document) });
}
