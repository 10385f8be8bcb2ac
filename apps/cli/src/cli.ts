/** The command line as a function: arguments and streams in, exit code out. */
import { withOptionOwners } from "@secateur/run/node/plugins/option-owners";
import { commandNames } from "./command-list.ts";
import { exitCodes, reportFailure } from "./failure.ts";
import { buildProgram } from "./program.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Runs one call of `secateur`. Prints its result and its messages; never throws and never ends the process.
 *
 * @param argv - the arguments after the executable's name
 * @returns 0 done, 1 failed while running, 2 bad input or usage, 130 interrupted
 * @example
 * const code = await main(["inspect", "net.safetensors"], { stdout, stderr, cwd: process.cwd(), signal });
 */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const program = await buildProgram(argv, terminal);
    await program.parseAsync([...argv], { from: "user" });
    return exitCodes.done;
  } catch (error) {
    const name = commandNames.find((candidate) => candidate === argv[0]);
    return reportFailure(await withOptionOwners(error), name === undefined ? "secateur" : `secateur ${name}`, terminal);
  }
}
