/**
 * `node apps/cli/bench/read-lines.ts LINES_FOLDER DICTIONARY MODEL...`: how many characters of the test lines each recogniser reads (text-lines.ts says
 * what the folder holds), its weights and those that are not zero.
 */
import process from "node:process";
import { createWasmKernels } from "@secateur/backends-wasm";
import { badUsage } from "@secateur/run";
import { openAnyModel } from "@secateur/run/node";
import { quietSession } from "./bench-network.ts";
import { digits, printTable } from "./print.ts";
import { characterAccuracy, readDictionary, readLines } from "./text-lines.ts";

const [folder, dictionary, ...paths] = process.argv.slice(2);
if (folder === undefined || dictionary === undefined || paths.length === 0)
  throw badUsage("give LINES_FOLDER DICTIONARY MODEL...");
const kernels = await createWasmKernels({ threads: 1 });
const session = quietSession(kernels, 0);
const rows: (string | undefined)[][] = [];
for (const path of paths) {
  const { network } = await openAnyModel({
    path,
    arch: undefined,
    engine: undefined,
    cwd: process.cwd(),
    onEvent: () => {},
  });
  const lines = await readLines(folder, { part: "test", input: network.inputs![0]!.name });
  let [weights, left] = [0, 0];
  for (const { name } of network.params()) {
    const { data } = await network.read(name);
    weights += data.length;
    for (const w of data) if (w !== 0) left++;
  }
  const read = await characterAccuracy(
    { model: network, lines, dictionary: readDictionary(dictionary) },
    session.context(),
  );
  rows.push([path, `${weights}`, `${left}`, digits(read)]);
}
printTable(["model", "weights", "not zero", "characters (%)"], rows);
await kernels.close();
