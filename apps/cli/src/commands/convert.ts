/** `secateur convert`: a network in another file format, and nothing else. */
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { formatBytes } from "@secateur/report/text";
import { badUsage } from "@secateur/run";
import { architectureKey, encodeNetwork, findEncoder, isOnnxOutput, modelFile, openAnyModel } from "@secateur/run/node";
import type { Command } from "commander";
import { missingFlag } from "../errors.ts";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addMessageFlags } from "../flags/common-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { assertNotInput } from "../run/check-places.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

interface ConvertFlags extends SessionFlags {
  readonly arch?: string;
  readonly out?: string;
  readonly force?: boolean;
}

const usageExamples = `
Examples:
  secateur convert mlpnet.safetensors --arch mlpnet --out mlpnet.onnx
  secateur convert resnet20.pth --arch resnet20 --out resnet20.safetensors`;

/** Adds the command. */
export function addConvertCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("convert")
    .summary("write a network in another format")
    .description("Write a checkpoint as an ONNX model or as safetensors; the ending of --out chooses.")
    .argument("<model>", "checkpoint (safetensors or PyTorch) of a known architecture");
  command.optionsGroup("What to write:");
  addArchFlags(command, terminal);
  command.option("--out <file>", "the file to write: .onnx or .safetensors");
  command.option("--force", "replace the file if it is there");
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", usageExamples).action(async (model: string) => {
    await runConvert({ model, flags: command.opts<ConvertFlags>(), terminal });
  });
}

async function runConvert(spec: { model: string; flags: ConvertFlags; terminal: Terminal }): Promise<void> {
  const { flags, terminal } = spec;
  if (flags.out === undefined) throw missingFlag("--out", "name the file to write, for example --out model.onnx");
  const path = modelFile(absolutePath(terminal, spec.model));
  const out = absolutePath(terminal, flags.out);
  const overwrite = flags.force === true;
  if (!isOnnxOutput(out)) await findEncoder(out, terminal.cwd);
  assertNotInput({ outputs: [{ flag: "--out", path: out }], inputs: [path] });
  await checkOutput(out, { overwrite });
  const document = await withSession({ flags, terminal, overwrite }, async ({ onEvent }) => {
    const { own, close } = await openAnyModel({
      path,
      arch: flags.arch,
      engine: undefined,
      cwd: terminal.cwd,
      onEvent,
    });
    close();
    if (!own) {
      throw badUsage(
        `${path}: only checkpoints of a known architecture are converted; give a safetensors or PyTorch file`,
      );
    }
    const { network, architecture } = own;
    const metadata = { ...own.metadata, [architectureKey]: architecture.name };
    const bytes = await encodeNetwork({ network, path: out, metadata, stored: own.stored, from: terminal.cwd });
    await writeFileAtomic(out, bytes, { overwrite });
    return { out, arch: architecture.name, bytes: bytes.length };
  });
  printResult({
    terminal,
    flags,
    document,
    text: () => `${document.out}, ${formatBytes(document.bytes)} (${document.arch})\n`,
  });
}
