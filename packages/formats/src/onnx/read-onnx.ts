/** ONNX models from disk, with the data that they keep in files beside them. Node only. */
import { badExternalData, badOnnx } from "../errors.ts";
import { nodeFs, nodePath } from "../files/node-fs.ts";
import { readFileBytes } from "../files/read-file.ts";
import { quote } from "../text/quote.ts";
import { decodeOnnx } from "./decode-onnx.ts";
import type { ExternalPlace, OnnxModel } from "./onnx-model.ts";
import type { ExternalData } from "./onnx-tensor.ts";

/**
 * Reads an ONNX model and its external data: files inside the model's folder only, whatever links lead there.
 *
 * @returns the model and the bytes of its file, for `replaceOnnxTensors`
 * @throws what `readFileBytes` and `decodeOnnx` throw; ERR_ONNX_EXTERNAL for data outside the folder, missing or too short
 * @example
 * const { model } = await readOnnx("model.onnx");
 */
export async function readOnnx(path: string): Promise<{ readonly model: OnnxModel; readonly bytes: Uint8Array }> {
  const bytes = await readModelBytes(path);
  return { model: decodeOnnx(bytes, path, dataBeside(path)), bytes };
}

/** Protobuf messages are shorter, and so are model files: weights of larger models lie beside them. */
const mostBytes = 2 ** 31 - 1;

async function readModelBytes(path: string): Promise<Uint8Array> {
  const fs = nodeFs(`reading ${path}`);
  const size = fs.existsSync(path) ? fs.statSync(path).size : 0;
  if (size > mostBytes) {
    const remedy = "save the model with its weights as external data";
    throw badOnnx({ source: path, found: `a file of ${size} bytes`, expected: `at most ${mostBytes}`, remedy });
  }
  return await readFileBytes(path);
}

/**
 * Reads an ONNX model and leaves its external data where they are: such tensors have a `distant` place and no numbers. Takes memory for the
 * model file alone.
 *
 * @throws as `readOnnx`
 */
export async function outlineOnnx(path: string): Promise<{ readonly model: OnnxModel; readonly bytes: Uint8Array }> {
  const bytes = await readModelBytes(path);
  const stay: ExternalData = (place, { name, length }) => {
    const refuse = (found: string, remedy: string): never => {
      throw badExternalData({ source: path, tensor: name, found, remedy });
    };
    const { size } = nodeFs("reading external data").statSync(insideFolder(path, place, refuse));
    if (place.offset + length > size) {
      refuse(`bytes ${place.offset} to ${place.offset + length} of a file of ${size}`, "copy the file again");
    }
    return undefined;
  };
  return { model: decodeOnnx(bytes, path, stay), bytes };
}

/** Data of files inside the folder of the model at `path`. */
export function dataBeside(path: string): ExternalData {
  return (place, { name, length }) => {
    const refuse = (found: string, remedy: string): never => {
      throw badExternalData({ source: path, tensor: name, found, remedy });
    };
    const file = insideFolder(path, place, refuse);
    const wanted = place.length ?? length;
    if (wanted !== length) refuse(`${wanted} bytes, and its shape needs ${length}`, "export the model again");
    return readRange(file, { offset: place.offset, length }, refuse);
  };
}

type Refuse = (found: string, remedy: string) => never;

function insideFolder(path: string, { location }: ExternalPlace, refuse: Refuse): string {
  const { dirname, isAbsolute, join, sep } = nodePath("reading external data");
  const parts = location.split(/[\\/]/);
  if (location === "" || isAbsolute(location) || /^[a-zA-Z]:/.test(location) || parts.includes("..")) {
    refuse(`the path ${quote(location)}`, "it has to be relative and inside the model's folder; move the file there");
  }
  const folder = dirname(path);
  const file = join(folder, ...parts);
  const { realpathSync } = nodeFs("reading external data");
  try {
    if (realpathSync(file).startsWith(`${realpathSync(folder).replace(/[\\/]$/, "")}${sep}`)) return file;
  } catch {
    refuse(`there is no file ${quote(location)} in the model's folder`, "put it beside the model");
  }
  return refuse(`${quote(location)} leads out of the model's folder`, "copy the file itself there");
}

function readRange(file: string, { offset, length }: { offset: number; length: number }, refuse: Refuse): Uint8Array {
  const { closeSync, fstatSync, openSync, readSync } = nodeFs("reading external data");
  const handle = openSync(file, "r");
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile()) refuse("it is no file", "put the data file beside the model");
    if (offset + length > stat.size) {
      refuse(`bytes ${offset} to ${offset + length} of a file of ${stat.size}`, "copy the file again");
    }
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const read = readSync(handle, bytes, filled, Math.min(2 ** 30, length - filled), offset + filled);
      if (read === 0) refuse("its file became shorter while it was read", "copy the file again");
      filled += read;
    }
    return bytes;
  } finally {
    closeSync(handle);
  }
}
