/** Where the results of `secateur prune` go, checked before the long work. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { badUsage } from "@secateur/run";
import { assertInputsThere, assertNotInput, dataPaths } from "@secateur/run/node/check-places";
import { isOnnxModel } from "@secateur/run/node/large/is-onnx-model";
import { findReporter } from "@secateur/run/node/plugins/find-reporter";
import { checkPruneOutputs } from "@secateur/run/node/prune/finished-prune";
import { modelPlace } from "@secateur/run/node/prune/model-place";
import type { PruneOutputs } from "@secateur/run/node/prune/prune-outputs";
import { recipePath, statePath } from "@secateur/run/node/recipe/encode-recipe";
import { stateLeftBehind } from "../errors.ts";
import { absolutePath } from "../run/absolute-path.ts";
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
 * @param spec.files - absolute paths of what is read beside the model and the data
 * @throws ERR_OUTPUT_FORMAT, ERR_OUTPUT_IS_INPUT, ERR_OUTPUT_EXISTS, ERR_OUTPUT_FOLDER, ERR_OUTPUT_NOT_WRITABLE, ERR_USAGE, ERR_RESUME
 */
export async function planOutputs(spec: {
  flags: OutputFlags;
  model: string;
  files: readonly (string | undefined)[];
  data: string | undefined;
  method: string;
  terminal: Terminal;
}): Promise<PruneOutputs> {
  const { flags, terminal } = spec;
  const overwrite = flags.force === true;
  const { form, out } = await modelPlace({
    model: spec.model,
    method: spec.method,
    out: flags.out === undefined ? undefined : absolutePath(terminal, flags.out),
    cwd: terminal.cwd,
  });
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
    inputs: [spec.model, ...spec.files, ...(spec.data === undefined ? [] : dataPaths(spec.data))],
  });
  const paths = [out, outputs.recipe, outputs.state, report, events].filter((path) => path !== undefined);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw badUsage(`${twice}: two outputs would go there; give each its own name`, { twice });
  await assertInputsThere([spec.model, ...spec.files], spec.data);
  // What is there may be what this very run gave before: that shows when the model is read.
  if (!flags.resume || !existsSync(outputs.recipe)) await checkPruneOutputs(outputs);
  if (existsSync(outputs.state) && !flags.resume && !overwrite) throw stateLeftBehind(outputs.state);
  return outputs;
}
