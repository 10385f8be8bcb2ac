import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeSafetensors } from "./safetensors/decode-safetensors.ts";
import { encodeSafetensors } from "./safetensors/encode-safetensors.ts";
import { elementCount, type NamedTensor } from "./tensor.ts";
import { anyTensor, bitsOf, codeThrownBy, largestAllocation } from "./testing.test-support.ts";

const someTensors = (): fc.Arbitrary<NamedTensor[]> =>
  fc.uniqueArray(anyTensor(), { maxLength: 5, selector: ({ name }) => name });

/** A file with any header text, whole or not, and any data. */
function fileOf(header: string | Uint8Array, data: Uint8Array | number = 0): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = typeof data === "number" ? new Uint8Array(data) : data;
  const file = new Uint8Array(8 + json.length + bytes.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  file.set(bytes, 8 + json.length);
  return file;
}

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}`;

describe("a safetensors file", () => {
  test("is read as the format description says, byte by byte", () => {
    const json = `{"__metadata__":{"format":"pt"},"b":${entry('"F32"', "[1,2]", "[0,8]")},"a":${entry('"I16"', "[]", "[8,10]")}}  `;
    const data = Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0xfe, 0xff);
    const checkpoint = decodeSafetensors(fileOf(json, data));
    expect(checkpoint).toEqual({
      format: "safetensors",
      metadata: { format: "pt" },
      tensors: [
        { name: "b", dtype: "f32", shape: [1, 2], data: Float32Array.of(1, -2) },
        { name: "a", dtype: "i16", shape: [], data: Int16Array.of(-2) },
      ],
    });
  });

  test("is written as the reference implementation lays it out: widest dtype first, then by name, padded to 8 bytes", () => {
    const file = encodeSafetensors({
      tensors: [
        { name: "y", dtype: "u8", shape: [1], data: Uint8Array.of(7) },
        { name: "b", dtype: "f32", shape: [1], data: Float32Array.of(1) },
        { name: "a", dtype: "f32", shape: [1], data: Float32Array.of(2) },
        { name: "z", dtype: "f64", shape: [1], data: Float64Array.of(3) },
      ],
      metadata: { k: "v" },
    });
    const headerBytes = Number(new DataView(file.buffer).getBigUint64(0, true));
    expect(headerBytes % 8).toBe(0);
    expect(new TextDecoder().decode(file.subarray(8, 8 + headerBytes)).trimEnd()).toBe(
      `{"__metadata__":{"k":"v"},"z":${entry('"F64"', "[1]", "[0,8]")},"a":${entry('"F32"', "[1]", "[8,12]")},` +
        `"b":${entry('"F32"', "[1]", "[12,16]")},"y":${entry('"U8"', "[1]", "[16,17]")}}`,
    );
    expect(file.length).toBe(8 + headerBytes + 17);
  });

  test("gives back every tensor bit by bit and all metadata, whatever the dtypes, shapes and names", () => {
    const metadata = fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }));
    fc.assert(
      fc.property(someTensors(), metadata, (tensors, metadata) => {
        const read = decodeSafetensors(encodeSafetensors({ tensors, metadata }));
        expect(new Map(Object.entries(read.metadata))).toEqual(new Map(Object.entries(metadata)));
        expect(read.tensors.length).toBe(tensors.length);
        for (const tensor of tensors) {
          const same = read.tensors.find(({ name }) => name === tensor.name);
          expect(same).toMatchObject({ dtype: tensor.dtype, shape: tensor.shape });
          expect(same && bitsOf(same)).toEqual(bitsOf(tensor));
        }
      }),
    );
  });

  test("has the same bytes in whatever order its tensors come, and when it is read and written again", () => {
    fc.assert(
      fc.property(someTensors(), (tensors) => {
        const file = encodeSafetensors({ tensors });
        expect(encodeSafetensors({ tensors: [...tensors].reverse() })).toEqual(file);
        expect(encodeSafetensors(decodeSafetensors(file))).toEqual(file);
      }),
    );
  });

  test("keeps names that JavaScript objects treat specially", () => {
    const tensors: NamedTensor[] = ["__proto__", "constructor", "10", "2", ""].map((name, i) => ({
      name,
      dtype: "u8",
      shape: [1],
      data: Uint8Array.of(i),
    }));
    const read = decodeSafetensors(
      encodeSafetensors({ tensors, metadata: Object.fromEntries([["__proto__", "text"]]) }),
    );
    for (const { name, data } of tensors) {
      expect(read.tensors.find((tensor) => tensor.name === name)?.data).toEqual(data);
    }
    expect(Object.entries(read.metadata)).toEqual([["__proto__", "text"]]);
  });

  test("is viewed and not copied where its data is aligned, and copied where it is not", () => {
    const tensors: NamedTensor[] = [{ name: "w", dtype: "f32", shape: [3], data: Float32Array.of(1, 2, 3) }];
    const file = encodeSafetensors({ tensors });
    expect(decodeSafetensors(file).tensors[0]?.data.buffer).toBe(file.buffer);
    const shifted = new Uint8Array(file.length + 1).subarray(1);
    shifted.set(file);
    const read = decodeSafetensors(shifted).tensors[0];
    expect(read?.data.buffer).not.toBe(shifted.buffer);
    expect(read?.data).toEqual(tensors[0]?.data);
  });

  test("of no tensors is whole", () => {
    expect(decodeSafetensors(fileOf("{}")).tensors).toEqual([]);
    expect(decodeSafetensors(encodeSafetensors({ tensors: [] }))).toMatchObject({ tensors: [], metadata: {} });
  });
});

describe("a damaged safetensors file", () => {
  const tensors: NamedTensor[] = [
    { name: "fc1.weight", dtype: "f32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    { name: "fc1.bias", dtype: "f16", shape: [2], data: Uint16Array.of(0x3c00, 0xbc00) },
  ];
  const file = encodeSafetensors({ tensors, metadata: { format: "pt" } });
  const headerEnd = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));

  test("may say null where it has no metadata, and have numbers in its names", () => {
    const file = fileOf(`{"__metadata__":null,"-1.0e5":${u8("[1]", "[0,1]")}}`, 1);
    expect(decodeSafetensors(file)).toMatchObject({ metadata: {}, tensors: [{ name: "-1.0e5" }] });
  });

  test("is refused at every length it may be cut to", () => {
    for (let length = 0; length < file.length; length++) {
      expect(codeThrownBy(() => decodeSafetensors(file.slice(0, length)))).toBe("ERR_SAFETENSORS");
    }
  });

  test("is refused, or read as tensors that fit the file, after any flip of one bit of the header", () => {
    let refused = 0;
    for (let bit = 0; bit < headerEnd * 8; bit++) {
      const flipped = file.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      let read: ReturnType<typeof decodeSafetensors> | undefined;
      const code = (() => {
        try {
          read = decodeSafetensors(flipped);
          return "read";
        } catch {
          return codeThrownBy(() => decodeSafetensors(flipped));
        }
      })();
      if (read === undefined) {
        expect(["ERR_SAFETENSORS", "ERR_DTYPE"]).toContain(code);
        refused++;
        continue;
      }
      // A flip inside a name, in the metadata or from one 4-byte dtype to another still is a whole file.
      expect(read.tensors.reduce((sum, { data }) => sum + data.byteLength, 0)).toBe(file.length - headerEnd);
      for (const { shape, data } of read.tensors) expect(elementCount(shape)).toBe(data.length);
    }
    expect(refused).toBeGreaterThan(headerEnd * 4);
  });

  test("is refused where its metadata have more entries than anybody writes", () => {
    const metadata = Object.fromEntries(Array.from({ length: 65_537 }, (_, i) => [`k${i}`, ""]));
    const file = encodeSafetensors({ tensors: [], metadata });
    expect(() => decodeSafetensors(file)).toThrow(/65537 entries in __metadata__, expected at most 65536/);
  });

  test("never fails otherwise, and never allocates more than its size, whatever its bytes are", () => {
    const jsonValue = fc.jsonValue({ maxDepth: 4 });
    const entryLike = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom("F32", "U8", "F64", "I64", "X"), jsonValue),
        shape: fc.oneof(fc.array(fc.oneof(fc.nat({ max: 5 }), fc.maxSafeNat(), fc.double())), jsonValue),
        data_offsets: fc.oneof(fc.tuple(fc.nat({ max: 64 }), fc.nat({ max: 64 })), jsonValue),
      },
      { requiredKeys: [] },
    );
    const header = fc.oneof(
      fc
        .dictionary(fc.string({ unit: "binary" }), fc.oneof(entryLike, jsonValue))
        .map((value) => JSON.stringify(value)),
      fc.string({ unit: "binary" }),
      fc.uint8Array(),
    );
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 64 }), fc.boolean(), (header, data, isRaw) => {
        const bytes = isRaw ? data : fileOf(header, data);
        const largest = largestAllocation(() => {
          try {
            decodeSafetensors(bytes);
          } catch {
            codeThrownBy(() => decodeSafetensors(bytes));
          }
        });
        expect(largest).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 300 },
    );
  });

  const u8 = (shape: string, offsets: string): string => entry('"U8"', shape, offsets);
  const hostile: readonly (readonly [what: string, bytes: Uint8Array, message: RegExp])[] = [
    ["is empty", new Uint8Array(0), /an empty file/],
    ["is shorter than the header's length", new Uint8Array(5), /a file of 5 bytes/],
    [
      "claims a header larger than the file",
      Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 0x7b, 0x7d),
      /header of 18446744073709551615 bytes, larger than the file of 10 bytes/,
    ],
    [
      "claims a header one byte larger than the file",
      Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d),
      /at most 2 bytes of header/,
    ],
    ["has a header that is not UTF-8", fileOf(Uint8Array.of(0x7b, 0xff, 0x7d)), /not UTF-8/],
    ["has an empty header", fileOf(""), /does not begin with '\{'/],
    ["has a header with a byte order mark", fileOf("\ufeff{}"), /does not begin with '\{'/],
    ["has a header that is no JSON", fileOf('{"a":'), /not valid JSON/],
    ["has a list as header", fileOf("[]"), /does not begin with '\{'/],
    ["has text after its JSON", fileOf("{}x"), /not valid JSON/],
    [
      "has two tensors of one name",
      fileOf(`{"a":${u8("[1]", "[0,1]")},"\\u0061":${u8("[1]", "[1,2]")}}`, 2),
      /'a' twice/,
    ],
    [
      "has two dtypes for a tensor",
      fileOf('{"a":{"dtype":"U8","dtype":"I8","shape":[],"data_offsets":[0,1]}}', 1),
      /'dtype' twice/,
    ],
    ["has metadata that is no object", fileOf('{"__metadata__":3}'), /3 as __metadata__/],
    ["has metadata that is no text", fileOf('{"__metadata__":{"a":{}}}'), /an object as the __metadata__ entry 'a'/],
    ["has an entry that is no object", fileOf('{"a":[1]}'), /'a' with \[1\] as its entry/],
    ["lacks a dtype", fileOf('{"a":{"shape":[1],"data_offsets":[0,1]}}', 1), /nothing as its dtype/],
    ["lacks a shape", fileOf('{"a":{"dtype":"U8","data_offsets":[0,1]}}', 1), /the shape nothing/],
    ["lacks offsets", fileOf('{"a":{"dtype":"U8","shape":[1]}}', 1), /the data_offsets nothing/],
    ["has a negative extent", fileOf(`{"a":${u8("[-1]", "[0,1]")}}`, 1), /the shape \[-1\]/],
    ["has a fractional extent", fileOf(`{"a":${u8("[1.5]", "[0,1]")}}`, 1), /the shape \[1.5\]/],
    ["spells a whole number as a float", fileOf(`{"a":${u8("[1.0]", "[0,1]")}}`, 1), /the number '1.0'/],
    ["spells a whole number with an exponent", fileOf(`{"a":${u8("[1e0]", "[0,1]")}}`, 1), /the number '1e0'/],
    ["has a negative zero as offset", fileOf(`{"a":${u8("[1]", "[-0,1]")}}`, 1), /the number '-0'/],
    [
      "has 65 dimensions",
      fileOf(`{"a":${u8(`[${"1,".repeat(64)}1]`, "[0,1]")}}`, 1),
      /65 dimensions, expected at most 64/,
    ],
    ["has text as shape", fileOf(`{"a":${u8('"1"', "[0,1]")}}`, 1), /the shape '1'/],
    ["has a nested shape", fileOf(`{"a":${u8("[[1]]", "[0,1]")}}`, 1), /the shape \[\[...\]\]/],
    ["has one offset", fileOf(`{"a":${u8("[1]", "[0]")}}`, 1), /the data_offsets \[0\]/],
    ["has a negative offset", fileOf(`{"a":${u8("[1]", "[-1,0]")}}`, 1), /the data_offsets \[-1, 0\]/],
    ["has an offset beyond 2^53", fileOf(`{"a":${u8("[1]", "[0,1e300]")}}`, 1), /the data_offsets/],
    ["has offsets the wrong way round", fileOf(`{"a":${u8("[1]", "[1,0]")}}`, 1), /\[1, 0\], -1 bytes/],
    [
      "has a shape whose product overflows",
      fileOf(`{"a":${u8("[4294967296,4294967296]", "[0,0]")}}`),
      /less than 2\^53/,
    ],
    [
      "has a shape whose product wraps to nothing",
      fileOf(`{"a":${u8("[9007199254740991,9007199254740991,0]", "[0,0]")}}`),
      /2\^53/,
    ],
    [
      "has a shape that needs more bytes than its offsets hold",
      fileOf(`{"a":${entry('"F32"', "[1]", "[0,1]")}}`, 1),
      /expected 4 bytes for F32/,
    ],
    [
      "has a tensor that ends after the file",
      fileOf(`{"a":${u8("[2]", "[0,2]")}}`, 1),
      /ending at byte 2 of 1 bytes of data/,
    ],
    ["has tensors that overlap", fileOf(`{"a":${u8("[2]", "[0,2]")},"b":${u8("[2]", "[1,3]")}}`, 3), /not overlap/],
    ["has a hole between tensors", fileOf(`{"a":${u8("[1]", "[0,1]")},"b":${u8("[1]", "[2,3]")}}`, 3), /without holes/],
    ["has a hole before the first tensor", fileOf(`{"a":${u8("[1]", "[1,2]")}}`, 2), /without holes/],
    ["has bytes after the last tensor", fileOf(`{"a":${u8("[1]", "[0,1]")}}`, 3), /2 bytes after the last tensor/],
    ["has half a surrogate pair as name", fileOf(`{"\\ud800":${u8("[1]", "[0,1]")}}`, 1), /half a surrogate/],
  ];
  for (const [what, bytes, message] of hostile) {
    test(`that ${what} is refused and says so`, () => {
      expect(codeThrownBy(() => decodeSafetensors(bytes, "net.safetensors"))).toBe("ERR_SAFETENSORS");
      expect(() => decodeSafetensors(bytes, "net.safetensors")).toThrow(message);
      expect(() => decodeSafetensors(bytes, "net.safetensors")).toThrow(/^net\.safetensors: /);
    });
  }

  test("of an unknown dtype names the tensor, the dtype and the known ones", () => {
    const bytes = fileOf(`{"fc1.weight":${entry('"F8_E4M3"', "[1]", "[0,1]")}}`, 1);
    expect(codeThrownBy(() => decodeSafetensors(bytes))).toBe("ERR_DTYPE");
    expect(() => decodeSafetensors(bytes)).toThrow(
      /tensor 'fc1.weight': its dtype is 'F8_E4M3'; supported: BOOL, .*F32/,
    );
  });

  test("nested a hundred thousand levels deep neither overflows the stack nor is quoted whole", () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const bytes = fileOf(`{"a":${entry('"U8"', deep, "[0,1]")}}`, 1);
    expect(codeThrownBy(() => decodeSafetensors(bytes))).toBe("ERR_SAFETENSORS");
    expect(() => decodeSafetensors(bytes)).toThrow(/the shape \[\[...\]\]/);
  });

  test("cannot steer the terminal or flood it through its names", () => {
    const bytes = fileOf(`{"\\u001b[2J${"x".repeat(100_000)}":3}`);
    expect(() => decodeSafetensors(bytes)).toThrow(/'\\u\{1b\}\[2Jxxx/);
    expect(() => decodeSafetensors(bytes)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{1,400}$/s) }),
    );
  });
});

describe("writing safetensors refuses", () => {
  const tensor = (name: string, shape: number[], length: number): NamedTensor => ({
    name,
    dtype: "f32",
    shape,
    data: new Float32Array(length),
  });
  const bad: readonly (readonly [what: string, tensors: NamedTensor[], message: RegExp])[] = [
    ["a shape that does not fit its data", [tensor("a", [2, 2], 3)], /shape \[2, 2\] of f32 with 3 elements/],
    ["a negative extent", [tensor("a", [-1], 1)], /shape \[-1\]/],
    ["an unknown dtype", [{ ...tensor("a", [1], 1), dtype: "f8" } as unknown as NamedTensor], /the dtype 'f8'/],
    ["no shape", [{ ...tensor("a", [1], 1), shape: undefined } as unknown as NamedTensor], /no list as its shape/],
    ["a name that is no text", [{ ...tensor("a", [1], 1), name: 1 } as unknown as NamedTensor], /no text as its name/],
    ["two tensors of one name", [tensor("a", [1], 1), tensor("a", [2], 2)], /two tensors of that name/],
    ["the reserved name", [tensor("__metadata__", [1], 1)], /reserves for metadata/],
    ["half a surrogate pair", [tensor("\ud800", [1], 1)], /half a surrogate pair/],
    [
      "data of another width",
      [{ ...tensor("a", [1], 1), dtype: "f64" } as unknown as NamedTensor],
      /elements of 8 bytes/,
    ],
  ];
  for (const [what, tensors, message] of bad) {
    test(what, () => {
      expect(codeThrownBy(() => encodeSafetensors({ tensors }))).toBe("ERR_TENSOR");
      expect(() => encodeSafetensors({ tensors })).toThrow(message);
    });
  }

  test("metadata that UTF-8 cannot hold", () => {
    expect(codeThrownBy(() => encodeSafetensors({ tensors: [], metadata: { a: "\udc00" } }))).toBe("ERR_TENSOR");
  });
});

describe("the checksum of a safetensors file", () => {
  const tensors = [
    { name: "a", dtype: "f32", shape: [3], data: Float32Array.of(1, 2, 3) },
    { name: "b", dtype: "u8", shape: [2], data: Uint8Array.of(4, 5) },
  ] as const;
  const file = encodeSafetensors({ tensors, metadata: { note: "\u00e9" }, checksum: true });
  const data = file.length - 14;

  test("stands in its metadata, and every damaged byte of a tensor is noticed", () => {
    const { metadata, tensors: read } = decodeSafetensors(file);
    // CRC-32 of the fourteen bytes by zlib.
    expect(metadata).toEqual({
      note: "\u00e9",
      "secateur.crc32": crc32(file.subarray(data)).toString(16).padStart(8, "0"),
    });
    expect(read.map(({ name }) => name)).toEqual(["a", "b"]);
    for (let i = data; i < file.length; i++) {
      const damaged = file.slice();
      damaged[i]! ^= 1;
      expect(codeThrownBy(() => decodeSafetensors(damaged))).toBe("ERR_CHECKSUM");
    }
  });

  test("is made anew where metadata with one are written again, and left out where nobody asks for it", () => {
    const { metadata } = decodeSafetensors(file);
    const other = encodeSafetensors({ tensors: tensors.slice(0, 1), metadata });
    expect(decodeSafetensors(other).metadata["secateur.crc32"]).not.toBe(metadata["secateur.crc32"]);
    expect(decodeSafetensors(encodeSafetensors({ tensors })).metadata).toEqual({});
  });

  test("is not mistaken for a tensor or a text that looks like it", () => {
    const odd = { name: '00000000"}', dtype: "u8", shape: [1], data: Uint8Array.of(7) } as const;
    const written = encodeSafetensors({ tensors: [odd], metadata: { x: '00000000"}' }, checksum: true });
    expect(decodeSafetensors(written)).toMatchObject({ tensors: [{ name: odd.name }], metadata: { x: '00000000"}' } });
  });
});
