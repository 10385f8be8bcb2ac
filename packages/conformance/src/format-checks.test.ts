import { isPruneError, PruneError, type StoredContent } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { describeFormat, type FormatSpec, formatChecks } from "./format-checks.ts";
import { testPlanted } from "./planted.test-support.ts";

/** A format for tests: eight bytes of length, JSON with shapes and numbers as bits in base 16. */
function encode({ tensors, metadata = {} }: StoredContent): Uint8Array {
  const entries = tensors.map(({ name, dtype, shape, data }) => {
    if (shape.reduce((product, extent) => product * extent, 1) !== data.length) throw refuse("encode", "shape");
    const bits = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return { name, dtype, shape, bits: Array.from(bits, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  });
  const body = new TextEncoder().encode(JSON.stringify({ entries, metadata }));
  const file = new Uint8Array(8 + body.length);
  file.set(new TextEncoder().encode(String(body.length).padStart(8)), 0);
  file.set(body, 8);
  return file;
}

const refuse = (source: string, what: string): PruneError => new PruneError("ERR_TEST", `${source}: bad ${what}`);

interface Entry {
  readonly name: string;
  readonly dtype: "f32" | "f64";
  readonly shape: readonly number[];
  readonly bits: string;
}

function decode(bytes: Uint8Array, source: string): StoredContent {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const head = text.slice(0, 8);
    if (!/^ *\d+$/.test(head) || Number(head) !== bytes.length - 8) throw refuse(source, "length");
    const { entries, metadata } = JSON.parse(text.slice(8)) as { entries: Entry[]; metadata: Record<string, string> };
    const tensors = entries.map(({ name, dtype, shape, bits }) => {
      const raw = Uint8Array.from(bits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
      const data = dtype === "f32" ? new Float32Array(raw.buffer) : new Float64Array(raw.buffer);
      const size = shape.reduce((product, extent) => product * extent, 1);
      if (typeof name !== "string" || size !== data.length || !["f32", "f64"].includes(dtype))
        throw refuse(source, "tensor");
      return { name, dtype, shape, data };
    });
    return { tensors, metadata };
  } catch (error) {
    throw isPruneError(error) ? error : refuse(source, "content");
  }
}

const format: FormatSpec = { encode, decode, hasMetadata: true };
const sample = { name: "a sample", tensors: [{ name: "x", dtype: "f32", shape: [2], data: Float32Array.of(1, 2) }] };

describeFormat({ test, name: "a correct format", ...format, samples: [{ ...sample, bytes: encode(sample) }] });

test("a format that can neither write nor be read from a sample is no suite", () => {
  expect(() => formatChecks({ decode })).toThrow(/no file to try/);
});

const broken = (change: Partial<FormatSpec>) => formatChecks({ ...format, ...change });

describe("the suite rejects a format that", () => {
  testPlanted([
    [
      "loses the sign of zero",
      () =>
        broken({
          encode: (content) =>
            encode({
              ...content,
              tensors: content.tensors.map((one) => ({
                ...one,
                data: (one.data as Float32Array).map((value) => value + 0),
              })),
            }),
        }),
      /every bit/,
    ],
    [
      "flattens shapes",
      () =>
        broken({
          decode: (...file) => ({
            tensors: decode(...file).tensors.map((one) => ({ ...one, shape: [one.data.length] })),
          }),
        }),
      /every bit/,
    ],
    [
      "makes f64 of f32",
      () =>
        broken({
          decode: (...file) => ({
            ...decode(...file),
            tensors: decode(...file).tensors.map((one) => ({
              ...one,
              dtype: "f64",
              data: Float64Array.from(one.data as Float32Array),
            })),
          }),
        }),
      /every bit/,
    ],
    [
      "loses a tensor without elements",
      () =>
        broken({
          encode: (content) => encode({ ...content, tensors: content.tensors.filter(({ data }) => data.length > 0) }),
        }),
      /every bit/,
    ],
    [
      "loses names with special characters",
      () =>
        broken({
          encode: (content) =>
            encode({
              ...content,
              tensors: content.tensors.map((one) => ({ ...one, name: one.name.replace(/[^ -~]/g, "?") })),
            }),
        }),
      /every bit/,
    ],
    ["loses metadata", () => broken({ encode: ({ tensors }) => encode({ tensors }) }), /every bit/],
    [
      "reads only bytes at even addresses",
      () =>
        broken({
          decode: (bytes, source) => decode(bytes.byteOffset % 2 === 1 ? bytes.slice().fill(32) : bytes, source),
        }),
      /every bit/,
    ],
    [
      "works in the caller's array",
      () =>
        broken({
          encode: (content) => {
            const bytes = encode(content);
            for (const { data } of content.tensors) if (data.length > 0) data[0] = 42;
            return bytes;
          },
        }),
      /every bit/,
    ],
    [
      "spreads a file over the arguments of a call",
      () => broken({ encode: (content) => Uint8Array.of(...encode(content)) }),
      /a tensor of 150000/,
    ],
    [
      "writes something new each time",
      () => {
        let count = 0;
        return broken({ encode: (content) => encode({ ...content, metadata: { count: String(count++) } }) });
      },
      /same bytes/,
    ],
    ["writes any shape", () => broken({ encode: () => new Uint8Array(1) }), /does not fit/],
    [
      "fills up a file that is cut off",
      () =>
        broken({
          decode: (bytes, source) => {
            try {
              return decode(bytes, source);
            } catch {
              return { tensors: [] };
            }
          },
        }),
      /cut off|no such file/,
    ],
    [
      "fails on damage with an error of no code",
      () =>
        broken({
          decode: (bytes, source) => {
            try {
              return decode(bytes, source);
            } catch {
              throw new SyntaxError("Unexpected end of JSON input");
            }
          },
        }),
      /cut off/,
    ],
    ["does not say which file is damaged", () => broken({ decode: (bytes) => decode(bytes, "the file") }), /cut off/],
    [
      "overlooks bytes after the end",
      () =>
        broken({
          decode: (bytes, source) => {
            const end = 8 + Number(new TextDecoder().decode(bytes.slice(0, 8)));
            return decode(bytes.slice(0, end), source);
          },
        }),
      /after the end/,
    ],
    [
      "believes shapes that do not fit",
      () =>
        broken({
          decode: (...file) => ({
            tensors: decode(...file).tensors.map((one) => ({ ...one, shape: [...one.shape, 2] })),
          }),
        }),
      /one byte changed/,
    ],
    [
      "misreads a file of its kind",
      () =>
        formatChecks({
          ...format,
          samples: [{ ...sample, tensors: [{ ...sample.tensors[0]!, shape: [1, 2] }], bytes: encode(sample) }],
        }),
      /reads a sample/,
    ],
  ]);
});
