/** Where the results of `secateur prune` go, checked before the long work. */

import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { checkOutput } from "@secateur/formats";
import { badEnding, badUsage } from "@secateur/run";
import {
  findEncoder,
  findReporter,
  isOnnxModel,
  isOnnxOutput,
  isTfjsModel,
  type PruneOutputs,
  recipePath,
  statePath,
} from "@secateur/run/node";
import { stateLeftBehind } from "../errors.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { assertEnding, assertNotInput } from "../run/check-places.ts";
import type { Terminal } from "../terminal.ts";

/** The flags that say where results go. */
export interface OutputFlags {
  readonly out?: string;
  readonly report?: string;
  readonly events?: string;
  readonly force?: boolean;
  readonly resume?: boolean;
}

/**
 * Decides and checks the outputs. Without --out the pruned network goes next to the model, named after solver and sparsity.
 *
 * @param spec.inputs - absolute paths of the files that are read beside the model
 * @throws ERR_OUTPUT_FORMAT, ERR_OUTPUT_IS_INPUT, ERR_OUTPUT_EXISTS, ERR_OUTPUT_FOLDER, ERR_OUTPUT_NOT_WRITABLE, ERR_USAGE, ERR_RESUME
 */
export async function planOutputs(spec: {
  flags: OutputFlags;
  model: string;
  inputs: readonly (string | undefined)[];
  solver: string;
  sparsity: number;
  terminal: Terminal;
}): Promise<PruneOutputs> {
  const { flags, terminal } = spec;
  const overwrite = flags.force === true;
  const isFolder = await isTfjsModel(spec.model);
  const out = isFolder
    ? modelFolder(spec)
    : await modelPath(spec, (await isOnnxModel(spec.model)) ? ".onnx" : ".safetensors");
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  if (report !== undefined) await findReporter(report, terminal.cwd); // refuses an ending that names none
  // A run that was killed after it wrote some outputs and before it took its state away goes on, and writes them again.
  const isContinued = flags.resume === true && existsSync(statePath(out));
  const outputs = { out, recipe: recipePath(out), state: statePath(out), report, overwrite: overwrite || isContinued };
  const events = flags.events === undefined ? undefined : absolutePath(terminal, flags.events);
  assertNotInput({
    outputs: [
      { flag: "--out", path: isFolder ? join(out, "model.json") : out },
      { flag: "--report", path: report },
      { flag: "--events", path: events },
    ],
    inputs: [spec.model, ...spec.inputs],
  });
  const paths = [out, outputs.recipe, outputs.state, report, events].filter((path) => path !== undefined);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw badUsage(`${twice}: two outputs would go there; give each its own name`);
  if (isFolder) await checkFolder(out, outputs);
  for (const path of [...(isFolder ? [] : [out]), outputs.recipe, ...(report === undefined ? [] : [report])]) {
    await checkOutput(path, outputs);
  }
  if (existsSync(outputs.state) && !flags.resume && !overwrite) throw stateLeftBehind(outputs.state);
  return outputs;
}

interface Placed {
  readonly flags: OutputFlags;
  readonly model: string;
  readonly solver: string;
  readonly sparsity: number;
  readonly terminal: Terminal;
}

/** The file of a pruned network: an ONNX model stays one. @throws ERR_OUTPUT_FORMAT, ERR_USAGE for an ending of another format */
async function modelPath(spec: Placed, ending: ".onnx" | ".safetensors"): Promise<string> {
  const { flags, model, terminal } = spec;
  const stem = basename(model).replace(/\.(safetensors|ckpt|json|onnx|pth?(\.tar)?)$/i, "");
  const out =
    flags.out === undefined
      ? join(dirname(model), `${stem}.${method(spec)}${ending}`)
      : absolutePath(terminal, flags.out);
  if (ending === ".onnx") assertEnding({ flag: "--out", path: out }, [".onnx"]);
  else if (!isOnnxOutput(out)) await findEncoder(out, terminal.cwd);
  return out;
}

/** The folder of a pruned TensorFlow.js model, whether --out names it or the model.json in it. @throws ERR_OUTPUT_FORMAT */
function modelFolder(spec: Placed): string {
  const { flags, model, terminal } = spec;
  if (flags.out === undefined) {
    // A model.json is named by its folder.
    const stem = basename(model) === "model.json" ? dirname(model) : model.replace(/\.json$/i, "");
    return `${stem}.${method(spec)}`;
  }
  if (/\.(safetensors|npy|html?|pth?|zip)$/i.test(flags.out)) {
    throw badEnding({
      flag: "--out",
      path: flags.out,
      allowed: "the name of a folder, or /model.json: a TensorFlow.js model is written as one",
    });
  }
  const out = absolutePath(terminal, flags.out);
  return basename(out) === "model.json" ? dirname(out) : out;
}

/** Refuses a place where a model's folder could not be written. */
async function checkFolder(folder: string, options: { overwrite: boolean }): Promise<void> {
  const isThere = existsSync(folder) && statSync(folder).isDirectory();
  await checkOutput(isThere ? join(folder, "model.json") : folder, isThere ? options : { overwrite: false });
}

function method({ solver, sparsity }: Placed): string {
  // A solver may be named after a package, "@scope/name".
  return `${solver.replace(/[^\w.-]+/g, "-").replace(/^-/, "")}-${sparsity}`;
}
