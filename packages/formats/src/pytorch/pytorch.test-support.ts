/** Hand-made pickles and PyTorch files, whole and broken. Pickles are put together as text whose characters are bytes. */
import { crc32ByTable } from "../files/crc32.ts";

/** Bytes of text whose characters are bytes. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

const number = (value: number | bigint, width: number): string =>
  Array.from({ length: width }, (_, i) => String.fromCharCode(Number((BigInt(value) >> BigInt(8 * i)) & 255n))).join(
    "",
  );

/** Pieces of a pickle of protocol 2. */
export const py = {
  text: (text: string): string => `X${number(text.length, 4)}${text}`,
  int: (value: number): string => `J${number(value, 4)}`,
  global: (module: string, name: string): string => `c${module}\n${name}\n`,
  tuple: (...items: string[]): string => `(${items.join("")}t`,
  list: (...items: string[]): string => `](${items.join("")}e`,
  dict: (entries: Readonly<Record<string, string>>): string =>
    `}(${Object.entries(entries)
      .map(([key, value]) => py.text(key) + value)
      .join("")}u`,
  call: (callee: string, ...args: string[]): string => `${callee}${py.tuple(...args)}R`,
  ordered: (entries: Readonly<Record<string, string>>): string =>
    `${py.call(py.global("collections", "OrderedDict"))}(${Object.entries(entries)
      .map(([key, value]) => py.text(key) + value)
      .join("")}u`,
  whole: (body: string): string => `\x80\x02${body}.`,
};

/** A tensor of `length` stored elements, by default all of them in one row. */
export function tensorPickle(spec: {
  key?: string;
  length: number;
  shape?: readonly number[];
  strides?: readonly number[];
  offset?: number;
  storage?: string;
  view?: string;
  metadata?: string;
}): string {
  const {
    key = "0",
    length,
    shape = [length],
    strides = [1],
    offset = 0,
    storage = "FloatStorage",
    view,
    metadata,
  } = spec;
  const fields = [py.text("storage"), py.global("torch", storage), py.text(key), py.text("cpu"), py.int(length)];
  const reference = `${py.tuple(...fields, ...(view === undefined ? [] : [view]))}Q`;
  const numbers = (values: readonly number[]) => py.tuple(...values.map(py.int));
  const rebuild = py.global("torch._utils", "_rebuild_tensor_v2");
  return py.call(
    rebuild,
    reference,
    py.int(offset),
    numbers(shape),
    numbers(strides),
    "\x89",
    py.ordered({}),
    ...(metadata === undefined ? [] : [metadata]),
  );
}

/** Bytes of f32 numbers. */
export function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** A zip file of stored entries; what is given in `lies` replaces what is true of an entry in the directory. */
export function zipFile(
  entries: Readonly<Record<string, Uint8Array>>,
  lies: { size?: number; start?: number; method?: number; flags?: number; crc?: number; count?: number } = {},
): Uint8Array {
  let file = "";
  let directory = "";
  for (const [name, data] of Object.entries(entries)) {
    const start = lies.start ?? file.length;
    const size = number(lies.size ?? data.length, 4);
    const fields = `${number(lies.method ?? 0, 2)}${"\0".repeat(4)}${number(lies.crc ?? crc32ByTable(data), 4)}${size}${size}`;
    file += `PK\x03\x04${number(20, 2)}${number(0, 2)}${fields}${number(name.length, 2)}${number(0, 2)}${name}`;
    file += Buffer.from(data).toString("latin1");
    const flags = number(lies.flags ?? 0, 2);
    const lengths = `${number(name.length, 2)}${"\0".repeat(12)}${number(start, 4)}`;
    directory += `PK\x01\x02${number(20, 2)}${number(20, 2)}${flags}${fields}${lengths}${name}`;
  }
  const count = number(lies.count ?? Object.keys(entries).length, 2);
  const end = `PK\x05\x06\0\0\0\0${count}${count}${number(directory.length, 4)}${number(file.length, 4)}\0\0`;
  return bytesOf(file + directory + end);
}

/** A checkpoint of the zip layout. */
export function torchZip(body: string, storages: Readonly<Record<string, Uint8Array>> = {}, more = {}): Uint8Array {
  const data = Object.entries(storages).map(([key, bytes]) => [`archive/data/${key}`, bytes] as const);
  return zipFile({ "archive/data.pkl": bytesOf(py.whole(body)), ...Object.fromEntries(data), ...more });
}

/** A checkpoint of the older layout; `counts` replaces the true numbers of 4-byte elements. */
export function torchStream(
  body: string,
  storages: Readonly<Record<string, Uint8Array>> = {},
  counts: Readonly<Record<string, number | bigint>> = {},
): Uint8Array {
  const magic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  const keys = py.list(...Object.keys(storages).map(py.text));
  const data = Object.entries(storages).map(
    ([key, bytes]) => number(counts[key] ?? bytes.length / 4, 8) + Buffer.from(bytes).toString("latin1"),
  );
  return bytesOf(
    magic + py.whole("M\xe9\x03") + py.whole(py.dict({})) + py.whole(body) + py.whole(keys) + data.join(""),
  );
}
