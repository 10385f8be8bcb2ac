/** Where the results of `secateur prune` go, checked before the long work. */

import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { checkOutput } from "@secateur/formats";
import { badEnding, badUsage } from "@secateur/run";
import {
  checkModelPlace,
  findEncoder,
  findReporter,
  isOnnxModel,
  isTfjsModel,
  type OutputForm,
  outputForm,
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
  readonly opset?: number;
  readonly force?: boolean;
  readonly resume?: boolean;
}

/**
 * Decides and checks the outputs. Without --out the pruned network goes next to the model, named after solver and sparsity.
 *
 * @param spec.method - what the run does, for the name of its output
 * @param spec.inputs - absolute paths of the files that are read beside the model
 * @throws ERR_OUTPUT_FORMAT, ERR_OUTPUT_IS_INPUT, ERR_OUTPUT_EXISTS, ERR_OUTPUT_FOLDER, ERR_OUTPUT_NOT_WRITABLE, ERR_USAGE, ERR_RESUME
 */
export async function planOutputs(spec: {
  flags: OutputFlags;
  model: string;
  inputs: readonly (string | undefined)[];
  method: string;
  terminal: Terminal;
}): Promise<PruneOutputs> {
  const { flags, terminal } = spec;
  const overwrite = flags.force === true;
  const { form, out } = await modelPlace(spec);
  const isFolder = form === "tfjs";
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  if (report !== undefined) await findReporter(report, terminal.cwd); // refuses an ending that names none
  // A run that was killed after it wrote some outputs and before it took its state away goes on, and writes them again.
  const isContinued = flags.resume === true && existsSync(statePath(out));
  if (flags.opset !== undefined && (form !== "onnx" || (await isOnnxModel(spec.model)))) {
    throw badUsage(
      "--opset is for models that become ONNX: give --out FILE.onnx and a model that is none yet, or leave it out",
    );
  }
  const outputs = {
    out,
    form,
    opset: flags.opset,
    recipe: recipePath(out),
    state: statePath(out),
    report,
    overwrite: overwrite || isContinued,
  };
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
  if (twice !== undefined) throw badUsage(`${twice}: two outputs would go there; give each its own name`, { twice });
  await checkModelPlace(form, out, outputs);
  for (const path of [outputs.recipe, ...(report === undefined ? [] : [report])]) {
    await checkOutput(path, outputs);
  }
  if (existsSync(outputs.state) && !flags.resume && !overwrite) throw stateLeftBehind(outputs.state);
  return outputs;
}

interface Placed {
  readonly flags: OutputFlags;
  readonly model: string;
  readonly method: string;
  readonly terminal: Terminal;
}

/** Where the pruned network goes, and as what. @throws ERR_OUTPUT_FORMAT, ERR_USAGE for an ending of another format */
async function modelPlace(spec: Placed): Promise<{ form: OutputForm; out: string }> {
  const { flags, model, terminal } = spec;
  const given = flags.out === undefined ? undefined : absolutePath(terminal, flags.out);
  const asked = given === undefined ? undefined : outputForm(given);
  if (await isTfjsModel(model)) {
    return asked === "onnx" ? { form: "onnx", out: given! } : { form: "tfjs", out: modelFolder(spec) };
  }
  if (await isOnnxModel(model)) {
    // Graph, names and metadata stay, which only the same format can hold.
    const out = given ?? besideModel(spec, ".onnx");
    assertEnding({ flag: "--out", path: out }, [".onnx"]);
    return { form: "onnx", out };
  }
  if (asked === "tfjs") return { form: "tfjs", out: dirname(given!) };
  const out = given ?? besideModel(spec, ".safetensors");
  if (asked !== "onnx") await findEncoder(out, terminal.cwd);
  return { form: asked ?? "checkpoint", out };
}

function besideModel(spec: Placed, ending: ".onnx" | ".safetensors"): string {
  const stem = basename(spec.model).replace(/\.(safetensors|ckpt|json|onnx|pth?(\.tar)?)$/i, "");
  return join(dirname(spec.model), `${stem}.${fileName(spec)}${ending}`);
}

/** The folder of a pruned TensorFlow.js model, whether --out names it or the model.json in it. @throws ERR_OUTPUT_FORMAT */
function modelFolder(spec: Placed): string {
  const { flags, model, terminal } = spec;
  if (flags.out === undefined) {
    // A model.json is named by its folder.
    const stem = basename(model) === "model.json" ? dirname(model) : model.replace(/\.json$/i, "");
    return `${stem}.${fileName(spec)}`;
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

function fileName({ method }: Placed): string {
  // A solver may be named after a package, "@scope/name".
  return method.replace(/[^\w.-]+/g, "-").replace(/^-/, "");
}
