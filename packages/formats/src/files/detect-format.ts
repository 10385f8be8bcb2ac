/**
 * Tells what a file is from its first bytes. Formats that people are likely to hand over are told apart even where they
 * are not read here, so that the refusal can say what to do.
 */
import { hasNpyMagic } from "../npy/npy-header.ts";

/** What a file may turn out to be. "unknown" includes the empty file. */
export type FileFormat =
  | "safetensors"
  | "shard-index"
  | "keras"
  | "npy"
  | "npz"
  | "pytorch-zip"
  | "pytorch-pickle"
  | "pickle"
  | "tfjs"
  | "onnx"
  | "hdf5"
  | "gguf"
  | "zip"
  | "gzip"
  | "tar"
  | "git-lfs-pointer"
  | "html"
  | "unknown";

/** Enough of a file for `detectFormat`. */
const HEAD_BYTES = 4096;

/** Each format with its test on the first bytes; the first that fits wins, so the order matters. */
const TESTS: readonly (readonly [FileFormat, (head: Uint8Array) => boolean])[] = [
  // First: the file begins with the length of its header, whose bytes may be those of any other format (a header of 640 bytes begins as
  // a pickle does, one of 35,615 as gzip). No other format has four zeros and then '{' there.
  ["safetensors", (head) => isObjectAt(head, 8) && head.subarray(4, 8).every((byte) => byte === 0)],
  ["npy", hasNpyMagic],
  [
    "pytorch-zip",
    (head) => isZip(head) && /(^|\/)(data\.pkl|data\/\d+|\.format_version|byteorder|version)$/.test(firstZipName(head)),
  ],
  ["npz", (head) => isZip(head) && firstZipName(head).endsWith(".npy")],
  ["keras", (head) => isZip(head) && /^(metadata\.json|config\.json|model\.weights\.h5)$/.test(firstZipName(head))],
  ["zip", isZip],
  // torch.save before 1.6 begins with its magic number 0x1950a86a20f9469cfc6c as a pickle of its own.
  [
    "pytorch-pickle",
    (head) => isPickle(head) && startsWith(afterFrame(head), [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20]),
  ],
  ["pickle", isPickle],
  ["hdf5", (head) => startsWith(head, [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a])],
  ["gguf", (head) => startsWith(head, [0x47, 0x47, 0x55, 0x46])],
  ["tar", (head) => text(head.subarray(257, 262)) === "ustar"],
  ["gzip", (head) => startsWith(head, [0x1f, 0x8b])],
  ["tfjs", (head) => /^\s*\{/.test(text(head)) && /"(modelTopology|weightsManifest)"/.test(text(head))],
  ["shard-index", (head) => /^\s*\{/.test(text(head)) && /"weight_map"\s*:/.test(text(head))],
  ["git-lfs-pointer", (head) => text(head).startsWith("version https://git-lfs.github.com/")],
  ["html", (head) => /^\s*<(!doctype|html|\?xml)/i.test(text(head))],
  // A damaged header length should still be reported as a damaged safetensors file.
  ["safetensors", (head) => isObjectAt(head, 8)],
  // ModelProto: field 1 (ir_version, a small varint), then one that follows it: texts 2, 3, 4 and 6, 7 (graph), 8 (opset_import),
  // 14 (metadata), or 5 (model_version).
  [
    "onnx",
    (head) =>
      head[0] === 0x08 &&
      head[1]! > 0 &&
      head[1]! < 0x40 &&
      [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72].includes(head[2]!),
  ],
];

/**
 * Tells a file's format from its content; its name does not matter. Says what the file is meant to be, not whether it
 * is whole.
 *
 * @param bytes - the file, or at least its first 4096 bytes. O(1).
 * @example
 * detectFormat(bytes) === "safetensors"
 */
export function detectFormat(bytes: Uint8Array): FileFormat {
  const head = bytes.subarray(0, HEAD_BYTES);
  return TESTS.find(([, test]) => test(head))?.[0] ?? "unknown";
}

function startsWith(head: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => head[i] === byte);
}

function text(head: Uint8Array): string {
  return new TextDecoder("latin1").decode(head);
}

/** A JSON object with a first key, or an empty one, at the given index. */
function isObjectAt(head: Uint8Array, index: number): boolean {
  return /^\{\s*["}]/.test(text(head.subarray(index, index + 64)));
}

function isZip(head: Uint8Array): boolean {
  return startsWith(head, [0x50, 0x4b, 0x03, 0x04]);
}

/** The name in a zip file's first local header: its length is at 26, the text at 30. */
function firstZipName(head: Uint8Array): string {
  const length = (head[26] ?? 0) + 256 * (head[27] ?? 0);
  return text(head.subarray(30, 30 + length));
}

/** PROTO opcode of protocol 2 to 5. */
function isPickle(head: Uint8Array): boolean {
  return head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5;
}

/** What follows PROTO, and FRAME, which protocols from 4 on put in between. */
function afterFrame(head: Uint8Array): Uint8Array {
  return head.subarray(head[2] === 0x95 ? 11 : 2);
}
