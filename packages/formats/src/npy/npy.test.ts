import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toFloat32 } from "../files/convert.ts";
import { elementCount } from "../tensor.ts";
import { bitsOf, codeThrownBy, largestAllocation } from "../testing.test-support.ts";
import { decodeNpy } from "./decode-npy.ts";
import { encodeNpy } from "./encode-npy.ts";

const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));

/** Files of numpy 2.4.6: numpy.lib.format.write_array(file, array, version=...). */
const NUMPY = {
  // numpy.arange(6, dtype="<f4").reshape(2, 3)
  f4: "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAACAPwAAAEAAAEBAAACAQAAAoEA=",
  // numpy.asfortranarray(numpy.arange(6, dtype="<f8").reshape(2, 3))
  fortran:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAAAAAAAAAAAAAAhAAAAAAAAA8D8AAAAAAAAQQAAAAAAAAABAAAAAAAAAFEA=",
  // numpy.array([1, -2, 300], dtype=">i2"), version=(2, 0)
  bigEndian:
    "k05VTVBZAgB0AAAAeydkZXNjcic6ICc+aTInLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMywpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAf/+ASw=",
  // numpy.array([[1.5, numpy.inf], [-0.1, 6e-8]], dtype="<f2"), version=(3, 0)
  half: "k05VTVBZAwB0AAAAeydkZXNjcic6ICc8ZjInLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwgMiksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAPgB8Zq4BAA==",
};

/** A version 1.0 file with any header text and data. */
function fileOf(header: string, data: Uint8Array | number = 0): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = typeof data === "number" ? new Uint8Array(data) : data;
  const file = new Uint8Array(10 + text.length + bytes.length);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 0xff, text.length >> 8]);
  file.set(text, 10);
  file.set(bytes, 10 + text.length);
  return file;
}

const literal = (descr: string, shape: string, fortranOrder = "False"): string =>
  `{'descr': ${descr}, 'fortran_order': ${fortranOrder}, 'shape': ${shape}, }\n`;

describe("an .npy file", () => {
  test("of numpy is read: version 1, row-major f32", () => {
    expect(decodeNpy(fromBase64(NUMPY.f4))).toEqual({
      dtype: "f32",
      shape: [2, 3],
      data: Float32Array.of(0, 1, 2, 3, 4, 5),
    });
  });

  test("of numpy in Fortran order becomes row-major", () => {
    expect(decodeNpy(fromBase64(NUMPY.fortran))).toEqual({
      dtype: "f64",
      shape: [2, 3],
      data: Float64Array.of(0, 1, 2, 3, 4, 5),
    });
  });

  test("of numpy is read: version 2, big-endian integers", () => {
    expect(decodeNpy(fromBase64(NUMPY.bigEndian))).toEqual({
      dtype: "i16",
      shape: [3],
      data: Int16Array.of(1, -2, 300),
    });
  });

  test("of numpy is read: version 3, half precision", () => {
    const array = decodeNpy(fromBase64(NUMPY.half));
    // The halves nearest to -0.1 and 6e-8: 1638 * 2^-14 and the smallest subnormal.
    expect([...toFloat32(array)]).toEqual([1.5, Number.POSITIVE_INFINITY, -1638 / 2 ** 14, 2 ** -24]);
  });

  test("is written with the very bytes of numpy", () => {
    expect(encodeNpy({ shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) })).toEqual(fromBase64(NUMPY.f4));
  });

  test("gives back what was written, bit by bit, in f32 and f64 and any shape", () => {
    const shapes = fc.array(fc.nat({ max: 4 }), { maxLength: 4 });
    fc.assert(
      fc.property(shapes, fc.boolean(), fc.array(fc.double(), { minLength: 1 }), (shape, isDouble, values) => {
        const length = elementCount(shape) ?? 0;
        const data = isDouble ? new Float64Array(length) : new Float32Array(length);
        for (let i = 0; i < length; i++) data[i] = values[i % values.length]!;
        const file = encodeNpy({ shape, data });
        const read = decodeNpy(file);
        expect(read).toMatchObject({ dtype: isDouble ? "f64" : "f32", shape });
        expect(bitsOf(read)).toEqual(bitsOf({ data }));
        expect(read.data.buffer).toBe(file.buffer);
      }),
    );
  });

  test("in Fortran order of any rank has each element where its indices say", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), (shape) => {
        const size = elementCount(shape) ?? 0;
        const stored = Uint8Array.from({ length: size }, (_, i) => i);
        const read = decodeNpy(fileOf(literal("'|u1'", `(${shape.join(", ")},)`, "True"), stored));
        for (let flat = 0; flat < size; flat++) {
          // flat = ((i0 * n1 + i1) * n2 + i2)...; the stored position counts i0 fastest.
          let rest = flat;
          let position = 0;
          for (let axis = shape.length - 1; axis >= 0; axis--) {
            position = position * shape[axis]! + (rest % shape[axis]!);
            rest = Math.floor(rest / shape[axis]!);
          }
          expect(read.data[flat]).toBe(position);
        }
      }),
    );
  });

  test("of 64-bit integers in Fortran order is reordered exactly", () => {
    const data = new Uint8Array(BigInt64Array.of(0n, 2n, 1n, -(2n ** 63n)).buffer);
    expect(decodeNpy(fileOf(literal("'<i8'", "(2, 2)", "True"), data)).data).toEqual(
      BigInt64Array.of(0n, 1n, 2n, -(2n ** 63n)),
    );
  });

  test("of Python 2 with long integers and double quotes is read", () => {
    expect(decodeNpy(fileOf('{"descr":"|u1","fortran_order":False,"shape":(2L,)}', 2))).toMatchObject({ shape: [2] });
  });

  test("of a scalar has the shape []", () => {
    expect(decodeNpy(fileOf(literal("'<f4'", "()"), 4))).toEqual({
      dtype: "f32",
      shape: [],
      data: new Float32Array(1),
    });
  });
});

describe("a damaged .npy file", () => {
  const file = fromBase64(NUMPY.fortran);

  test("is refused at every length it may be cut to, and with a byte more", () => {
    for (let length = 0; length < file.length; length++) {
      expect(codeThrownBy(() => decodeNpy(file.slice(0, length)))).toBe("ERR_NPY");
    }
    expect(() => decodeNpy(Uint8Array.of(...file, 0))).toThrow(/found 49 bytes of data, expected 48 .*there is more/);
  });

  test("is refused, or read as an array that fits the file, after any flip of one bit of the header", () => {
    let refused = 0;
    for (let bit = 0; bit < 128 * 8; bit++) {
      const flipped = file.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      let read: ReturnType<typeof decodeNpy> | undefined;
      try {
        read = decodeNpy(flipped);
      } catch {
        expect(["ERR_NPY", "ERR_DTYPE"]).toContain(codeThrownBy(() => decodeNpy(flipped)));
        refused++;
      }
      if (read !== undefined) {
        expect(read.data.byteLength).toBe(48);
        expect(elementCount(read.shape)).toBe(read.data.length);
      }
    }
    expect(refused).toBeGreaterThan(300);
  });

  test("never fails otherwise, and never allocates more than its size, whatever its header is", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        ":",
        "True",
        "False",
        " ",
        "'descr'",
        "'shape'",
        "'<f4'",
        "'fortran_order'",
      ),
      fc.nat().map(String),
      fc.string(),
    );
    const header = fc.oneof(
      fc.array(piece).map((pieces) => pieces.join("")),
      fc
        .tuple(
          fc.constantFrom("'<f4'", "'>f8'", "'|u1'", "'|O'"),
          fc.array(fc.oneof(fc.nat({ max: 4 }), fc.maxSafeNat())),
          fc.boolean(),
        )
        .map(([descr, shape, isFortran]) =>
          literal(descr, `(${shape.map((n) => `${n},`).join("")})`, isFortran ? "True" : "False"),
        ),
    );
    fc.assert(
      fc.property(header, fc.nat({ max: 64 }), (header, dataBytes) => {
        const bytes = fileOf(header, dataBytes);
        const largest = largestAllocation(() => {
          try {
            decodeNpy(bytes);
          } catch {
            codeThrownBy(() => decodeNpy(bytes));
          }
        });
        expect(largest).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 1000 },
    );
  });

  const version = (major: number, minor: number): Uint8Array => {
    const bytes = file.slice();
    bytes.set([major, minor], 6);
    return bytes;
  };
  const hostile: readonly (readonly [what: string, bytes: Uint8Array, message: RegExp])[] = [
    ["is empty", new Uint8Array(0), /an empty file/],
    ["has another magic", new Uint8Array(200), /other first bytes/],
    ["is of version 4", version(4, 0), /version 4.0/],
    ["is of version 1.1", version(1, 1), /version 1.1/],
    ["claims a header larger than the file", version(2, 0), /larger than the file of 176 bytes/],
    ["has a header that is code", fileOf("__import__('os').system('true')"), /not a Python dictionary/],
    ["has code for a shape", fileOf(literal("'<f4'", "(lambda: (1,))()"), 4), /not a Python dictionary/],
    ["has a negative extent", fileOf(literal("'<f4'", "(-1,)"), 4), /not a Python dictionary/],
    ["has a header with more after it", fileOf(`${literal("'<f4'", "(1,)")}1`, 4), /not a Python dictionary/],
    [
      "has a header that never ends",
      fileOf("{'descr': '<f4', 'fortran_order': False, 'shape': (1,", 4),
      /not a Python/,
    ],
    ["has a number for a shape", fileOf(literal("'<f4'", "3"), 4), /the shape 3/],
    ["has a parenthesis for a tuple", fileOf(literal("'<f4'", "(3)"), 12), /not a Python dictionary/],
    ["has text in its shape", fileOf(literal("'<f4'", "('3',)"), 4), /the shape \['3'\]/],
    ["lacks a key", fileOf("{'descr': '<f4', 'shape': (1,)}", 4), /the header keys \['descr', 'shape'\]/],
    ["has a key too many", fileOf("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", 4), /keys .*'x'/],
    ["has a key twice", fileOf("{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}", 4), /not a Python dictionary/],
    ["has a number for fortran_order", fileOf(literal("'<f4'", "(1,)", "1"), 4), /fortran_order/],
    ["has a shape beyond 2^53", fileOf(literal("'<f4'", "(4294967296, 4294967296)")), /less than 2\^53/],
    ["has an extent beyond 2^53", fileOf(literal("'<f4'", "(99999999999999999999,)")), /the shape/],
    ["is nested too deep", fileOf(literal("'<f4'", "(".repeat(30_000))), /not a Python dictionary/],
  ];
  for (const [what, bytes, message] of hostile) {
    test(`that ${what} is refused and says so`, () => {
      expect(codeThrownBy(() => decodeNpy(bytes, "G.npy"))).toBe("ERR_NPY");
      expect(() => decodeNpy(bytes, "G.npy")).toThrow(message);
      expect(() => decodeNpy(bytes, "G.npy")).toThrow(/^G\.npy: /);
    });
  }

  const dtypes: readonly (readonly [descr: string, message: RegExp])[] = [
    ["'|O'", /Python objects/],
    ["'<U3'", /text/],
    ["'<c8'", /complex/],
    ["'<M8[D]'", /<M8\[D\]/],
    ["'<f16'", /<f16/],
    ["'constructor'", /constructor/],
    ["[('a', '<i4'), ('b', '<f4')]", /named fields/],
  ];
  for (const [descr, message] of dtypes) {
    test(`of the element type ${descr} says that it is not supported`, () => {
      const bytes = fileOf(literal(descr, "(1,)"), 8);
      expect(codeThrownBy(() => decodeNpy(bytes))).toBe("ERR_DTYPE");
      expect(() => decodeNpy(bytes)).toThrow(message);
    });
  }

  test("is not written either: a shape that does not fit its data is refused", () => {
    expect(codeThrownBy(() => encodeNpy({ shape: [2, 2], data: new Float32Array(3) }))).toBe("ERR_TENSOR");
    // Their bits would be written as those of f32.
    const whole = Int32Array.of(1, 2) as unknown as Float32Array;
    expect(codeThrownBy(() => encodeNpy({ shape: [2], data: whole }))).toBe("ERR_TENSOR");
    expect(codeThrownBy(() => encodeNpy({ shape: new Array(40).fill(1), data: new Float32Array(1) }))).toBe(
      "ERR_TENSOR",
    );
  });
});
