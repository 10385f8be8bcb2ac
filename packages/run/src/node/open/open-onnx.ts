/** An ONNX file as a model that can be evaluated, pruned and saved with everything but its pruned tensors as it was. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { RunEvent } from "@secateur/core";
import {
  assertFiniteTensors,
  asTensorLike,
  findNonFinite,
  type NamedTensor,
  type OnnxModel,
  type OnnxTensor,
  onnxTensors,
  readOnnx,
  replaceOnnxTensors,
  type Tensor,
} from "@secateur/formats";
import { createGraphModel, type GraphModel } from "@secateur/graph";
import { flagWithoutEffect, tooLargeFor } from "../../errors.ts";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import { openLargeOnnx } from "../large/large-onnx.ts";
import { assertInputs, type InputTexts, readInputChoices, withToldShapes } from "./input-choices.ts";
import { outerCapabilities } from "./onnxruntime.ts";

/** What recipes and reports call a network that an ONNX file describes. */
export const onnxArchitecture = "onnx";

/** An opened ONNX model. */
export interface OpenedOnnx {
  readonly model: PrunableModel & GraphModel;
  readonly file: OnnxModel;
  readonly sha256: string;
  /** The file with the weights as they are now; data that lay in other files is in it. */
  encode(): Uint8Array;
}

/**
 * Opens an ONNX model.
 *
 * @param spec.path - absolute
 * @param spec.arch - what --arch says; the model says itself what it is
 * @param spec.cwd - from where onnxruntime is looked for, for models with operators that are not known here
 * @throws ERR_ONNX, ERR_ONNX_EXTERNAL, ERR_NOT_FINITE, the file errors of formats; ERR_USAGE
 */
export async function openOnnx(spec: {
  path: string;
  arch: string | undefined;
  cwd: string;
  /** Whether convolutions without a normalisation can be corrected by channel: see `OpenGraphSpec`. */
  corrects?: boolean | undefined;
  /** What the user says of its inputs. */
  inputs?: InputTexts | undefined;
  onEvent: (event: RunEvent) => void;
}): Promise<OpenedOnnx> {
  const { path, arch, cwd, corrects = false, inputs, onEvent } = spec;
  if (arch !== undefined && arch !== onnxArchitecture) {
    throw flagWithoutEffect({ flag: "--arch", reason: `${path} says itself which network it is` });
  }
  if (await openLargeOnnx(path)) throw tooLargeFor({ path, what: "opening it" });
  const { model: file, bytes } = await readOnnx(path);
  const choices = readInputChoices(inputs ?? {}) ?? {};
  assertInputs(choices, file.graph.inputs, path);
  const { fixed = new Map() } = choices;
  const told = withToldShapes(file.graph, choices);
  const graph = createGraphModel({ graph: told, opsets: file.opsets, name: basename(path), corrects, fixed });
  assertUsable(graph, file, path);
  const encode = (): Uint8Array => replaceOnnxTensors(bytes, changedTensors(graph, file), path);
  for (const { name, reason } of graph.keptDense) {
    onEvent({ type: "note", level: "info", code: "kept-dense", message: `'${name}' stays dense: ${reason}` });
  }
  for (const [name, axis] of graph.exampleAxes) {
    const message = `'${name}' counts examples along axis ${axis} in the model, as the axis is called; in data and results they come first`;
    onEvent({ type: "note", level: "info", code: "examples-axis", message });
  }
  const unknown = graph.unknownOperators.size > 0;
  const outer = { encode, graph, opsets: file.opsets, fixed: { graph: told, fixed }, cwd, onEvent };
  const capabilities = unknown ? await outerCapabilities(outer) : { evaluate: graph.evaluate! };
  return {
    model: { ...graph, ...capabilities },
    file,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    encode,
  };
}

/** No number may be NaN, and weights have to be finite; other numbers may be infinite, as bounds and masks are. @throws ERR_NOT_FINITE */
function assertUsable(graph: GraphModel, file: OnnxModel, path: string): void {
  const weights = graph.params().flatMap(({ name }) => {
    const isWhole = graph.weights.get(name)!.data.every((value: number) => Number.isFinite(value));
    return isWhole ? [] : [graph.stored(name).tensor as NamedTensor];
  });
  const others = onnxTensors(file.graph).filter((tensor): tensor is NamedTensor & OnnxTensor => {
    return !("opaque" in tensor) && Number.isNaN(findNonFinite(tensor)?.value);
  });
  assertFiniteTensors([...weights, ...others], path);
}

/** Tensors by place: the weights that were written, in the type the file has them in, and all that lay in other files. */
function changedTensors(graph: GraphModel, file: OnnxModel): ReadonlyMap<string, Tensor> {
  const isRead = (tensor: OnnxTensor): tensor is Exclude<OnnxTensor, { opaque: true }> => !("opaque" in tensor);
  const outside = onnxTensors(file.graph).filter((tensor) => tensor.external && isRead(tensor));
  const changes = new Map<string, Tensor>(outside.map((tensor) => [tensor.place, tensor as unknown as Tensor]));
  for (const name of graph.written) {
    const { tensor, data } = graph.stored(name);
    const stored = tensor as unknown as Exclude<OnnxTensor, { opaque: true }>;
    changes.set(stored.place, asTensorLike(stored, data));
  }
  for (const [tensor, data] of graph.changedOffsets()) {
    const stored = tensor as unknown as Exclude<OnnxTensor, { opaque: true }>;
    changes.set(stored.place, asTensorLike(stored, data));
  }
  return changes;
}
