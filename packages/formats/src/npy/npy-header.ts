/**
 * The header of an .npy file and everything that can be wrong with it.
 *
 * Layout: the magic \x93NUMPY; the version's major and minor byte; the header's length as u16 (version 1) or u32
 * (versions 2 and 3), little-endian; the header, a Python dictionary with the keys descr, fortran_order and shape in
 * Latin-1 (versions 1, 2) or UTF-8 (version 3); then the data. Source: numpy/lib/format.py and NEP 1.
 */
import { TENSOR_DTYPES, type TensorDtype } from "../dtype.ts";
import { badNpy, unknownDtype } from "../errors.ts";
import { MAX_RANK } from "../limits.ts";
import { describeJson } from "../text/quote.ts";
import { type PythonValue, parsePythonLiteral } from "./python-literal.ts";

/** What the header says about the data that begin at `dataStart`. */
export interface NpyHeader {
  readonly dtype: TensorDtype;
  readonly littleEndian: boolean;
  /** first index fastest, as in Fortran */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  readonly dataStart: number;
}

/** The dtype of each kind and width in a descr such as '<f4'. */
const DTYPE_OF_DESCR: Readonly<Record<string, TensorDtype>> = {
  b1: "bool",
  u1: "u8",
  u2: "u16",
  u4: "u32",
  u8: "u64",
  i1: "i8",
  i2: "i16",
  i4: "i32",
  i8: "i64",
  f2: "f16",
  f4: "f32",
  f8: "f64",
};

const KEYS = ["descr", "fortran_order", "shape"];
/** The largest header of version 1; only structures of many fields, which are not read here, have longer ones. */
export const MAX_HEADER_BYTES = 65_535;

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** Whether the bytes begin with the magic of .npy files. */
export function hasNpyMagic(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/**
 * Reads and checks the header of an .npy file, without evaluating any of it. O(header).
 *
 * @param bytes - the file, or as much of its beginning as the longest header takes
 * @param fileBytes - the length of the file
 * @throws ERR_NPY, ERR_DTYPE
 */
export function parseNpyHeader(bytes: Uint8Array, source: string, fileBytes: number = bytes.length): NpyHeader {
  const refuse = (found: string, expected: string) => badNpy({ source, found, expected });
  const { text, dataStart } = headerText(bytes, source, fileBytes);
  const fields = parsePythonLiteral(text);
  if (!(fields instanceof Map)) throw refuse("a header that is not a Python dictionary", `one with ${KEYS.join(", ")}`);
  const keys = [...fields.keys()];
  if (keys.length !== KEYS.length || !KEYS.every((key) => fields.has(key))) {
    throw refuse(`the header keys ${describeJson(keys)}`, `${KEYS.join(", ")}`);
  }
  const fortranOrder = fields.get("fortran_order");
  if (typeof fortranOrder !== "boolean") throw refuse("a fortran_order that is no boolean", "True or False");
  const shape = fields.get("shape");
  if (!Array.isArray(shape) || !shape.every(isWhole)) {
    throw refuse(`the shape ${describeJson(shape)}`, "a tuple of whole numbers from 0 to 2^53 - 1");
  }
  if (shape.length > MAX_RANK) throw refuse(`${shape.length} dimensions`, `at most ${MAX_RANK}`);
  return { ...parseDescr(fields.get("descr"), source), fortranOrder, shape, dataStart };
}

function headerText(bytes: Uint8Array, source: string, fileBytes: number): { text: string; dataStart: number } {
  const refuse = (found: string, expected: string) => badNpy({ source, found, expected });
  if (!hasNpyMagic(bytes)) {
    throw refuse(bytes.length === 0 ? "an empty file" : "other first bytes", "the magic bytes \\x93NUMPY");
  }
  const [major = 0, minor = 0] = bytes.subarray(6, 8);
  if (major < 1 || major > 3 || minor !== 0) throw refuse(`version ${major}.${minor}`, "version 1.0, 2.0 or 3.0");
  const headerStart = major === 1 ? 10 : 12;
  if (bytes.length < headerStart) throw refuse(`a file of ${bytes.length} bytes`, "a header (truncated)");
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerStart);
  const headerBytes = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const dataStart = headerStart + headerBytes;
  if (dataStart > fileBytes) {
    const found = `a header of ${headerBytes} bytes, larger than the file of ${fileBytes} bytes`;
    throw refuse(found, `at most ${Math.max(0, fileBytes - headerStart)} bytes of header (truncated or damaged)`);
  }
  if (headerBytes > MAX_HEADER_BYTES) {
    throw refuse(`a header of ${headerBytes} bytes`, `at most ${MAX_HEADER_BYTES} bytes of header`);
  }
  // Everything that is accepted below is ASCII, so the encodings of the versions make no difference.
  return { text: new TextDecoder("latin1").decode(bytes.subarray(headerStart, dataStart)), dataStart };
}

function parseDescr(descr: PythonValue | undefined, source: string): { dtype: TensorDtype; littleEndian: boolean } {
  const match = typeof descr === "string" ? /^([<>|=]?)([a-zA-Z]\d+)$/.exec(descr) : null;
  const dtype = match ? DTYPE_OF_DESCR[match[2]!] : undefined;
  // '=' is the writer's order and '|' none at all; files of other than big-endian machines mean little-endian by it.
  if (match && dtype !== undefined && Object.hasOwn(DTYPE_OF_DESCR, match[2]!)) {
    return { dtype, littleEndian: match[1] !== ">" };
  }
  throw unknownDtype({
    where: source,
    found: describeDescr(descr),
    known: TENSOR_DTYPES.filter((name) => name !== "bf16"),
  });
}

/** Names what numpy's less numeric descriptions stand for. */
function describeDescr(descr: PythonValue | undefined): string {
  if (typeof descr !== "string") return "a structure of named fields";
  if (descr.endsWith("O")) return `${descr} (Python objects)`;
  if (/[US]\d+$/.test(descr)) return `${descr} (text)`;
  if (/c\d+$/.test(descr)) return `${descr} (complex numbers)`;
  return descr;
}

function isWhole(value: PythonValue): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
