/** `secateur convert`: a model read in one format and written in another. */
import { basename, dirname } from "node:path";
import { quantizeFiles } from "@secateur/backends-tfjs";
import type { RunEvent } from "@secateur/core";
import { encodeOnnx, makeFolder, readFileBytes, writeFileAtomic } from "@secateur/formats";
import { formatBytes, plainText, shownArchitecture } from "@secateur/report/text";
import { badEnding, badUsage } from "../../errors.ts";
import { architectureKey } from "../open/architecture/resolve-architecture.ts";
import { openAnyModel } from "../open/open-any-model.ts";
import { isTfjsModel, readTfjsFiles, tfjsArchitecture } from "../open/open-tfjs.ts";
import { isPacked, packedCheckpoint } from "../pack/packed-checkpoint.ts";
import { assertEncoder } from "./assert-encoder.ts";
import { checkModelPlace } from "./check-model-place.ts";
import { type CompressedCopy, copiesText, settleCopies } from "./compressed-copies.ts";
import {
  asRead,
  type EncodedFile,
  encodeModel,
  inFolder,
  noteQuantised,
  outputForm,
  withOpset,
} from "./encode-model.ts";
import { onnxOfKeras } from "./keras/onnx-of-keras.ts";

/** What `secateur convert --json` prints. */
export interface ConvertDocument {
  readonly out: string;
  /** What --arch would say, or "tfjs-layers". */
  readonly arch: string;
  /** Of all files written, copies left out. */
  readonly bytes: number;
  /** With `compress`. */
  readonly copies?: readonly CompressedCopy[];
}

/** What to convert, and to what. */
export interface ConvertRun {
  /** Absolute path of a checkpoint or a model.json. */
  readonly path: string;
  readonly arch: string | undefined;
  /** Absolute: NAME.onnx, FOLDER/model.json, or a file of tensors. */
  readonly out: string;
  /** ONNX operator set; default: the lowest that holds the graph. */
  readonly opset: number | undefined;
  /** "uint8": large weights of a TensorFlow.js model in one byte a number; default f32. */
  readonly values?: "uint8" | undefined;
  /** Also writes copies compressed by gzip and brotli. */
  readonly compress?: boolean;
  readonly overwrite: boolean;
  /** The folder from which plugins are looked for. */
  readonly cwd: string;
  readonly onEvent: (event: RunEvent) => void;
}

/**
 * Converts. Each file appears whole or not at all, model.json after its weights; the place is checked before anything is read.
 *
 * @throws ERR_EXPORT for what the format cannot say, ERR_OUTPUT_FORMAT, ERR_OUTPUT_EXISTS, ERR_USAGE; what reading the model throws
 */
export async function runConvert(run: ConvertRun): Promise<ConvertDocument> {
  const { path, out, values, compress = false, overwrite, cwd } = run;
  const form = outputForm(out);
  const isTfjs = await isTfjsModel(path);
  if (values && form !== "tfjs")
    throw badUsage("--values uint8 is for TensorFlow.js models; give --out FOLDER/model.json, or leave it out", {
      out,
    });
  if (isTfjs && form !== "onnx" && !(values && form === "tfjs"))
    throw badEnding({
      flag: "--out",
      path: out,
      allowed: ".onnx, which a TensorFlow.js model becomes, or FOLDER/model.json with --values uint8",
    });
  if (form === "checkpoint") await assertEncoder(out, cwd);
  const place = form === "tfjs" ? dirname(out) : out;
  await checkModelPlace(form, place, { overwrite });
  const { arch, files } = await (values ? quantized(run, place) : isTfjs ? tfjsAsOnnx(run) : ownAs(run, place));
  for (const [target, bytes] of files) {
    if (form === "tfjs") await makeFolder(dirname(target));
    await writeFileAtomic(target, bytes, { overwrite });
  }
  const bytes = files.reduce((sum, [, content]) => sum + content.length, 0);
  return { out, arch, bytes, ...(await settleCopies(files, { compress, overwrite })) };
}

interface Converted {
  readonly arch: string;
  readonly files: readonly EncodedFile[];
}

/** Whether a file is a packed network that does not say which one it is. */
async function isNamelessPacked(path: string): Promise<boolean> {
  if (!path.endsWith(".secateur")) return false;
  const bytes = await readFileBytes(path);
  return isPacked(bytes) && !(architectureKey in (await packedCheckpoint(bytes, path)).metadata);
}

/** A TensorFlow.js model, or what becomes one, with its large weights in one byte a number. */
async function quantized(run: ConvertRun, place: string): Promise<Converted> {
  const { path } = run;
  if (await isTfjsModel(path)) {
    const { files } = await readTfjsFiles(path);
    return { arch: tfjsArchitecture(files), files: inFolder(place, quantizeFiles(files)) };
  }
  const { arch, files } = await ownAs(run, place);
  const named = new Map(files.map(([file, bytes]) => [basename(file), bytes]));
  return { arch, files: inFolder(place, quantizeFiles(await asRead(named, path))) };
}

/** From the files alone: TensorFlow.js itself need not be installed. */
async function tfjsAsOnnx({ path, arch, out, opset, onEvent }: ConvertRun): Promise<Converted> {
  const { files } = await readTfjsFiles(path);
  const own = tfjsArchitecture(files);
  if (arch !== undefined && arch !== own)
    throw badUsage(`${path} says itself which network it is; leave --arch out`, { path });
  noteQuantised(files, onEvent);
  return { arch: own, files: [[out, encodeOnnx(withOpset(onnxOfKeras(files), { metadata: {}, opset }))]] };
}

async function ownAs({ path, arch, out, opset, cwd, onEvent }: ConvertRun, place: string): Promise<Converted> {
  if (arch === undefined && (await isNamelessPacked(path)))
    throw badUsage(`${path} is a packed graph: secateur unpack makes an ONNX model of it`, { path });
  const model = await openAnyModel({ path, arch, engine: undefined, cwd, onEvent });
  model.close();
  const { own } = model;
  if (!own)
    throw badUsage(
      `${path} is an ONNX model, which is pruned, evaluated and packed as it is and becomes no other format; give a safetensors or PyTorch file, or a TensorFlow.js model`,
      {
        path,
      },
    );
  const metadata = { ...own.metadata, [architectureKey]: own.architecture.name };
  const files = await encodeModel({
    model,
    form: outputForm(out),
    path: place,
    metadata,
    stated: own.stated,
    opset,
    from: cwd,
    onEvent,
  });
  return { arch: own.architecture.name, files };
}

/** What `secateur convert` prints for people. */
export function convertText({ out, bytes, arch, copies }: ConvertDocument): string {
  return `${plainText(out)}, ${formatBytes(bytes)} (${plainText(shownArchitecture(arch))})\n${copiesText(copies)}`;
}
