/** Where a pruned network goes, and in which format. */
import { basename, dirname, join } from "node:path";
import { badEnding } from "../../errors.ts";
import { assertEncoder } from "../export/assert-encoder.ts";
import { type OutputForm, outputForm } from "../export/encode-model.ts";
import { isOnnxModel } from "../large/is-onnx-model.ts";
import { isTfjsModel } from "../open/open-tfjs.ts";

interface Placed {
  /** Absolute path of the model that is pruned. */
  readonly model: string;
  /** What the user asked for, absolute; undefined: a name beside the model. */
  readonly out: string | undefined;
  /** What the run does, for the name of its output. */
  readonly method: string;
  /** The folder from which plugins are looked for. */
  readonly cwd: string;
}

/**
 * Decides where the pruned network goes, and as what: a folder for form "tfjs", else a file. ONNX models stay ONNX, TensorFlow.js models
 * stay that or become ONNX, checkpoints become whatever the name asks for.
 *
 * @throws ERR_OUTPUT_FORMAT for an ending of another format
 */
export async function modelPlace(spec: Placed): Promise<{ readonly form: OutputForm; readonly out: string }> {
  const { model, out: given, cwd } = spec;
  const asked = given === undefined ? undefined : outputForm(given);
  if (await isTfjsModel(model)) {
    return asked === "onnx" ? { form: "onnx", out: given! } : { form: "tfjs", out: modelFolder(spec) };
  }
  if (await isOnnxModel(model)) {
    // Graph, names and metadata stay, which only the same format can hold.
    const out = given ?? besideModel(spec, ".onnx");
    if (outputForm(out) !== "onnx") throw badEnding({ flag: "--out", path: out, allowed: ".onnx" });
    return { form: "onnx", out };
  }
  if (asked === "tfjs") return { form: "tfjs", out: dirname(given!) };
  const out = given ?? besideModel(spec, ".safetensors");
  if (asked !== "onnx") await assertEncoder(out, cwd);
  return { form: asked ?? "checkpoint", out };
}

function besideModel(spec: Placed, ending: ".onnx" | ".safetensors"): string {
  const stem = basename(spec.model).replace(/\.(safetensors|ckpt|json|onnx|pth?(\.tar)?)$/i, "");
  return join(dirname(spec.model), `${stem}.${fileName(spec)}${ending}`);
}

/** The folder of a pruned TensorFlow.js model, whether the name asked for is its own or that of the model.json in it. @throws ERR_OUTPUT_FORMAT */
function modelFolder(spec: Placed): string {
  const { out, model } = spec;
  if (out === undefined) {
    // A model.json is named by its folder.
    const stem = basename(model) === "model.json" ? dirname(model) : model.replace(/\.json$/i, "");
    return `${stem}.${fileName(spec)}`;
  }
  if (/\.(safetensors|npy|html?|pth?|zip)$/i.test(out)) {
    const allowed =
      "the name of a folder, FOLDER/model.json, or NAME.onnx: a TensorFlow.js model is written as one of these";
    throw badEnding({ flag: "--out", path: out, allowed });
  }
  return basename(out) === "model.json" ? dirname(out) : out;
}

function fileName({ method }: Placed): string {
  // A solver may be named after a package, "@scope/name".
  return method.replace(/[^\w.-]+/g, "-").replace(/^-/, "");
}
