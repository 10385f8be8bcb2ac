import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeCheckpoint } from "./files/decode-checkpoint.ts";
import { bytesOf, floats, py, tensorPickle, torchStream, torchZip, zipFile } from "./pytorch/pytorch.test-support.ts";
import { GOLDEN_FILES } from "./pytorch/pytorch-goldens.test-support.ts";
import { codeThrownBy, largestAllocation } from "./testing.test-support.ts";

const golden = (name: keyof typeof GOLDEN_FILES): Uint8Array =>
  new Uint8Array(Buffer.from(GOLDEN_FILES[name], "base64"));
const decode = (file: Uint8Array) => decodeCheckpoint(file, "model.pt");
const one = (spec: Partial<Parameters<typeof tensorPickle>[0]> = {}): string =>
  py.dict({ w: tensorPickle({ length: 1, ...spec }) });
const data = { "0": floats(1) };
const huge = 2 ** 31 - 1;

/** What is wrong, the file, the code and the message. */
const refused: readonly (readonly [what: string, file: Uint8Array, code: string, message: RegExp])[] = [
  [
    "that would run a program",
    torchZip(py.dict({ w: tensorPickle({ length: 1 }), x: py.call(py.global("os", "system"), py.text("id")) }), data),
    "ERR_PYTORCH_UNSAFE",
    /would run 'os\.system'; nothing was run/,
  ],
  [
    "that would run Python text, even where nothing uses it",
    torchStream(`${py.call(py.global("__builtin__", "eval"), py.text("1"))}0${one()}`, data),
    "ERR_PYTORCH_UNSAFE",
    /'__builtin__\.eval'/,
  ],
  ["of a whole module", golden("module"), "ERR_PYTORCH", /names 'torch\.nn\.modules\.linear\.Linear'.*state_dict\(\)/],
  [
    "of one tensor without a name",
    golden("oneTensor"),
    "ERR_PYTORCH",
    /no tensors in dictionaries, expected a state dict/,
  ],
  ["of a script", golden("script"), "ERR_PYTORCH", /TorchScript archive.*torch\.jit\.load/],
  [
    "with an expanded tensor",
    golden("expanded"),
    "ERR_PYTORCH",
    /shape \[5\] in a storage of 1 elements.*contiguous\(\)/,
  ],
  [
    "with a sparse tensor",
    golden("sparse"),
    "ERR_PYTORCH",
    /'torch\._utils\._rebuild_sparse_tensor', which is not read/,
  ],
  ["with complex numbers", golden("complex"), "ERR_DTYPE", /tensor 'a': its dtype is 'ComplexFloatStorage'/],
  ["without tensors", torchZip(py.dict({ epoch: py.int(1) })), "ERR_PYTORCH", /no tensors in dictionaries/],
  ["with a list of tensors only", torchZip(py.list(tensorPickle({ length: 1 })), data), "ERR_PYTORCH", /no tensors/],

  ["whose dictionary holds itself", torchZip(`}q\x01${py.text("a")}h\x01s`), "ERR_PYTORCH", /holds itself/],
  [
    "whose dictionaries nest without end",
    torchZip(`${`}${py.text("a")}`.repeat(100)}${tensorPickle({ length: 1 })}${"s".repeat(100)}`, data),
    "ERR_PYTORCH",
    /nested deeper than 64/,
  ],
  ["whose dictionaries multiply", torchZip(multiplied(40), data), "ERR_PYTORCH", /repeat each other/],
  ["whose dictionaries chain through the memo", torchZip(chained(200), data), "ERR_PYTORCH", /nested deeper than 64/],
  [
    "with metadata of a tensor that may change its values",
    torchZip(py.dict({ w: tensorPickle({ length: 1, metadata: py.dict({ scale: py.int(2) }) }) }), data),
    "ERR_PYTORCH",
    /the metadata 'scale', which may change its values/,
  ],
  [
    "whose long key is nested in itself",
    torchZip(nested({ key: "k".repeat(2000), depth: 5 }), data),
    "ERR_PYTORCH",
    /a name of 6002 characters, expected at most 4096/,
  ],
  [
    "whose values take a hundred times its size",
    torchZip(`](${"}".repeat(2 ** 20)}e`, data),
    "ERR_PYTORCH",
    /more than 3932\d\d lists, dictionaries and entries/,
  ],
  [
    "whose entries lie over each other",
    zipOf({ start: 0 }, { "archive/data/0": floats(1), "archive/data/1": floats(2) }),
    "ERR_PYTORCH",
    /the entry 'archive\/data\/0' over the bytes of another/,
  ],
  [
    "whose tensors are the same elements over and over",
    torchZip(
      py.dict(
        Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`w${i}`, tensorPickle({ length: 1e5, offset: 0 })])),
      ),
      { "0": new Uint8Array(4e5) },
    ),
    "ERR_PYTORCH",
    /share their elements.*at most 16 times the file/,
  ],
  [
    "with a parameter around a parameter without end",
    torchZip(
      py.dict({
        w:
          `${py.global("torch._utils", "_rebuild_parameter")}(`.repeat(20) +
          tensorPickle({ length: 1 }) +
          "tR".repeat(20),
      }),
      data,
    ),
    "ERR_PYTORCH",
    /_rebuild_parameter', which is not read/,
  ],

  [
    "with a shape beyond its storage",
    torchZip(one({ shape: [2] }), data),
    "ERR_PYTORCH",
    /shape \[2\] in a storage of 1/,
  ],
  [
    "with a shape beyond 2^53",
    torchZip(one({ shape: [huge, huge, huge], strides: [0, 0, 0] }), data),
    "ERR_PYTORCH",
    /in a storage of 1/,
  ],
  [
    "with an offset beyond its storage",
    torchZip(one({ offset: 1 }), data),
    "ERR_PYTORCH",
    /from element 1 in a storage/,
  ],
  [
    "with strides beyond its storage",
    torchStream(one({ length: 4, shape: [2], strides: [huge] }), { "0": floats(1, 2, 3, 4) }),
    "ERR_PYTORCH",
    /strides \[2147483647\]/,
  ],
  ["with a negative offset", torchZip(one({ offset: -1 }), data), "ERR_PYTORCH", /fields of an unknown form/],
  ["with a negative extent", torchZip(one({ shape: [-1] }), data), "ERR_PYTORCH", /fields of an unknown form/],
  ["with more strides than extents", torchZip(one({ strides: [1, 1] }), data), "ERR_PYTORCH", /unknown form/],
  [
    "with a storage class that torch does not have",
    torchZip(one({ storage: "EvilStorage" }), data),
    "ERR_PYTORCH",
    /class 'torch\.EvilStorage'/,
  ],
  [
    "with a view of bytes that begins within an element",
    torchStream(
      py.dict({
        w: py.call(
          py.global("torch._utils", "_rebuild_tensor_v3"),
          `${py.tuple(py.text("storage"), py.global("torch", "UntypedStorage"), py.text("0"), py.text("cpu"), py.int(16), py.tuple(py.text("v"), py.int(1), py.int(8)))}Q`,
          py.int(0),
          py.tuple(py.int(1)),
          py.tuple(py.int(1)),
          "\x89",
          py.ordered({}),
          py.global("torch", "int64"),
        ),
      }),
      { "0": new Uint8Array(16) },
      { "0": 16 },
    ),
    "ERR_PYTORCH",
    /begins within an element/,
  ],
  [
    "with a view beyond its storage",
    torchStream(one({ view: py.tuple(py.text("v"), py.int(1), py.int(1)) }), data),
    "ERR_PYTORCH",
    /a view beyond/,
  ],

  ["whose storage is missing", torchZip(one({ key: "7" }), data), "ERR_PYTORCH", /the storage '7' missing/],
  [
    "whose storage is shorter than said",
    torchZip(one({ length: huge, shape: [1] }), data),
    "ERR_PYTORCH",
    /the storage '0' with 4 bytes, expected the 8589934588 bytes/,
  ],
  [
    "whose storage is longer than said",
    torchZip(one(), { "0": floats(1, 2) }),
    "ERR_PYTORCH",
    /with 8 bytes, expected the 4 bytes/,
  ],
  [
    "whose storage says another size than the data",
    torchStream(one(), data, { "0": 2 }),
    "ERR_PYTORCH",
    /with 2 elements, expected the 1 that/,
  ],
  ["whose storage says a negative size", torchStream(one(), data, { "0": -1n }), "ERR_PYTORCH", /with -1 elements/],
  [
    "whose storage goes beyond the file",
    torchStream(one({ length: huge }), data, { "0": huge }),
    "ERR_PYTORCH",
    /4 bytes left for the storage '0'/,
  ],
  [
    "with a storage that nothing uses",
    torchStream(one(), { ...data, "1": floats(2) }),
    "ERR_PYTORCH",
    /'1' that nothing refers to/,
  ],
  [
    "with two classes of one storage",
    torchStream(
      py.dict({ a: tensorPickle({ length: 1 }), b: tensorPickle({ length: 1, storage: "IntStorage" }) }),
      data,
    ),
    "ERR_PYTORCH",
    /as 1 elements of FloatStorage and as 1 elements of IntStorage/,
  ],
  [
    "whose tensors are larger than the file once contiguous",
    torchZip(
      py.dict(
        Object.fromEntries(
          Array.from({ length: 300 }, (_, i) => [
            `w${i}`,
            tensorPickle({ length: 800, shape: [20, 20], strides: [1, 20], offset: i }),
          ]),
        ),
      ),
      { "0": new Uint8Array(3200) },
    ).slice(),
    "ERR_PYTORCH",
    /larger than the file once they are contiguous/,
  ],

  [
    "with a lie about an entry's size",
    zipOf({ size: huge }),
    "ERR_PYTORCH",
    /of 2147483647 bytes at byte \d+, beyond the file/,
  ],
  ["with a lie about an entry's place", zipOf({ start: huge }), "ERR_PYTORCH", /without a header at byte 2147483647/],
  [
    "with a lie about the number of entries",
    zipOf({ count: 65_535 }),
    "ERR_PYTORCH",
    /a directory of 65535 entries in/,
  ],
  ["with a compressed entry", zipOf({ method: 8 }), "ERR_PYTORCH", /compressed.*save it again with torch/],
  ["with an encrypted entry", zipOf({ flags: 1 }), "ERR_PYTORCH", /encrypted/],
  ["with another checksum", zipOf({ crc: 1 }), "ERR_PYTORCH", /do not have the checksum/],
  ["without data.pkl in a folder", zipFile({ "data.pkl": floats(1) }), "ERR_PYTORCH", /without NAME\/data\.pkl/],
  [
    "with a byte order that is none",
    torchZip(one(), data, { "archive/byteorder": floats(1) }),
    "ERR_PYTORCH",
    /the byte order/,
  ],
];

function zipOf(lies: Parameters<typeof zipFile>[1], others: Readonly<Record<string, Uint8Array>> = {}): Uint8Array {
  return zipFile({ "archive/data.pkl": new TextEncoder().encode("N."), ...others }, lies);
}

/** A dictionary in a dictionary under the same key. */
function nested({ key, depth }: { key: string; depth: number }): string {
  const inner = py.dict({ w: tensorPickle({ length: 1 }) });
  return Array.from({ length: depth }).reduce<string>((body) => py.dict({ [key]: body, v: inner }), inner);
}

/** A dictionary that holds the one before it under two keys, `depth` times: 2^depth paths to one tensor. */
function multiplied(depth: number): string {
  const layer = (i: number): string => `}q${char(i)}${py.text("a")}h${char(i - 1)}s${py.text("b")}h${char(i - 1)}s0`;
  const layers = Array.from({ length: depth }, (_, i) => layer(i + 1)).join("");
  return `${py.dict({ w: tensorPickle({ length: 1 }) })}q\x000${layers}h${char(depth)}`;
}

/** One dictionary a key, each holding the one before it, so that none is far below the first one that is looked at. */
function chained(depth: number): string {
  const layer = (i: number): string => `}q${char(i)}${py.text("n")}h${char(i - 1)}s0`;
  const layers = Array.from({ length: depth }, (_, i) => layer(i + 1)).join("");
  const root = `}${Array.from({ length: depth + 1 }, (_, i) => `${py.text(`k${i}`)}h${char(i)}s`).join("")}`;
  return `${py.dict({ w: tensorPickle({ length: 1 }) })}q\x000${layers}${root}`;
}

/** One list of 10^5 numbers under 10^4 keys. */
function repeated(): string {
  const list = `](${"K\x01".repeat(1e5)}eq\x000`;
  const entries = Array.from({ length: 1e4 }, (_, i) => `${py.text(`k${i}`)}h\x00`).join("");
  return `${list}}(${entries}${py.text("w")}${tensorPickle({ length: 1 })}u`;
}

function char(code: number): string {
  return String.fromCharCode(code);
}

describe("a PyTorch file", () => {
  for (const [what, file, code, message] of refused) {
    test(`${what} is refused, and no more is allocated than the file's size`, () => {
      expect(() => decode(file)).toThrow(message);
      let thrown = "";
      const largest = largestAllocation(() => {
        thrown = codeThrownBy(() => decode(file));
      });
      expect(thrown).toBe(code);
      expect(largest).toBeLessThanOrEqual(file.length);
    });
  }

  for (const name of ["zip", "stream"] as const) {
    test(`of the ${name} layout that ends early is refused wherever it ends`, () => {
      const file = golden(name);
      for (let length = 0; length < file.length; length += 3) {
        expect(codeThrownBy(() => decode(file.slice(0, length)))).toMatch(/^ERR_(PYTORCH|FORMAT|SAFETENSORS)$/);
      }
    });

    test(`of the ${name} layout with a bit of every fifth byte flipped is read or refused within its size`, () => {
      const file = golden(name);
      const codes = new Set<string>();
      for (let i = 0; i < file.length; i += 5) {
        const damaged = file.slice();
        damaged[i]! ^= 1 << ((i / 5) % 8);
        const largest = largestAllocation(() => {
          try {
            decode(damaged);
          } catch {
            codes.add(codeThrownBy(() => decode(damaged)));
          }
        });
        expect(largest).toBeLessThanOrEqual(file.length);
      }
      expect(codes).toContain("ERR_PYTORCH");
    });
  }

  test("with any bytes in place of some of its own is read or refused", () => {
    const files = [golden("zip"), golden("stream")];
    fc.assert(
      fc.property(fc.nat({ max: 1 }), fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 12 }), (which, at, bytes) => {
        const file = files[which]!.slice();
        file.set(bytes, at % (file.length - bytes.length));
        try {
          decode(file);
        } catch {
          codeThrownBy(() => decode(file));
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("of the zip layout is refused for any bit flipped in what is read of its tensors", () => {
    const file = torchZip(one({ length: 2 }), { "0": floats(1, 2) });
    const start = Buffer.from(file).indexOf(Buffer.from(floats(1, 2)));
    for (let bit = 0; bit < 64; bit++) {
      const damaged = file.slice();
      damaged[start + Math.floor(bit / 8)]! ^= 1 << (bit % 8);
      expect(() => decode(damaged)).toThrow(/do not have the checksum/);
    }
  });

  test("that repeats a long list under many keys is read in the time of its length", () => {
    // 10^9 steps if every place were searched: more than the time limit of a test.
    expect(decode(torchZip(repeated(), data)).tensors).toHaveLength(1);
  });

  test("of the zip layout saved without checksums is read", () => {
    const entries = { "archive/data.pkl": bytesOf(py.whole("N")) };
    expect(() => decode(zipFile(entries, { crc: 0 }))).toThrow(/no tensors in dictionaries/);
  });
});
