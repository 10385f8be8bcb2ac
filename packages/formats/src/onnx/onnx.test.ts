import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { isPruneError } from "@secateur/core";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { detectFormat } from "../files/detect-format.ts";
import { readCheckpoint } from "../files/read-checkpoint.ts";
import type { Tensor } from "../tensor.ts";
import { codeThrownBy, largestAllocation } from "../testing.test-support.ts";
import { decodeOnnx } from "./decode-onnx.ts";
import { encodeOnnx } from "./encode-onnx.ts";
import { floatInput, modelBytes, rawFloats } from "./onnx.test-support.ts";
import { withOnnxMetadata } from "./onnx-metadata.ts";
import type { OnnxAttribute, OnnxGraph } from "./onnx-model.ts";
import { ModelProtoSchema } from "./onnx-schema.ts";
import { readOnnx } from "./read-onnx.ts";
import { replaceOnnxTensors } from "./replace-tensors.ts";

const tensorOf = (elemType: number) => ({ value: { case: "tensorType", value: { elemType } } }) as const;
/** A model of one operator with attributes. */
function relu(attribute: object | readonly object[], opType = "Relu"): Uint8Array {
  const node = { opType, input: ["x"], output: ["y"], attribute: [attribute].flat() };
  return modelBytes({ node: [node] as NonNullable<Parameters<typeof modelBytes>[0]>["node"] & object });
}
const decode = (bytes: Uint8Array) => decodeOnnx(bytes, "m.onnx");
const weights = { dtype: "f32", shape: [2, 3], data: Float32Array.of(1, 0, 3, 0, 5, 0) } as const;
const place = "graph/initializer[0]";

describe("an ONNX model", () => {
  test("is recognised, and read with its weights as views of the file", () => {
    const bytes = modelBytes();
    expect(detectFormat(bytes)).toBe("onnx");
    const { graph, opsets } = decode(bytes);
    expect(opsets).toEqual({ "": 17 });
    expect(graph.nodes).toMatchObject([{ op: "MatMul", inputs: ["x", "w"], outputs: ["y"] }]);
    expect(graph.initializers).toMatchObject([{ name: "w", dtype: "f32", shape: [2, 3], place }]);
    expect(graph.inputs.map(({ name }) => name)).toEqual(["x"]);
  });

  test("gets entries of metadata at its end, and keeps every other byte", () => {
    const bytes = modelBytes(
      {},
      {
        metadataProps: [
          { key: "a", value: "1" },
          { key: "b", value: "2" },
        ],
      },
    );
    const more = withOnnxMetadata(bytes, { c: "3", d: "\u00e4" }, "m.onnx");
    expect(more.subarray(0, bytes.length)).toEqual(bytes);
    expect(decode(more).metadata).toEqual({ a: "1", b: "2", c: "3", d: "\u00e4" });
    // What is there already is not written again.
    expect(withOnnxMetadata(more, { c: "3", a: "1" }, "m.onnx")).toBe(more);
    const other = withOnnxMetadata(more, { a: "4" }, "m.onnx");
    expect(decode(other).metadata).toEqual({ a: "4", b: "2", c: "3", d: "\u00e4" });
    expect(other).toHaveLength(more.length);
    expect(withOnnxMetadata(other, { a: "1" }, "m.onnx")).toHaveLength(more.length);
  });

  test("is written from plain data and read back as it was, attributes and scalars included", () => {
    const node = { name: "n", op: "Op", domain: "", inputs: ["x", "", "s"], outputs: ["y"], floats: ["alpha"] };
    const attributes = { alpha: 2, axis: -1, pads: [0, 1], mode: "SAME" };
    const s = { name: "s", dtype: "f64", shape: [], data: Float64Array.of(Math.PI) } as const;
    const shape = ["batch", 3, null];
    const bytes = encodeOnnx({
      opsets: { "": 13, "com.example": 1 },
      metadata: { labels: "a,b" },
      graph: {
        name: "g",
        nodes: [{ ...node, attributes }],
        initializers: [s],
        inputs: [{ name: "x", dtype: "f32", shape }],
        outputs: [{ name: "y", dtype: "i64" }],
      },
    });
    const model = decode(bytes);
    const { floats: _floats, ...plain } = node;
    expect(model.graph.nodes).toEqual([{ ...plain, attributes }]);
    expect(model.graph.initializers).toEqual([{ ...s, place }]);
    expect(model.graph.inputs).toEqual([{ name: "x", dtype: "f32", shape }]);
    expect(model.graph.outputs).toEqual([{ name: "y", dtype: "i64" }]);
    expect(model.metadata).toEqual({ labels: "a,b", producerName: "secateur" });
  });

  test("gives numbers from typed fields as from raw bytes", () => {
    const tensors = [
      { name: "a", dims: [2n], dataType: 1, floatData: [1.5, -2] },
      { name: "b", dims: [2n], dataType: 7, int64Data: [5n, -6n] },
      { name: "c", dims: [2n], dataType: 10, int32Data: [0x3c00, 0xc000] },
      { name: "d", dims: [1n], dataType: 11, doubleData: [0.1] },
      { name: "e", dims: [2n], dataType: 3, int32Data: [-128, 127] },
    ];
    const { graph } = decode(modelBytes({ node: [], output: [{ name: "a" }], initializer: tensors }));
    expect(graph.initializers.map((tensor) => "data" in tensor && [...(tensor.data as Iterable<unknown>)])).toEqual([
      [1.5, -2],
      [5n, -6n],
      [0x3c00, 0xc000],
      [0.1],
      [-128, 127],
    ]);
  });

  test("keeps strings and other types that are not read, and says so", async () => {
    const initializer = [{ name: "t", dims: [1n], dataType: 8, stringData: [new Uint8Array([65])] }];
    const { graph } = decode(modelBytes({ node: [], output: [{ name: "t" }], initializer }));
    expect(graph.initializers).toMatchObject([{ name: "t", dtype: "STRING", opaque: true }]);
  });

  test("has its nodes sorted where the file has them out of order", () => {
    const node = [
      { opType: "Relu", input: ["z"], output: ["y"] },
      { opType: "MatMul", input: ["x", "w"], output: ["z"] },
    ];
    expect(decode(modelBytes({ node })).graph.nodes.map(({ op }) => op)).toEqual(["MatMul", "Relu"]);
  });
});

describe("replacing a tensor", () => {
  test("changes the bytes of its numbers and no other", () => {
    const bytes = modelBytes();
    const changed = replaceOnnxTensors(bytes, new Map([[place, weights]]), "m.onnx");
    expect(changed.length).toBe(bytes.length);
    const differing = [...bytes.keys()].filter((i) => bytes[i] !== changed[i]);
    const start = bytes.length - differing.length;
    expect(differing.length).toBeGreaterThan(0);
    expect(differing.at(-1)! - differing[0]!).toBeLessThan(24);
    expect(start).toBeGreaterThan(0);
    const [tensor] = decode(changed).graph.initializers;
    expect(tensor).toMatchObject({ name: "w", data: weights.data });
  });

  test("gives the file itself back for what it holds, whichever field holds it", () => {
    for (const field of [{ rawData: rawFloats(1, 2, 3, 4, 5, 6) }, { floatData: [1, 2, 3, 4, 5, 6] }]) {
      const bytes = modelBytes({ initializer: [{ name: "w", dims: [2n, 3n], dataType: 1, ...field }] });
      const { data } = { data: Float32Array.of(1, 2, 3, 4, 5, 6) };
      expect(replaceOnnxTensors(bytes, new Map([[place, { ...weights, data }]]), "m.onnx")).toEqual(bytes);
    }
  });

  test("of another size moves what follows, corrects the lengths around it, and keeps names and unknown fields", () => {
    const unknown = Uint8Array.of(0xa2, 0x1f, 3, 1, 2, 3); // field 500 of the model
    const body = { node: [{ opType: "Identity", input: ["k"], output: ["o"] }], output: [{ name: "o" }] };
    const inner = { ...body, initializer: [{ name: "k", dims: [1n], dataType: 1, floatData: [1] }] };
    const attribute = ["then_branch", "else_branch"].map((name) => ({ name, type: 5, g: inner }));
    const node = [{ opType: "If", input: ["x"], output: ["y"], attribute }];
    const bytes = Uint8Array.of(...modelBytes({ node }), ...unknown);
    const long = { dtype: "f32", shape: [100], data: new Float32Array(100).fill(2) } as const;
    const changes = new Map<string, Tensor>([
      ["graph/node[0]/attribute[1]/g/initializer[0]", long],
      [place, weights],
    ]);
    const changed = replaceOnnxTensors(bytes, changes, "m.onnx");
    expect(changed.slice(-unknown.length)).toEqual(unknown);
    const { graph } = decode(changed);
    const bodies = graph.nodes[0]!.attributes as Readonly<Record<string, OnnxAttribute>> as Record<string, OnnxGraph>;
    expect(bodies.else_branch!.initializers).toMatchObject([{ name: "k", shape: [100], data: long.data }]);
    expect(bodies.then_branch!.initializers).toMatchObject([{ name: "k", shape: [1] }]);
    expect(graph.initializers).toMatchObject([{ data: weights.data }]);
  });

  test("refuses a place that the file does not have", () => {
    const missing = new Map([["graph/initializer[9]", weights]]);
    expect(codeThrownBy(() => replaceOnnxTensors(modelBytes(), missing, "m.onnx"))).toBe("ERR_ONNX");
  });
});

describe("what is no valid model is refused in one line:", () => {
  const w = { name: "w", dims: [2n, 3n], dataType: 1 };
  const rawData = rawFloats(1, 2, 3, 4, 5, 6);
  const cases: readonly (readonly [what: string, bytes: () => Uint8Array, says: RegExp])[] = [
    ["no protobuf", () => new TextEncoder().encode("hello, this is text"), /no protobuf field/],
    ["a truncated file", () => modelBytes().slice(0, 60), /beyond the message/],
    ["no graph", () => Uint8Array.of(8, 8), /without a graph/],
    // Field 2 as a number. Other parsers would skip it as unknown, and read another model.
    [
      "a text written as a number",
      () => Uint8Array.of(...modelBytes(), 0x10, 5),
      /'producer_name' of a ModelProto as wire type 0 \(at byte \d+\), expected wire type 2/,
    ],
    ["too few numbers", () => modelBytes({ initializer: [{ ...w, rawData: rawFloats(1) }] }), /data of 1 elements/],
    ["bytes of half a number", () => modelBytes({ initializer: [{ ...w, rawData: rawData.slice(1) }] }), /5.75/],
    ["a negative extent", () => modelBytes({ initializer: [{ ...w, dims: [-2n, 3n], rawData }] }), /\[-2, 3\]/],
    [
      "extents that overflow",
      () => modelBytes({ initializer: [{ ...w, dims: [2n ** 40n, 2n ** 40n], rawData }] }),
      /shape/,
    ],
    [
      "extents that a zero hides",
      () => modelBytes({ initializer: [{ ...w, dims: [2n ** 62n, 0n], rawData }] }),
      /shape/,
    ],
    ["an unknown type", () => modelBytes({ initializer: [{ ...w, dataType: 99, rawData }] }), /element type 99/],
    ["a value made twice", () => modelBytes({ input: [floatInput("x"), floatInput("y")] }), /'y' made twice/],
    ["an input without a type", () => modelBytes({ input: [{ name: "x" }] }), /input 'x' without a type/],
    [
      "an output of no type",
      () => modelBytes({ output: [{ ...floatInput("y"), type: tensorOf(0) }] }),
      /element type 0/,
    ],
    ["no output", () => modelBytes({ output: [] }), /without outputs/],
    ["no IR version", () => modelBytes({}, { irVersion: 0n }), /IR version 0/],
    ["an IR version of the future", () => modelBytes({}, { irVersion: 128n }), /IR version 128, expected 1 to/],
    ["an operator set of the future", () => modelBytes({}, { opsetImport: [{ version: 33802n }] }), /33802/],
    ["an attribute without a type", () => relu({ name: "a" }, "A"), /'a' of operator 'A' without a type/],
    [
      "an attribute that its operator does not have",
      () => relu({ name: "tdes", type: 7 }),
      /'tdes' of operator 'Relu'/,
    ],
    [
      "an attribute of another type",
      () => relu({ name: "alpha", type: 2, i: 1n }, "Elu"),
      /as an int, expected a float/,
    ],
    [
      "an attribute twice",
      () =>
        relu(
          [
            { name: "a", type: 1 },
            { name: "a", type: 1 },
          ],
          "A",
        ),
      /a second attribute 'a'/,
    ],
    ["too many inputs", () => modelBytes({ node: [{ opType: "Relu", input: ["x", "x"], output: ["y"] }] }), /2 inputs/],
    [
      "too many outputs",
      () => modelBytes({ node: [{ opType: "Relu", input: ["x"], output: ["y", ""] }] }),
      /2 outputs/,
    ],
    ["too few inputs", () => modelBytes({ node: [{ opType: "Expand", input: ["x"], output: ["y"] }] }), /at least 2/],
    [
      "an attribute without its value",
      () => relu({ name: "alpha", type: 1, i: 1n }, "Elu"),
      /'alpha' .* without its value/,
    ],
    ["a missing attribute", () => relu([], "Concat"), /operator 'Concat' without 'axis'/],
    [
      "a flag that is neither 0 nor 1",
      () =>
        modelBytes({
          node: [
            {
              ...{ opType: "Gemm", input: ["x", "w"], output: ["y"] },
              attribute: [{ name: "transB", type: 2, i: -1n }] as never,
            },
          ],
        }),
      /'transB' .* as -1, expected 0 or 1/,
    ],
    [
      "two nodes of one name",
      () =>
        modelBytes({
          node: [
            { name: "n", opType: "Relu", input: ["x"], output: ["h"] },
            { name: "n", opType: "Relu", input: ["h"], output: ["y"] },
          ],
        }),
      /a second node of the name 'n'/,
    ],
    [
      "an output of another type than what makes it",
      () =>
        modelBytes({
          node: [{ opType: "Relu", input: ["x"], output: ["y"] }],
          output: [{ ...floatInput("y"), type: tensorOf(4) }],
        }),
      /'y' said to be u16 and made as f32/,
    ],
    [
      "texts as numbers",
      () =>
        modelBytes({
          input: [{ ...floatInput("x"), type: tensorOf(8) }],
          node: [{ opType: "Relu", input: ["x"], output: ["y"] }],
        }),
      /input of type STRING of node 'y' \(Relu\)/,
    ],
    [
      "a product of two types",
      () => modelBytes({ input: [{ ...floatInput("x"), type: tensorOf(11) }] }),
      /types f64 and f32 of node 'y' \(MatMul\)/,
    ],
    ["a missing input", () => modelBytes({ input: [] }), /'x' of node MatMul/],
    ["a missing output", () => modelBytes({ output: [{ name: "q" }] }), /output 'q'/],
    ["an unknown domain", () => modelBytes({ node: [{ opType: "A", domain: "d", output: ["y"] }] }), /domain 'd'/],
    ["no opset", () => modelBytes({}, { opsetImport: [] }), /version for it/],
    [
      "a cycle",
      () => modelBytes({ node: [{ opType: "Add", input: ["y", "y"], output: ["y"] }] }),
      /cycle through node Add/,
    ],
    [
      "a nameless attribute",
      () => modelBytes({ node: [{ opType: "A", attribute: [{ name: "" }] }] }),
      /without a name/,
    ],
    [
      "outside data without a file",
      () => modelBytes({ initializer: [{ ...w, dataLocation: 1 }] }),
      /without a location/,
    ],
  ];
  for (const [what, bytes, says] of cases) {
    test(what, () => {
      const thrown = errorOf(() => decode(bytes()));
      expect(thrown).toMatch(says);
      expect(thrown.split("\n")).toHaveLength(1);
    });
  }

  test("graphs nested in graphs to exhaust the stack", () => {
    // A message of 20,000 subgraphs, one in the other: each is field 6 of an attribute, field 5 of a node, field 1 of a graph.
    let body = new Uint8Array(0);
    for (let depth = 0; depth < 400; depth++) {
      for (const tag of [0x32, 0x2a, 0x0a]) body = Uint8Array.of(tag, ...lengthBytes(body.length), ...body);
    }
    const bytes = Uint8Array.of(8, 8, 0x3a, ...lengthBytes(body.length), ...body);
    expect(errorOf(() => decode(bytes))).toMatch(/nested deeper/);
  });

  test("every truncation and every flipped byte, with nothing allocated beyond the file's size and no other error", () => {
    const good = modelBytes();
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), fc.boolean(), (at, byte, cut) => {
        const bytes = cut ? good.slice(0, at) : good.map((old, i) => (i === at ? byte : old));
        const largest = largestAllocation(() => {
          try {
            decode(bytes);
          } catch (error) {
            if (!isPruneError(error)) throw error;
          }
        });
        // protobuf-es makes a text decoder's buffer of its own; numbers are at most as many as the file has bytes.
        expect(largest).toBeLessThanOrEqual(8 * bytes.length);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("external data", () => {
  const folder = mkdtempSync(join(tmpdir(), "onnx-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const inside = join(folder, "model");
  mkdirSync(inside);
  writeFileSync(join(inside, "w.bin"), Uint8Array.of(9, 9, 9, 9, ...rawFloats(1, 2, 3, 4, 5, 6)));
  writeFileSync(join(folder, "secret.bin"), rawFloats(1, 2, 3, 4, 5, 6));
  symlinkSync(join(folder, "secret.bin"), join(inside, "link.bin"));
  const path = join(inside, "m.onnx");
  const withPlace = (entries: Readonly<Record<string, string>>): string => {
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
    const w = { name: "w", dims: [2n, 3n], dataType: 1, dataLocation: 1, externalData };
    writeFileSync(path, modelBytes({ initializer: [w] }));
    return path;
  };

  test("is read from files inside the model's folder, at its offset", async () => {
    const { model } = await readOnnx(withPlace({ location: "w.bin", offset: "4", length: "24" }));
    expect(model.graph.initializers).toMatchObject([{ data: Float32Array.of(1, 2, 3, 4, 5, 6) }]);
    expect((await readCheckpoint(path)).tensors).toMatchObject([{ name: "w" }]);
  });

  test.each([
    ["a parent folder", { location: "../secret.bin" }, /inside the model's folder/],
    ["a parent folder, with backslashes", { location: "a\\..\\..\\secret.bin" }, /inside the model's folder/],
    ["an absolute path", { location: join(folder, "secret.bin") }, /inside the model's folder/],
    ["a link that leads outside", { location: "link.bin" }, /leads out/],
    ["a file that is not there", { location: "none.bin" }, /no file 'none.bin'/],
    ["a file that is too short", { location: "w.bin", offset: "8" }, /bytes 8 to 32 of a file of 28/],
    ["a length that its shape does not have", { location: "w.bin", length: "8" }, /its shape needs 24/],
    ["an offset that is no number", { location: "w.bin", offset: "-1" }, /whole number/],
  ])("is refused from %s", async (_what, entries, says) => {
    await expect(readOnnx(withPlace(entries as Record<string, string>))).rejects.toThrow(says);
  });
});

test("a file longer than a protobuf message can be is refused before it is read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "onnx-"));
  const path = join(folder, "m.onnx");
  writeFileSync(path, modelBytes());
  // Nothing is written: the file system keeps a hole.
  truncateSync(path, 2 ** 31);
  await expect(readOnnx(path)).rejects.toThrow(/a file of 2147483648 bytes.*external data/);
  rmSync(folder, { recursive: true });
});

function lengthBytes(length: number): number[] {
  return length < 128 ? [length] : [(length % 128) + 128, ...lengthBytes(Math.floor(length / 128))];
}

function errorOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (isPruneError(error)) return error.message;
    throw error;
  }
  throw new Error("threw nothing");
}

test("a new file has the version of the format that goes with its operator set", () => {
  const versionFor = (opset: number): number => {
    const bytes = encodeOnnx({
      ...{ opsets: { "": opset }, metadata: {} },
      graph: { name: "g", nodes: [], initializers: [], inputs: [], outputs: [] },
    });
    return Number(fromBinary(ModelProtoSchema, bytes).irVersion);
  };
  expect([7, 9, 10, 11, 12, 14, 15, 18, 19, 20, 21, 22, 23].map(versionFor)).toEqual([
    4, 4, 5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11,
  ]);
});
