import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { toHalf } from "../pack/to-half.ts";
import { encodePacked, type PackedValues, type PackGraph } from "../pack.ts";
import { load } from "../session.ts";
import { crc32, crc32ByTables } from "./crc32.ts";
import { decodePacked } from "./decode-packed.ts";
import { decodeTensor } from "./decode-tensor.ts";
import { fromHalf } from "./half.ts";
import type { PackedOperator } from "./packed-model.ts";
import { prefixBytes } from "./prefix.ts";

/** Everything that a file may do wrong ends in one of these. */
const codes = /^ERR_(PACKED|RUNTIME)_/;

type Json = { [key: string]: unknown };

/** Sets a field deep inside, where there is one. */
function put(header: Json, [key, ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) header[key!] = value;
  else if (typeof header[key!] === "object" && header[key!] !== null) put(header[key!] as Json, rest, value);
}

const weights = Float32Array.from({ length: 5 * 12 }, (_, i) => (i % 3 ? 0 : Math.sin(i + 1)));
const graph: PackGraph = {
  inputs: [{ name: "input", dims: ["batch", 12] }],
  outputs: [{ name: "logits", dims: ["batch", 5] }],
  operators: [
    {
      op: "Gemm",
      name: "fc",
      inputs: ["input"],
      tensors: ["fc.weight", "fc.bias"],
      output: "logits",
      attributes: { activation: "Relu" },
    },
  ],
  tensors: new Map([
    ["fc.weight", { dims: [5, 12], data: weights }],
    ["fc.bias", { dims: [5], data: Float32Array.of(1, -2, 3, -4, 5) }],
  ]),
};

describe("a packed file", () => {
  test.each<[PackedValues, number]>([
    ["f32", 0],
    // Half a step of ten fraction bits.
    ["f16", 2 ** -11],
    // Half a step of 127, 31, 15 or 7 whole numbers up to the row's largest weight, here at most 1.
    ["int8", 0.5 / 127],
    ["int6", 0.5 / 31],
    ["int5", 0.5 / 15],
    ["int4", 0.5 / 7],
  ])("gives back its tensors in %s, zeros exactly", async (values, tolerance) => {
    for (const compression of ["gzip", "none"] as const) {
      const model = await decodePacked(
        await encodePacked(graph, { values, compression, metadata: { labels: ["a", "b"] } }),
      );
      const { data } = model.tensors.get("fc.weight")!;
      data.forEach((value, i) => {
        if (weights[i] === 0) expect(value).toBe(0);
        expect(Math.abs(value - weights[i]!)).toBeLessThanOrEqual(tolerance + 1e-7);
      });
      expect(model.tensors.get("fc.bias")!.data).toEqual(Float32Array.of(1, -2, 3, -4, 5));
      expect(model.operators).toEqual(graph.operators);
      expect(model.metadata).toEqual({ labels: ["a", "b"] });
    }
  });

  test("holds tensors of a small share of all numbers as f16 beside few bits, where f16 holds them", async () => {
    const tensor = (rows: number, columns: number, size = 1) => ({
      dims: [rows, columns],
      data: new Float32Array(rows * columns).fill(size),
    });
    const typesOf = async (...columns: readonly (readonly [number, number?])[]): Promise<string[]> => {
      const tensors = new Map(columns.map(([count, size], t) => [`w${t}`, tensor(16, count, size)]));
      const operators = columns.map((_, t) => ({
        ...graph.operators[0]!,
        name: `${t}`,
        output: t ? `y${t}` : "logits",
        tensors: [`w${t}`],
      }));
      const model = await decodePacked(await encodePacked({ ...graph, operators, tensors }, { values: "int8" }));
      return [...model.tensors.values()].map(({ values }) => values);
    };
    // 16 of 160 columns are more than a 16th, 8 of 1,008 are less; 1e6 is beyond f16, and f32 then; 300 columns are 4,800 numbers of 1.6 million.
    expect(await typesOf([144], [16])).toEqual(["int8", "int8"]);
    expect(await typesOf([1000], [8], [8, 1e6])).toEqual(["int8", "f16", "f32"]);
    expect(await typesOf([100_000], [300], [255])).toEqual(["int8", "int8", "f16"]);
  });

  test("is the same bytes every time, whichever gzip unpacks it", async () => {
    const bytes = await encodePacked(graph);
    expect(await encodePacked(graph)).toEqual(bytes);
    const raw = gunzipSync(bytes.subarray(prefixBytes));
    expect(
      JSON.parse(raw.subarray(0, new DataView(bytes.buffer).getUint32(12, true)).toString()).operators,
    ).toHaveLength(1);
  });

  test("holds subnormal weights as zero", async () => {
    const tensors = new Map([
      ...graph.tensors,
      ["fc.bias", { dims: [5], data: new Float32Array(5).fill(1e-40) }],
    ] as const);
    const model = await decodePacked(await encodePacked({ ...graph, tensors }));
    expect(model.tensors.get("fc.bias")!.data).toEqual(new Float32Array(5));
  });
});

describe("half precision", () => {
  test("every pattern survives the way to f32 and back", () => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((bits) => (bits & 0x7c00) !== 0x7c00);
    const reals = new Float32Array(patterns.length);
    fromHalf(patterns, reals);
    expect(Uint16Array.from(reals, toHalf)).toEqual(patterns);
  });

  test("a number goes to the nearer neighbour", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, min: -65504, max: 65504 }), (value) => {
        const bits = toHalf(value);
        const near = new Float32Array(3);
        fromHalf(Uint16Array.of(bits, bits + 1, Math.max(bits - 1, bits & 0x8000)), near);
        const distances = near.map((other) => Math.abs(other - value));
        expect(distances[0]!).toBeLessThanOrEqual(Math.min(distances[1]!, distances[2]!));
      }),
    );
  });
});

test("the checksum is that of gzip, whole or in parts", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
      const zipped = gzipSync(bytes);
      const expected = zipped.readUInt32LE(zipped.length - 8);
      expect(crc32(bytes)).toBe(expected);
      expect(crc32ByTables(bytes, 0)).toBe(expected);
      expect(crc32ByTables(bytes.subarray(cut), crc32ByTables(bytes.subarray(0, cut), 0))).toBe(expected);
      expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(expected);
    }),
  );
});

describe("a damaged file", () => {
  let whole: Uint8Array;
  let plain: Uint8Array;
  beforeAll(async () => {
    whole = await encodePacked(graph);
    plain = await encodePacked(graph, { compression: "none" });
  });
  const codeOf = async (bytes: Uint8Array): Promise<{ code: string; message: string }> => {
    try {
      const session = await load(bytes, { maxMemoryBytes: 2 ** 24 });
      await session.run({ input: { data: new Float32Array(12), dims: [1, 12] } });
      return { code: "none", message: "" };
    } catch (error) {
      return error as { code: string; message: string };
    }
  };
  const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
    const copy = bytes.slice();
    copy[at] = value;
    return copy;
  };
  /** The uncompressed file with another header, whose checksum is right. */
  const withHeader = (change: (header: Json) => void): Uint8Array => {
    const view = new DataView(plain.buffer, plain.byteOffset);
    const length = view.getUint32(12, true);
    const header = JSON.parse(new TextDecoder().decode(plain.subarray(prefixBytes, prefixBytes + length)));
    change(header);
    const json = new TextEncoder().encode(JSON.stringify(header));
    const rest = plain.subarray(prefixBytes + length);
    const out = new Uint8Array(prefixBytes + json.length + rest.length);
    out.set(plain.subarray(0, prefixBytes));
    out.set(json, prefixBytes);
    out.set(rest, prefixBytes + json.length);
    const place = new DataView(out.buffer);
    place.setUint32(12, json.length, true);
    place.setUint32(24, json.length + rest.length, true);
    place.setUint32(28, crc32(json, crc32(out.subarray(0, 28))), true);
    return out;
  };

  test("says what it is instead", async () => {
    expect((await codeOf(new TextEncoder().encode("<!DOCTYPE html><html>"))).message).toContain("it is an HTML page");
    expect((await codeOf(new Uint8Array())).message).toContain("it is empty");
    expect(await codeOf(gzipSync(whole))).toMatchObject({
      code: "ERR_PACKED_MAGIC",
      message: expect.stringContaining("1f 8b"),
    });
  });

  test("with a mask that keeps more, less or what is not there is refused, in whichever bit", () => {
    const decode = (mask: number, kept: number) => {
      const stored = new Uint8Array(Float32Array.from({ length: kept }, (_, i) => i + 1).buffer);
      return decodeTensor({ name: "w", dims: [3], values: "f32", kept, crc32: 0 }, Uint8Array.of(mask), stored).data;
    };
    expect([...decode(0b111, 3)]).toEqual([1, 2, 3]);
    expect([...decode(0b101, 2)]).toEqual([1, 0, 2]);
    for (const [mask, kept] of [
      [0b111, 2],
      [0b011, 3],
      [0b100011, 3],
      [0b1011, 2],
    ] as const) {
      expect(() => decode(mask, kept), mask.toString(2)).toThrow(/tensor 'w': its mask keeps/);
    }
  });

  test("from the future names both versions", async () => {
    expect(await codeOf(changed(whole, 8, 2))).toMatchObject({
      code: "ERR_PACKED_VERSION",
      message: expect.stringMatching(/version 2.*reads version 1/),
    });
  });

  test("names the tensor whose bytes changed", async () => {
    expect(await codeOf(changed(plain, plain.length - 1, 77))).toMatchObject({
      code: "ERR_PACKED_DAMAGED",
      message: expect.stringContaining("tensor 'fc.bias'"),
    });
  });

  test.each<[string, string, unknown, RegExp]>([
    ["a graph that does not fit its tensors", "tensors.1.dims", [5, 1], /its bias is \[5, 1\]/],
    ["more kept values than there are", "tensors.0.kept", 61, /kept: it is no whole number from 0 to 60/],
    ["another count of kept values", "tensors.0.kept", 19, /values: its tensors need/],
    ["an operator from elsewhere", "operators.0.op", "constructor", /no such operator/],
    ["a value out of nowhere", "operators.0.inputs", ["x"], /reads the value 'x'/],
    ["a tensor out of nowhere", "operators.0.tensors", ["x"], /reads the tensor 'x'/],
    ["a value given twice", "operators.0.output", "input", /'input' is given twice/],
    ["an output that has other extents", "outputs.0.dims", [5], /the graph gives \[1, 5\]/],
    ["no inputs", "inputs", [], /at least one input/],
    ["extents beyond all bounds", "inputs.0.dims", [2 ** 30, 2 ** 30], /at most 2\^31/],
    ["a network larger than allowed", "inputs.0.dims", [2 ** 20, 12], /16777216 are allowed|the file says/],
    ["an unknown kernel", "operators.0.kernel", "fast", /none of dense/],
    ["an unknown activation", "operators.0.attributes.activation", "Tangent", /allowed are Identity, Relu, Clip, Silu/],
    ["an attribute that is no data", "operators.0.attributes.a", {}, /'a' is no number/],
  ])("with %s is refused", async (_, path, value, message) => {
    const { code, message: text } = await codeOf(withHeader((header) => put(header, path.split("."), value)));
    expect(code).toMatch(codes);
    expect(text).toMatch(message);
  });

  const alone = (operator: Partial<PackedOperator>, from: readonly number[], to: readonly number[]): PackGraph => ({
    inputs: [{ name: "x", dims: from }],
    outputs: [{ name: "y", dims: to }],
    operators: [{ op: "Relu", name: "o", inputs: ["x"], tensors: [], output: "y", attributes: {}, ...operator }],
    tensors: new Map(),
  });

  test("that asks for a copy of every number on its own is refused before they are planned", async () => {
    const sides = Array<number>(8).fill(8);
    const move = { op: "Transpose", attributes: { perm: [7, 6, 5, 4, 3, 2, 1, 0] } };
    const bytes = await encodePacked(alone(move, sides, sides));
    await expect(load(bytes)).rejects.toThrow("along too many indices");
    // Five indices of which one is short are several copies.
    const few = { op: "Transpose", attributes: { perm: [4, 2, 0, 3, 1] } };
    const session = await load(await encodePacked(alone(few, [2, 3, 4, 5, 6], [6, 4, 2, 5, 3])));
    const data = Float32Array.from({ length: 720 }, (_, i) => i - 100);
    const { y } = await session.run({ x: { data, dims: [2, 3, 4, 5, 6] } });
    // Output [e, c, a, d, b] is input [a, b, c, d, e].
    expect(y!.data[(((2 * 4 + 3) * 2 + 1) * 5 + 4) * 3 + 2]).toBe((((1 * 3 + 2) * 4 + 3) * 5 + 4) * 6 + 2 - 100);
  });

  test("with an attribute as long as the file is told in a short message", async () => {
    const bytes = await encodePacked(alone({ op: "Slice", attributes: { axis: Array(50_000).fill(1) } }, [4], [4]));
    const { message } = (await load(bytes).catch((error: unknown) => error)) as Error;
    expect(message.length).toBeLessThan(400);
  });

  test("of any kind ends in an error with a code, and never in a wrong result", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(10_000), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat(10_000)),
        async (isPlain, changes, cut) => {
          const source = isPlain ? plain : whole;
          const bytes = source.slice(0, cut === null ? source.length : cut % source.length);
          for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
          const isChanged = bytes.length !== source.length || bytes.some((byte, i) => byte !== source[i]);
          const { code } = await codeOf(bytes);
          // Bytes 4 to 9 of the gzip header are a time and a system: nothing reads them.
          const isMeaningless =
            bytes.length === source.length &&
            !isPlain &&
            bytes.every((byte, i) => byte === source[i] || (i >= prefixBytes + 4 && i < prefixBytes + 10));
          if (isChanged && !isMeaningless) expect(code).toMatch(codes);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("with any header of JSON ends in an error with a code", async () => {
    const places = fc.constantFrom("inputs", "outputs", "operators", "tensors", "metadata");
    const fields = fc.constantFrom(
      "name",
      "dims",
      "op",
      "inputs",
      "tensors",
      "output",
      "attributes",
      "kept",
      "values",
      "crc32",
      "kernel",
    );
    await fc.assert(
      fc.asyncProperty(places, fc.option(fields), fc.jsonValue({ maxDepth: 3 }), async (place, field, value) => {
        const bytes = withHeader((header) => put(header, field === null ? [place] : [place, "0", field], value));
        const { code } = await codeOf(bytes);
        expect(code === "none" || codes.test(code), code).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test("that promises more than a stream can hold is refused before anything is unpacked", async () => {
    const copy = whole.slice();
    new DataView(copy.buffer).setUint32(20, 2 ** 31, true);
    expect((await codeOf(copy)).message).toContain("cannot hold");
  });
});
