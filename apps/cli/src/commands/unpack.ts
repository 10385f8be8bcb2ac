/** `secateur unpack`: a packed network as a checkpoint again. */
import { assertNotInput } from "@secateur/run/node/check-places";
import { runUnpack, unpackText } from "@secateur/run/node/pack/run-unpack";
import type { Command } from "commander";
import { missingFlag } from "../errors.ts";
import { addMessageFlags, compressOption } from "../flags/common-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { printResult } from "../run/print-result.ts";
import type { Terminal } from "../terminal.ts";

interface UnpackFlags {
  readonly out?: string;
  readonly compress?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const examples = `
Example:
  secateur unpack net.secateur --out net.safetensors
  secateur unpack net.secateur --out net.onnx`;

/** Adds the command. */
export function addUnpackCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("unpack")
    .description(
      "Write a packed network's tensors, zeros included, as a checkpoint, or the network as an ONNX model (8-bit weights stay 8 bits).",
    )
    .argument("<file>", "packed network (.secateur)");
  command
    .option("--out <file>", "the output (.safetensors, .onnx, or a plugin's ending); always needed")
    .option(...compressOption)
    .option("--force", "replace an existing output");
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", examples).action(async (file: string) => {
    const flags = command.opts<UnpackFlags>();
    if (flags.out === undefined)
      throw missingFlag("--out", "say where the checkpoint goes, for example --out net.safetensors");
    const [path, out] = [absolutePath(terminal, file), absolutePath(terminal, flags.out)];
    assertNotInput({ outputs: [{ flag: "--out", path: out }], inputs: [path] });
    const { cwd, signal } = terminal;
    const { compress = false, force: overwrite = false } = flags;
    const document = await runUnpack({ path, out, overwrite, compress, cwd, signal });
    printResult({ terminal, flags, document, text: () => unpackText(document) });
  });
}
