/** Where the report of a command that writes no network goes, checked before the long work. */

import { checkOutput } from "@secateur/formats";
import { badUsage } from "@secateur/run";
import { assertInputsThere, assertNotInput, dataPaths } from "@secateur/run/node/check-places";
import type { Terminal } from "../terminal.ts";
import { absolutePath } from "./absolute-path.ts";

/**
 * Refuses a report that could not be written, and two outputs of one name.
 *
 * @param spec.report - absolute path, with an ending that was judged; undefined: none is written
 * @param spec.model - absolute path
 * @param spec.data - the data argument with absolute paths
 * @throws ERR_OUTPUT_IS_INPUT, ERR_OUTPUT_EXISTS, ERR_OUTPUT_FOLDER, ERR_OUTPUT_NOT_WRITABLE, ERR_USAGE
 */
export async function checkReport(spec: {
  report: string | undefined;
  /** As typed. */
  events: string | undefined;
  model: string;
  data: string;
  overwrite: boolean;
  terminal: Terminal;
}): Promise<void> {
  const { report, model, data, overwrite, terminal } = spec;
  const events = spec.events === undefined ? undefined : absolutePath(terminal, spec.events);
  assertNotInput({
    outputs: [
      { flag: "--report", path: report },
      { flag: "--events", path: events },
    ],
    inputs: [model, ...dataPaths(data)],
  });
  await assertInputsThere([model], data);
  if (report === undefined) return;
  if (report === events) throw badUsage(`${report}: two outputs would go there; give each its own name`);
  await checkOutput(report, { overwrite });
}
