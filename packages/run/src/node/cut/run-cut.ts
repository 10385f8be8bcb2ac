/** `secateur cut`: a model without the channels that do nothing. */
import { dirname } from "node:path";
import type { RunEvent } from "@secateur/core";
import {
  assertFiniteTensors,
  decodeOnnx,
  encodeOnnx,
  makeFolder,
  type NamedTensor,
  type NewOnnxModel,
  type OnnxModel,
  type OnnxRewriting,
  type OnnxTensor,
  onnxTensors,
  readOnnx,
  rewriteOnnx,
  writeFileAtomic,
} from "@secateur/formats";
import type { GraphSpec } from "@secateur/graph";
import { badEnding, badUsage, flagWithoutEffect, tooLargeFor } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { assertEncoder } from "../export/assert-encoder.ts";
import { checkModelPlace } from "../export/check-model-place.ts";
import { settleCopies } from "../export/compressed-copies.ts";
import { type EncodedFile, inFolder, outputForm, withOpset } from "../export/encode-model.ts";
import { onnxOfKeras } from "../export/keras/onnx-of-keras.ts";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { tfjsOfNetwork } from "../export/tfjs-of-network.ts";
import { isOnnxModel } from "../large/is-onnx-model.ts";
import { openLargeOnnx } from "../large/large-onnx.ts";
import { architectureKey } from "../open/architecture/resolve-architecture.ts";
import { encodeNetwork } from "../open/encode-network.ts";
import { assertInputs, readInputChoices, toldExtents } from "../open/input-choices.ts";
import { openModel } from "../open/open-model.ts";
import { isTfjsModel, readTfjsFiles } from "../open/open-tfjs.ts";
import { type CheckedCut, type CutRequest, cutChecked } from "./cut-checked.ts";
import { cutKeras, filesByName } from "./cut-keras.ts";
import { cutNetwork, ownNames } from "./cut-network.ts";
import { type CutNumbers, cutNumbers } from "./cut-numbers.ts";

/** What `secateur cut --json` prints. */
export interface CutDocument extends CutNumbers {
  readonly out: string;
  /** Of all files written. */
  readonly bytes: number;
}

/** What to cut, and where to. */
export interface CutRun {
  /** Absolute path of a model. */
  readonly path: string;
  readonly arch: string | undefined;
  /** Absolute: NAME.onnx, FOLDER/model.json, or a file of tensors. */
  readonly out: string;
  /** NAME=EXTENTS of inputs whose extents vary, where stand-ins do not fit. */
  readonly inputShape?: readonly string[] | undefined;
  /** Of which the widths that are left are multiples; default 1. */
  readonly multipleOf?: number | undefined;
  readonly overwrite: boolean;
  /** The folder from which plugins are looked for. */
  readonly cwd: string;
}

/**
 * Cuts. Files appear whole or not at all, and only where the cut model was found to be the same as the whole one.
 *
 * @throws ERR_NOTHING_TO_CUT, ERR_CUT, ERR_EXPORT for what the output cannot say, ERR_OUTPUT_FORMAT, ERR_OUTPUT_EXISTS, ERR_USAGE; what reading the model throws
 */
export async function runCut(
  run: CutRun,
  { kernels, seed, onEvent }: Pick<Session, "kernels" | "seed" | "onEvent">,
): Promise<CutDocument> {
  const { path, out, overwrite, cwd } = run;
  const form = outputForm(out);
  if (form === "checkpoint") await assertEncoder(out, cwd);
  const place = form === "tfjs" ? dirname(out) : out;
  await checkModelPlace(form, place, { overwrite });
  const source = await openCuttable(run, place, onEvent);
  const told = toldShapes(run, source);
  const cut = cutChecked({ ...source, source: path, told, multiple: run.multipleOf, kernels, seed });
  const files = await source.encode(cut);
  for (const [target, bytes] of files) {
    if (form === "tfjs") await makeFolder(dirname(target));
    await writeFileAtomic(target, bytes, { overwrite });
  }
  await settleCopies(files, { compress: false, overwrite });
  return { out, bytes: files.reduce((sum, [, bytes]) => sum + bytes.length, 0), ...cutNumbers(source.graph, cut) };
}

/** Extents that --input-shape says. @throws ERR_USAGE */
function toldShapes({ path, inputShape }: CutRun, { graph, isOwn }: Cuttable): CutRequest["told"] {
  if (inputShape && isOwn)
    throw flagWithoutEffect({ flag: "--input-shape", reason: `${path} says itself how large its inputs are` });
  const choices = readInputChoices(inputShape ? { inputShape } : {}) ?? {};
  assertInputs(choices, graph.inputs, path);
  const told = graph.inputs.map((input) => [input.name, toldExtents(input, choices.shapes?.get(input.name))] as const);
  return new Map(told.flatMap(([name, extents]) => (extents ? [[name, extents] as const] : [])));
}

interface Cuttable {
  readonly graph: GraphSpec;
  readonly opsets: Readonly<Record<string, number>>;
  /** Whether its inputs have fixed extents, as those of our own layers. */
  readonly isOwn?: boolean;
  readonly written?: CutRequest["written"];
  encode(cut: CheckedCut): Promise<readonly EncodedFile[]>;
}

async function openCuttable(run: CutRun, place: string, onEvent: (event: RunEvent) => void): Promise<Cuttable> {
  const { path, arch, out, cwd } = run;
  const form = outputForm(out);
  const isTfjs = await isTfjsModel(path);
  const isOnnx = !isTfjs && (await isOnnxModel(path));
  if ((isTfjs || isOnnx) && arch !== undefined)
    throw badUsage(`${path} says itself which network it is; leave --arch out`, { path });
  if (isOnnx ? form !== "onnx" : isTfjs && form === "checkpoint") {
    const allowed = isOnnx
      ? ".onnx: an ONNX model is cut to that"
      : "FOLDER/model.json or .onnx: a TensorFlow.js model is cut to these";
    throw badEnding({ flag: "--out", path: out, allowed });
  }
  if (isTfjs) {
    const { files } = await readTfjsFiles(path);
    const model = onnxOfKeras(files);
    assertFiniteTensors(model.graph.initializers as readonly NamedTensor[], path);
    if (form === "onnx") return newModel(model, out);
    return {
      ...model,
      written: (graph) => onnxOfKeras(cutKeras(files, graph)).graph,
      encode: async ({ graph }) => inFolder(place, filesByName(cutKeras(files, graph))),
    };
  }
  if (isOnnx) {
    if (await openLargeOnnx(path)) throw tooLargeFor({ path, what: "cutting it" });
    const { model, bytes } = await readOnnx(path);
    assertFiniteTensors(floatsOf(model), path);
    return patchedModel(model, { bytes, out });
  }
  const { network, metadata, stored } = await openModel({ path, arch, cwd, onEvent });
  const model = onnxOfNetwork(network);
  if (form === "onnx") return { ...newModel({ ...model, metadata }, out), isOwn: true };
  return {
    ...model,
    isOwn: true,
    written: (graph) => onnxOfNetwork(cutNetwork(network, graph)).graph,
    async encode({ graph }) {
      const cut = cutNetwork(network, graph);
      if (form === "tfjs") return inFolder(place, tfjsOfNetwork(cut, { metadata }));
      const described = { ...metadata, [architectureKey]: JSON.stringify(cut.spec) };
      return [
        [
          place,
          await encodeNetwork({ network: cut, path: place, metadata: described, stored: ownNames(stored), from: cwd }),
        ],
      ];
    },
  };
}

/** The tensors whose numbers are read. */
function floatsOf({ graph }: OnnxModel): readonly (NamedTensor & OnnxTensor)[] {
  return onnxTensors(graph).filter((tensor): tensor is NamedTensor & OnnxTensor => !("opaque" in tensor));
}

/** A model that is written as a new ONNX file. */
function newModel(model: NewOnnxModel, out: string): Cuttable {
  return {
    ...model,
    encode: async ({ graph }) => {
      const changed = { ...model.graph, ...graph } as NewOnnxModel["graph"];
      return [[out, encodeOnnx(withOpset({ ...model, graph: changed }, { metadata: {} }))]];
    },
  };
}

/** An ONNX file that was read: what is not cut stays as it is. */
function patchedModel(model: OnnxModel, { bytes, out }: { bytes: Uint8Array; out: string }): Cuttable {
  const { graph, opsets, source } = model;
  const rewrite = (one: GraphSpec): Uint8Array =>
    rewriteOnnx(bytes, { from: graph, to: one as OnnxRewriting["to"] }, source);
  return {
    graph: graph as GraphSpec,
    opsets,
    written: (one) => decodeOnnx(rewrite(one), source).graph as GraphSpec,
    encode: async (cut) => [[out, rewrite(cut.graph)]],
  };
}
