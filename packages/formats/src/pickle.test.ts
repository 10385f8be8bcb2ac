import { describe, expect, test } from "vitest";
import { isPickleNode, type PickleValue } from "./pickle/pickle-value.ts";
import { readPickle } from "./pickle/read-pickle.ts";
import { bytesOf, py } from "./pytorch/pytorch.test-support.ts";
import { GOLDEN_PICKLES } from "./pytorch/pytorch-goldens.test-support.ts";
import { codeThrownBy } from "./testing.test-support.ts";

const read = (text: string): PickleValue => readPickle(bytesOf(text), 0, "x").value;

/** Containers as JavaScript's own; dictionaries as lists of pairs, calls as the name called with its parts. */
function plain(value: PickleValue): unknown {
  if (!isPickleNode(value)) return value;
  const pairs = (entries: readonly (readonly [PickleValue, PickleValue])[]) =>
    entries.map(([key, item]) => [plain(key), plain(item)]);
  switch (value.kind) {
    case "dict":
      return { dict: pairs(value.entries) };
    case "global":
      return `${value.module}.${value.name}`;
    case "reference":
      return { reference: plain(value.id) };
    case "object":
      return { call: plain(value.callee), args: value.args.map(plain), entries: pairs(value.entries) };
    default:
      return { [value.kind]: value.items.map(plain) };
  }
}

describe("a pickle", () => {
  const one = { tuple: [1] };
  const nested = {
    list: [
      { list: [] },
      { dict: [] },
      { tuple: [] },
      one,
      { tuple: [1, 2] },
      { tuple: [1, 2, 3] },
      { tuple: [1, 2, 3, 4] },
    ],
  };
  const numbers = [0, -1, 255, 256, 65536, -(2 ** 31), 2 ** 31, 2n ** 53n, 2n ** 70n, -(2n ** 70n), 1.5, -0];
  const ordered = {
    call: "collections.OrderedDict",
    args: [],
    entries: [
      ["a", 1],
      ["b", { list: [2] }],
    ],
  };
  for (const [protocol, base64] of GOLDEN_PICKLES.entries()) {
    test(`of protocol ${protocol} by Python is read value by value`, () => {
      const file = new Uint8Array(Buffer.from(base64, "base64"));
      const { value, end, globals } = readPickle(file, 0, "x");
      expect(end).toBe(file.length);
      expect(globals.map(({ module, name }) => `${module}.${name}`)).toContain("collections.OrderedDict");
      const lists = plain(value) as { dict: [unknown, unknown][] };
      const byKey = new Map(lists.dict);
      expect(byKey.get("numbers")).toEqual({ list: numbers });
      expect(byKey.get("text")).toBe("é\n'\"\\");
      expect(byKey.get("constants")).toEqual({ tuple: [null, true, false] });
      expect(byKey.get("nested")).toEqual(nested);
      expect(byKey.get(1)).toBe("int key");
      expect(byKey.get("again")).toEqual(nested);
      // Protocols 0 and 1 hand the entries to the constructor, as Python 2 did.
      if (protocol >= 2) expect(byKey.get("ordered")).toEqual(ordered);
    });
  }

  test("names what it would import and call, and imports and calls nothing", () => {
    const { value, globals } = readPickle(bytesOf(`${py.call(py.global("os", "system"), py.text("id"))}.`), 0, "x");
    expect(plain(value)).toEqual({ call: "os.system", args: ["id"], entries: [] });
    expect(globals).toEqual([{ kind: "global", module: "os", name: "system" }]);
  });

  test("shows its other ways to call as calls too", () => {
    const name = py.global("a", "b");
    expect(plain(read(`${name})\x81.`))).toMatchObject({ call: "a.b" });
    expect(plain(read(`${name})}\x92.`))).toMatchObject({ call: "a.b" });
    expect(plain(read("(K\x01ia\nb\n."))).toMatchObject({ call: "a.b", args: [1] });
    expect(plain(read(`(${name}K\x01o.`))).toMatchObject({ call: "a.b", args: [1] });
    expect(plain(read(`${name})R}b.`))).toMatchObject({ call: "a.b" });
    expect(plain(read("\x82\x05."))).toBe("copyreg.extension 5");
    expect(plain(read("Pid\n."))).toEqual({ reference: "id" });
    expect(plain(read("\x8f(K\x01\x90."))).toEqual({ set: [1] });
  });

  test("cannot reach the prototype of anything by its keys", () => {
    expect(plain(read(`}X\x09\0\0\0__proto__K\x01s.`))).toEqual({ dict: [["__proto__", 1]] });
    expect(Object.keys({})).toEqual([]);
  });

  const bad: readonly (readonly [what: string, pickle: string, message: RegExp])[] = [
    ["that ends early", "}X\x09\0\0\0ab", /9 bytes with 2 left/],
    ["without an end", "K\x01", /the end of the data/],
    ["with a line that never ends", "cos", /a line without end/],
    ["with an opcode that Python does not have", "\xff.", /unknown opcode 0xff/],
    ["with out-of-band buffers", "\x97.", /unknown opcode 0x97/],
    ["of a protocol to come", "\x80\x06.", /pickle protocol 6/],
    ["that takes from an empty stack", "0.", /needs more values/],
    ["that takes what lies under a mark", "K\x01(\x85.", /needs more values/],
    ["that goes back to no mark", "K\x01t.", /needs a mark/],
    ["that recalls what it never remembered", "h\x07.", /memo entry 7/],
    ["with a dictionary that ends in a key", "}(K\x01u.", /key without a value/],
    ["that appends to a number", "K\x01K\x02a.", /no list or set/],
    ["that sets an entry of a list", "]K\x01K\x02s.", /no dictionary/],
    ["that calls without a tuple", `${py.global("a", "b")}K\x01R.`, /arguments are no tuple/],
    ["that imports a number", "K\x01K\x02\x93.", /name is not text/],
    ["with a number in words", "Iabc\n.", /no whole number/],
    ["with a number of a million digits", `L${"9".repeat(1e6)}L\n.`, /no whole number/],
    ["with a number of 2000 bytes", `\x8b\xd0\x07\0\0${"\x01".repeat(2000)}.`, /a number of 2000 bytes/],
    ["with a length beyond every file", `\x8e${"\xff".repeat(8)}.`, /truncated/],
    ["with more values than any checkpoint", `${"N".repeat(2 ** 22 + 1)}.`, /more than 4194304 values/],
  ];
  for (const [what, pickle, message] of bad) {
    test(`${what} is refused`, () => {
      expect(codeThrownBy(() => read(pickle))).toBe("ERR_PYTORCH");
      expect(() => read(pickle)).toThrow(message);
    });
  }

  test("with more memo entries than any checkpoint is refused", () => {
    expect(() => read("Nr\xff\xff\x3f\x000.")).toThrow(/needs more values/); // the last entry that is allowed
    expect(() => read("Nr\x00\x00\x40\x00.")).toThrow(/memo entry 4194304 before .* expected entries below 4194304/);
    expect(() => read("Np999999999999999\n.")).toThrow(/memo entry 999999999999999/);
  });
});
