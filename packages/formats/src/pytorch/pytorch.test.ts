import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toFloat32 } from "../files/convert.ts";
import { crc32, crc32ByTable } from "../files/crc32.ts";
import { decodeCheckpoint } from "../files/decode-checkpoint.ts";
import { detectFormat } from "../files/detect-format.ts";
import type { Checkpoint } from "../tensor.ts";
import { decodePytorchStream, decodePytorchZip } from "./decode-pytorch.ts";
import { floats, py, tensorPickle, torchStream, torchZip } from "./pytorch.test-support.ts";
import { GOLDEN_FILES } from "./pytorch-goldens.test-support.ts";

const golden = (name: keyof typeof GOLDEN_FILES): Uint8Array =>
  new Uint8Array(Buffer.from(GOLDEN_FILES[name], "base64"));

/** name: numbers, of the tensors of a checkpoint. */
const valuesOf = ({ tensors }: Checkpoint): Record<string, number[]> =>
  Object.fromEntries(tensors.map((tensor) => [tensor.name, [...toFloat32(tensor)]]));

/** One tensor of one number. */
const one = (key: string): string => tensorPickle({ key, length: 1 });

describe("a checkpoint that torch wrote", () => {
  const column = Array.from({ length: 24 }, (_, i) => 6 * (i % 4) + Math.floor(i / 4));
  const expected = [
    { name: "t", dtype: "f32", shape: [6, 4], data: Float32Array.from(column) },
    { name: "row", dtype: "f32", shape: [2, 3], data: Float32Array.of(8, 9, 10, 14, 15, 16) },
    { name: "flat", dtype: "f32", shape: [6], data: Float32Array.of(12, 13, 14, 15, 16, 17) },
    { name: "f16", dtype: "f16", shape: [3], data: Uint16Array.of(0x3e00, 0xc000, 0x3400) },
    { name: "bf16", dtype: "bf16", shape: [3], data: Uint16Array.of(0x3fc0, 0xc000, 0x3e80) },
    { name: "f64", dtype: "f64", shape: [2, 1], data: Float64Array.of(1.5, -2e300) },
    { name: "i64", dtype: "i64", shape: [], data: BigInt64Array.of(2n ** 53n + 1n) },
    { name: "i32", dtype: "i32", shape: [2], data: Int32Array.of(-7, 2 ** 31 - 1) },
    { name: "i16", dtype: "i16", shape: [1], data: Int16Array.of(-7) },
    { name: "i8", dtype: "i8", shape: [1], data: Int8Array.of(-7) },
    { name: "u8", dtype: "u8", shape: [2], data: Uint8Array.of(1, 255) },
    { name: "bool", dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) },
    { name: "param", dtype: "f32", shape: [2], data: Float32Array.of(3, 4) },
    { name: "empty", dtype: "f32", shape: [0, 3], data: new Float32Array(0) },
    { name: "scalar", dtype: "f32", shape: [], data: Float32Array.of(2.5) },
  ];
  for (const [layout, format] of [
    ["zip", "pytorch-zip"],
    ["stream", "pytorch-pickle"],
  ] as const) {
    test(`in the ${layout} layout gives every tensor of every dtype, strided and shared ones row-major`, () => {
      const file = golden(layout);
      expect(detectFormat(file)).toBe(format);
      const checkpoint = decodeCheckpoint(file, "model.ckpt");
      expect(checkpoint.format).toBe(format);
      expect(checkpoint.tensors).toEqual(expected);
    });

    test(`in the ${layout} layout says what it left out`, () => {
      expect(decodeCheckpoint(golden(layout), "x").notes).toEqual([
        "the tensors are those of 'state_dict'; not read: 'args', 'optimizer'; named in the file and not called: 'argparse.Namespace'",
        "dropped 'module.' from every name",
      ]);
    });
  }

  test("with later pickle protocols is read too", () => {
    expect(valuesOf(decodeCheckpoint(golden("streamProtocol4"), "x"))).toEqual({ a: [1, 1] });
    expect(valuesOf(decodeCheckpoint(golden("zipProtocol5"), "x"))).toEqual({ a: [1, 1] });
  });

  test("shares the file's memory where tensors are aligned and contiguous", () => {
    const file = golden("zip");
    const scalar = decodePytorchZip(file).tensors.find(({ name }) => name === "scalar");
    expect(scalar?.data.buffer).toBe(file.buffer);
  });
});

describe("tensors in a checkpoint", () => {
  const storages = { a: floats(1), b: floats(2), c: floats(3), d: floats(4) };
  const read = (body: string): Record<string, number[]> => valuesOf(decodePytorchZip(torchZip(body, storages), "x"));

  test("may be nested at any depth, their names joined by dots", () => {
    const body = py.dict({ conv: py.dict({ w: one("a"), b: one("b") }), fc: py.ordered({ w: one("c") }), x: one("d") });
    expect(read(body)).toEqual({ "conv.w": [1], "conv.b": [2], "fc.w": [3], x: [4] });
  });

  test("are found under any key when they are under one only", () => {
    const body = py.dict({ epoch: py.int(3), wrapped: py.dict({ "my net": py.dict({ w: one("a"), b: one("b") }) }) });
    expect(read(body)).toEqual({ w: [1], b: [2] });
  });

  test("are taken from the well-known key when there are several sets, and the others are named", () => {
    const body = py.dict({ ema: py.dict({ w: one("a") }), state_dict: py.dict({ w: one("b") }), best: one("c") });
    const checkpoint = decodePytorchZip(torchZip(body, storages), "x");
    expect(valuesOf(checkpoint)).toEqual({ w: [2] });
    expect(checkpoint.notes?.[0]).toBe("the tensors are those of 'state_dict'; not read: 'ema', 'best'");
  });

  test("of several networks under keys of their own keep these as prefixes; optimizers are left out", () => {
    const momentum = py.dict({ state: py.dict({ m: one("c") }), param_groups: py.list() });
    const body = py.dict({
      G: py.dict({ w: one("a") }),
      D: py.dict({ w: one("b") }),
      optim_G: momentum,
      other: momentum,
    });
    const checkpoint = decodePytorchZip(torchZip(body, storages), "x");
    expect(valuesOf(checkpoint)).toEqual({ "G.w": [1], "D.w": [2] });
    expect(checkpoint.notes).toEqual(["not read: 'optim_G', 'other'"]);
  });

  test("lose the prefixes of wrappers, unless two would have one name", () => {
    expect(read(py.dict({ "module.w": one("a"), "_orig_mod.module.b": one("b"), "a.module.c": one("c") }))).toEqual({
      w: [1],
      b: [2],
      "a.c": [3],
    });
    expect(read(py.dict({ "module.w": one("a"), w: one("b") }))).toEqual({ "module.w": [1], w: [2] });
  });

  test("may have names and pairs as Python 2 wrote them", () => {
    const pair = (name: string, value: string): string => py.list(`U${String.fromCharCode(name.length)}${name}`, value);
    const ordered = py.call(py.global("collections", "OrderedDict"), py.list(pair("w", one("a")), pair("b", one("b"))));
    expect(read(ordered)).toEqual({ w: [1], b: [2] });
  });

  test.each([
    ["changes the sign of every value", { neg: "\x88" }, [-1, 2]],
    ["leaves the values alone where it is off", { neg: "\x89" }, [1, -2]],
    ["of conjugation leaves real values alone", { conj: "\x88" }, [1, -2]],
  ])("whose metadata bit %s", (_, metadata, expected) => {
    const tensor = tensorPickle({ length: 2, metadata: py.dict(metadata) });
    expect(valuesOf(decodePytorchZip(torchZip(py.dict({ w: tensor }), { "0": floats(1, -2) }), "x"))).toEqual({
      w: expected,
    });
  });

  test("that share their elements share the array", () => {
    const body = py.dict({ a: tensorPickle({ length: 2 }), b: tensorPickle({ length: 2 }) });
    const [a, b] = decodePytorchZip(torchZip(body, { "0": floats(1, 2) }), "x").tensors;
    expect(a!.data).toBe(b!.data);
  });

  test("of equal keys are the last, as in Python", () => {
    expect(read(`}(${py.text("w")}${one("a")}${py.text("w")}${one("b")}u`)).toEqual({ w: [2] });
  });

  test("may be typed apart from their storage, and wrapped in types", () => {
    const untyped = py.call(
      py.global("torch._utils", "_rebuild_tensor_v3"),
      `${py.tuple(py.text("storage"), py.global("torch.storage", "UntypedStorage"), py.text("u"), py.text("cpu"), py.int(8))}Q`,
      py.int(1),
      py.tuple(py.int(3)),
      py.tuple(py.int(1)),
      "\x89",
      py.ordered({}),
      py.global("torch", "uint16"),
    );
    const args = `${one("a").slice(py.global("torch._utils", "_rebuild_tensor_v2").length, -1)}`;
    const typed = py.call(
      py.global("torch._tensor", "_rebuild_from_type_v2"),
      py.global("torch._utils", "_rebuild_tensor_v2"),
      py.global("my.package", "MyTensor"),
      args,
      py.dict({}),
    );
    const bytes = Uint8Array.of(1, 0, 2, 0, 3, 0, 4, 1);
    const file = torchZip(py.dict({ u: untyped, t: typed }), { ...storages, u: bytes });
    const { tensors, notes } = decodePytorchZip(file, "x");
    expect(tensors[0]).toEqual({ name: "u", dtype: "u16", shape: [3], data: Uint16Array.of(2, 3, 260) });
    expect(tensors[1]).toEqual({ name: "t", dtype: "f32", shape: [1], data: Float32Array.of(1) });
    expect(notes).toEqual(["named in the file and not called: 'my.package.MyTensor'"]);
  });

  test("are read in the byte order that the archive names", () => {
    const big = { "archive/byteorder": new TextEncoder().encode("big") };
    const swapped = { a: floats(1).reverse() };
    expect(valuesOf(decodePytorchZip(torchZip(py.dict({ w: one("a") }), swapped, big), "x"))).toEqual({ w: [1] });
  });

  test("may see a part of their storage only, in files of early versions", () => {
    const view = py.tuple(py.text("view"), py.int(2), py.int(3));
    const body = py.dict({ w: tensorPickle({ key: "s", length: 5, shape: [2], offset: 1, view }) });
    expect(valuesOf(decodePytorchStream(torchStream(body, { s: floats(0, 1, 2, 3, 4) }), "x"))).toEqual({ w: [3, 4] });
  });

  test("with any layout in their storage have the elements that strides say", () => {
    const axis = fc.record({ extent: fc.integer({ min: 1, max: 4 }), stride: fc.nat({ max: 5 }) });
    fc.assert(
      fc.property(fc.array(axis, { maxLength: 4 }), fc.nat({ max: 3 }), fc.boolean(), (axes, offset, isZip) => {
        const shape = axes.map(({ extent }) => extent);
        const strides = axes.map(({ stride }) => stride);
        const count = shape.reduce((product, extent) => product * extent, 1);
        const length = Math.max(
          count,
          1 + offset + axes.reduce((sum, { extent, stride }) => sum + (extent - 1) * stride, 0),
        );
        const places = axes.reduce(
          (starts, { extent, stride }) =>
            starts.flatMap((at) => Array.from({ length: extent }, (_, i) => at + i * stride)),
          [offset],
        );
        const body = py.dict({ w: tensorPickle({ key: "s", length, shape, strides, offset }) });
        const data = {
          s: floats(...Array.from({ length }, (_, i) => i)),
          pad: floats(...new Array<number>(count).fill(0)),
        };
        const file = isZip
          ? torchZip(body, data)
          : torchStream(py.dict({ w: body, pad: tensorPickle({ key: "pad", length: count }) }), data);
        const { tensors } = decodeCheckpoint(file, "x");
        const tensor = tensors.find(({ name }) => name.endsWith("w"));
        expect(tensor?.shape).toEqual(shape);
        expect([...(tensor?.data ?? [])]).toEqual(places);
      }),
    );
  });

  test("beside masks of a pruning library are masked and get their plain names", () => {
    const data = { w: floats(1, 2), m: floats(1, 0), v: floats(3), n: floats(1), b: floats(5) };
    const two = (key: string): string => tensorPickle({ key, length: 2 });
    const body = py.dict({
      "fc.weight_orig": two("w"),
      "fc.weight_mask": two("m"),
      "out._layer.weight": one("v"),
      "out._weight_mask": one("n"),
      "out._layer.bias": one("b"),
    });
    const checkpoint = decodePytorchZip(torchZip(body, data), "x");
    expect(valuesOf(checkpoint)).toEqual({ "fc.weight": [1, 0], "out.weight": [3], "out.bias": [5] });
    expect(checkpoint.notes).toEqual(["2 masks of a pruning library were applied to their weights"]);
  });

  test("that only look like masked ones stay as they are", () => {
    const data = { w: floats(1), m: floats(0.5), b: floats(2) };
    const body = py.dict({ "fc.weight_orig": one("w"), "fc.weight_mask": one("m"), "fc.bias_orig": one("b") });
    const checkpoint = decodePytorchZip(torchZip(body, data), "x");
    expect(valuesOf(checkpoint)).toEqual({ "fc.weight_orig": [1], "fc.weight_mask": [0.5], "fc.bias_orig": [2] });
    expect(checkpoint.notes).toEqual([
      "not applied: 'fc.weight_mask', a mask must have its weight's shape and hold only 0 and 1",
    ]);
  });
});

test("the checksum is that of zip, with Node and without", () => {
  // The check value of CRC-32 in every catalogue of such codes.
  const digits = new TextEncoder().encode("123456789");
  expect(crc32(digits)).toBe(0xcbf43926);
  expect(crc32ByTable(digits)).toBe(0xcbf43926);
  expect(crc32ByTable(new Uint8Array(0))).toBe(0);
});
