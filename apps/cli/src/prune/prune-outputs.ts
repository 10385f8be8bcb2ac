/** Where the results of `secateur prune` go, checked before the long work. */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { checkOutput, checkpointEncoderFor } from "@secateur/formats";
import { badUsage, stateLeftBehind } from "../errors.ts";
import { recipePath, statePath } from "../recipe/encode-recipe.ts";
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

/** Absolute paths of the results. */
export interface PruneOutputs {
  readonly out: string;
  readonly recipe: string;
  /** The state between stages; exists only while a run is under way or was interrupted. */
  readonly state: string;
  readonly report: string | undefined;
  readonly overwrite: boolean;
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
  const out = flags.out === undefined ? defaultOutput(spec) : absolutePath(terminal, flags.out);
  checkpointEncoderFor(out); // refuses an ending that names no format
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  assertEnding({ flag: "--report", path: report }, [".html", ".htm"]);
  const outputs = { out, recipe: recipePath(out), state: statePath(out), report, overwrite };
  const events = flags.events === undefined ? undefined : absolutePath(terminal, flags.events);
  assertNotInput({
    outputs: [
      { flag: "--out", path: out },
      { flag: "--report", path: report },
      { flag: "--events", path: events },
    ],
    inputs: [spec.model, ...spec.inputs],
  });
  const paths = [out, outputs.recipe, outputs.state, report, events].filter((path) => path !== undefined);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw badUsage(`${twice}: two outputs would go there; give each its own name`);
  for (const path of [out, outputs.recipe, ...(report === undefined ? [] : [report])]) {
    await checkOutput(path, { overwrite });
  }
  if (existsSync(outputs.state) && !flags.resume && !overwrite) throw stateLeftBehind(outputs.state);
  return outputs;
}

function defaultOutput({ model, solver, sparsity }: { model: string; solver: string; sparsity: number }): string {
  const stem = basename(model).replace(/\.(safetensors|ckpt|json|onnx|pth?(\.tar)?)$/i, "");
  // A solver may be named after a package, "@scope/name".
  const method = solver.replace(/[^\w.-]+/g, "-").replace(/^-/, "");
  return join(dirname(model), `${stem}.${method}-${sparsity}.safetensors`);
}
