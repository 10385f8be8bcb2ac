import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import type { Rng } from "@secateur/core";
import { decodeCheckpoint, elementCount } from "@secateur/formats";
import type { FuzzFormat } from "../fuzz-format.ts";
import { joined, latin1, oneOf } from "../mutate-bytes.ts";

/** Little-endian bytes of a whole number, as characters. */
function number(value: number, width: number): string {
  return Array.from({ length: width }, (_, i) => String.fromCharCode(Math.floor(value / 256 ** i) % 256)).join("");
}

const text = (value: string): string => `X${number(value.length, 4)}${value}`;
const int = (value: number): string => `J${number(value, 4)}`;
const tuple = (...items: readonly string[]): string => `(${items.join("")}t`;
const global = (module: string, name: string): string => `c${module}\n${name}\n`;

/** A call of _rebuild_tensor_v2 over a storage of f32 numbers. */
function tensor(spec: { key: string; length: number; shape: readonly number[]; strides: readonly number[] }): string {
  const { key, length, shape, strides } = spec;
  const storage = tuple(text("storage"), global("torch", "FloatStorage"), text(key), text("cpu"), int(length));
  const ordered = `${global("collections", "OrderedDict")})R`;
  const numbers = (list: readonly number[]): string => tuple(...list.map(int));
  const args = [`${storage}Q`, int(0), numbers(shape), numbers(strides), "\x89", ordered];
  return `${global("torch._utils", "_rebuild_tensor_v2")}${tuple(...args)}R`;
}

/** Pieces of the pickle of a state dict in a checkpoint; together they are a whole program. */
const pieces: readonly string[] = [
  "\x80\x02",
  "}q\x00(",
  text("state_dict"),
  "}q\x01(",
  text("module.fc.weight_orig"),
  `${tensor({ key: "0", length: 6, shape: [2, 3], strides: [3, 1] })}q\x02`,
  text("module.fc.weight_mask"),
  tensor({ key: "1", length: 6, shape: [2, 3], strides: [1, 2] }),
  text("module.fc.bias"),
  tensor({ key: "0", length: 6, shape: [2], strides: [1] }),
  "u",
  text("epoch"),
  "K\x05",
  text("args"),
  `${global("argparse", "Namespace")})\x81}b`,
  "u.",
];

/** Other pieces that a program may have: every container, jump in the memo, call and number. */
const spares: readonly string[] = [
  ..."()]}0123NRQabdehlostu.",
  ..."\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94",
  ...["q\x00", "q\x01", "h\x00", "h\x01", "h\x02", "r\xff\xff\x00\x00", "j\x01\x00\x00\x00", "p1\n", "g1\n"],
  ...["K\xff", "M\xff\xff", "J\xff\xff\xff\xff", "I01\n", "L99999999999999999999L\n", "F1e400\n", "\x8a\x02\xff\x7f"],
  ...["Vx\\u0041\\ud800\n", "S'x'\n", "U\x02ab", "B\x03\x00\x00\x00abc", "C\x01x", "\x8c\x01k", "X\xff\xff\xff\x7f"],
  ...[
    global("os", "system"),
    global("torch", "LongStorage"),
    global("builtins", "eval"),
    text("neg"),
    text("optimizer"),
  ],
  ...[`${text("a")}h\x01s`, `}${text("neg")}\x88s`, "(".repeat(500), "]".repeat(2000), text("k".repeat(5000))],
];

const storages = { "0": new Float32Array(6).fill(0.5), "1": Float32Array.of(1, 0, 1, 0, 1, 1) };

/** The pieces with one to four left out, repeated, moved or put in between. */
function mutatedProgram(rng: Rng): string {
  const program = [...pieces];
  for (let i = 1 + rng.integer(4); i > 0; i--) {
    const at = rng.integer(program.length);
    const action = rng.integer(5);
    if (action === 0) program.splice(at, 1);
    else if (action === 1) program.splice(at, 0, program[rng.integer(program.length)] ?? "");
    else if (action === 2) program.push(...program.splice(at, 1 + rng.integer(3)), ".");
    else program.splice(at, action - 3, oneOf(rng, spares).repeat(rng.next() < 0.1 ? 1 + rng.integer(300) : 1));
  }
  return program.join("");
}

interface Lies {
  readonly size?: number;
  readonly start?: number;
  readonly method?: number;
}

/** A zip file of stored entries with true checksums; lies go into the directory. */
function zip(entries: readonly (readonly [name: string, data: Uint8Array])[], lies: Lies = {}): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: string[] = [];
  let at = 0;
  for (const [name, data] of entries) {
    const sizes = number(lies.size ?? data.length, 4).repeat(2);
    const fields = `${number(lies.method ?? 0, 2)}${"\0".repeat(4)}${number(crc32(data), 4)}${sizes}`;
    const local = latin1(`PK\x03\x04\x14\0\0\0${fields}${number(name.length, 2)}\0\0${name}`);
    parts.push(local, data);
    directory.push(
      `PK\x01\x02\x14\0\x14\0\0\0${fields}${number(name.length, 2)}${"\0".repeat(12)}${number(lies.start ?? at, 4)}${name}`,
    );
    at += local.length + data.length;
  }
  const listed = latin1(directory.join(""));
  const count = number(entries.length, 2);
  const end = latin1(`PK\x05\x06\0\0\0\0${count}${count}${number(listed.length, 4)}${number(at, 4)}\0\0`);
  return joined(...parts, listed, end);
}

function zipOf(program: string, lies?: Lies): Uint8Array {
  const data = Object.entries(storages).map(
    ([key, values]) => [`net/data/${key}`, new Uint8Array(values.buffer)] as const,
  );
  return zip([["net/data.pkl", latin1(program)], ...data, ["net/version", latin1("3\n")]], lies);
}

/** The layout before version 1.6: pickles of the magic number, the protocol, the system, the state, and the storages' keys. */
function streamOf(program: string): Uint8Array {
  const magic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  const keys = Object.keys(storages);
  const data = Object.values(storages).map((values) =>
    joined(latin1(number(values.length, 8)), new Uint8Array(values.buffer)),
  );
  const head = `${magic}\x80\x02M\xe9\x03.\x80\x02}.${program}\x80\x02](${keys.map(text).join("")}e.`;
  return joined(latin1(head), ...data);
}

function read(bytes: Uint8Array): number {
  const { tensors } = decodeCheckpoint(bytes, "net.pt");
  assert.equal(new Set(tensors.map(({ name }) => name)).size, tensors.length);
  for (const { shape, data } of tensors) assert.equal(elementCount(shape), data.length);
  return tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
}

const whole = pieces.join("");

/** Programs of other pieces in archives whose sizes and checksums are true, or not. */
export const pytorchZip: FuzzFormat = {
  name: "pytorch-zip",
  corpus: [zipOf(whole)],
  mutate: (rng) => {
    const lies = [{}, {}, {}, { size: rng.integer(2 ** 16) }, { start: rng.integer(400) }, { method: 8 }];
    return zipOf(mutatedProgram(rng), oneOf(rng, lies));
  },
  read,
};

/** The same programs in the older layout. */
export const pytorchStream: FuzzFormat = {
  name: "pytorch-stream",
  corpus: [streamOf(whole)],
  mutate: (rng) => streamOf(mutatedProgram(rng)),
  read,
};
