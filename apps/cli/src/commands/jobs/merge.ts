/** `secateur merge`: parts of a sweep as the whole. */
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { sweepBytes } from "@secateur/run";
import { assertEnding, assertNotInput } from "@secateur/run/node/check-places";
import { mergeParts } from "@secateur/run/node/jobs/merge-parts";
import { sweepText } from "@secateur/run/node/sweep/sweep-text";
import type { Command } from "commander";
import { missingFlag } from "../../errors.ts";
import { addMessageFlags } from "../../flags/common-flags.ts";
import { storePlace } from "../../flags/work-flags.ts";
import { absolutePath } from "../../run/absolute-path.ts";
import { printResult } from "../../run/print-result.ts";
import type { Terminal } from "../../terminal.ts";

const examples = `
Example:
  secateur merge part-*.json --out sweep.json`;

/** Adds the command. */
export function addMergeCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("merge")
    .description(
      "Check that all parts of one sweep are there, each once, and write what one process would have written.",
    )
    .argument("<parts...>", "files that secateur sweep --shard I/N --out FILE wrote, in any order")
    .option("--out <file>", "FILE.json: the whole result")
    .option("--store <dir>", "also keep the results in this store, so that later sweeps do not repeat them")
    .option("--force", "replace an existing output");
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", examples).action(async (parts: readonly string[]) => {
    const flags = command.opts<{ out?: string; store?: string; force?: boolean; json?: boolean; quiet?: boolean }>();
    if (flags.out === undefined) throw missingFlag("--out", "say where the whole goes, for example --out sweep.json");
    const paths = parts.map((part) => absolutePath(terminal, part));
    const [out, overwrite] = [absolutePath(terminal, flags.out), flags.force === true];
    assertEnding({ flag: "--out", path: out }, [".json"]);
    assertNotInput({ outputs: [{ flag: "--out", path: out }], inputs: paths });
    await checkOutput(out, { overwrite });
    const document = await mergeParts({ paths, store: storePlace(flags.store, terminal) });
    await writeFileAtomic(out, sweepBytes(document), { overwrite });
    printResult({ terminal, flags, document, text: () => `${sweepText(document)}\nwrote ${out}\n` });
  });
}
