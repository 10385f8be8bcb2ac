/** An ONNX file as a model that can be evaluated, pruned and saved with everything but its pruned tensors as it was. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { RunEvent } from "@secateur/core";
import {
  assertFiniteTensors,
  asTensorLike,
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
import { onnxruntimeEvaluation } from "./onnxruntime.ts";

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
  onEvent: (event: RunEvent) => void;
}): Promise<OpenedOnnx> {
  const { path, arch, cwd, corrects = false, onEvent } = spec;
  if (arch !== undefined && arch !== onnxArchitecture) {
    throw flagWithoutEffect({ flag: "--arch", reason: `${path} says itself which network it is` });
  }
  if (await openLargeOnnx(path)) throw tooLargeFor({ path, what: "opening it" });
  const { model: file, bytes } = await readOnnx(path);
  const floats = onnxTensors(file.graph).filter((tensor): tensor is NamedTensor & OnnxTensor => !("opaque" in tensor));
  assertFiniteTensors(floats, path);
  const graph = createGraphModel({ graph: file.graph, opsets: file.opsets, name: basename(path), corrects });
  const encode = (): Uint8Array => replaceOnnxTensors(bytes, changedTensors(graph, file), path);
  for (const { name, reason } of graph.keptDense) {
    onEvent({ type: "note", level: "info", code: "kept-dense", message: `'${name}' stays dense: ${reason}` });
  }
  const unknown = graph.unknownOperators.size > 0;
  const evaluate = unknown ? onnxruntimeEvaluation({ encode, graph, cwd, onEvent }) : graph.evaluate!;
  return {
    model: { ...graph, evaluate },
    file,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    encode,
  };
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
