import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { denseStack } from "./dense-stack.ts";
import { matchTensors } from "./match-tensors.ts";
import type { ShapedName } from "./shaped-name.ts";

/** Tensors of dense layers: [path, out, in]. */
const dense = (...layers: (readonly [string, number, number])[]): ShapedName[] =>
  layers.flatMap(([path, rows, cols]) => [
    { name: `${path}.weight`, shape: [rows, cols] },
    { name: `${path}.bias`, shape: [rows] },
  ]);

const network = dense(["fc1", 16, 8], ["fc2", 16, 16], ["fc3", 3, 16]);

function pairsOf(found: readonly ShapedName[], expected: readonly ShapedName[] = network): Record<string, string> {
  const match = matchTensors({ found, expected });
  expect([match.missing, match.unexpected, match.ambiguous]).toEqual([[], [], []]);
  return Object.fromEntries(match.pairs);
}

describe("tensors of a network are found", () => {
  test("under other names, by their shapes, whatever their order", () => {
    const found = dense(["out", 3, 16], ["hidden", 16, 16], ["first", 16, 8]);
    expect(pairsOf(found)["fc2.weight"]).toBe("hidden.weight");
    expect(pairsOf(found)["fc3.bias"]).toBe("out.bias");
  });

  test("by the numbers in their names where shapes are equal, also beyond nine", () => {
    const expected = dense(["fc1", 4, 4], ["fc2", 4, 4], ["fc3", 4, 4]);
    const pairs = pairsOf(dense(["net.10", 4, 4], ["net.2", 4, 4], ["net.4", 4, 4]), expected);
    expect(["fc1", "fc2", "fc3"].map((path) => pairs[`${path}.weight`])).toEqual([
      "net.2.weight",
      "net.4.weight",
      "net.10.weight",
    ]);
  });

  test("by the end of a longer name, before any order", () => {
    const expected = dense(["a", 4, 4], ["b", 4, 4]);
    expect(pairsOf(dense(["body.b", 4, 4], ["body.a", 4, 4]), expected)["a.weight"]).toBe("body.a.weight");
  });

  test("under the spellings of other libraries", () => {
    const found = [
      { name: "dense.W", shape: [3, 16] },
      { name: "dense.b", shape: [3] },
    ];
    expect(pairsOf(found, dense(["fc", 3, 16]))["fc.bias"]).toBe("dense.b");
  });

  test("by what the user says, before everything else", () => {
    const expected = dense(["a", 4, 4], ["b", 4, 4]);
    const found = dense(["x", 4, 4], ["y", 4, 4]);
    const map = [
      ["y", "a"],
      ["x", "b"],
    ] as const;
    expect(matchTensors({ found, expected, map }).pairs.get("a.weight")).toBe("y.weight");
  });

  test("not where two fit equally well: both are listed", () => {
    const found = dense(["enc", 4, 4], ["dec", 4, 4]);
    const match = matchTensors({ found, expected: dense(["fc1", 4, 4], ["fc2", 4, 4]) });
    expect(match.ambiguous).toEqual([
      { expected: "fc1", found: ["enc", "dec"] },
      { expected: "fc2", found: ["enc", "dec"] },
    ]);
    expect(match.pairs.size).toBe(0);
  });

  test("not where one is left over: it is missing or unexpected", () => {
    const match = matchTensors({
      found: dense(["fc1", 16, 8], ["other", 5, 5]),
      expected: dense(["fc1", 16, 8], ["fc2", 4, 4]),
    });
    expect(match.missing).toEqual(["fc2.weight", "fc2.bias"]);
    expect(match.unexpected).toEqual(["other.weight", "other.bias"]);
  });

  test("for any names: a match never joins different shapes, and never gives one tensor twice", () => {
    const path = fc.constantFrom("a", "b", "net.1", "net.2", "body.a", "fc1", "x.y");
    const layers = fc.uniqueArray(fc.tuple(path, fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })), {
      selector: ([name]) => name,
      maxLength: 6,
    });
    fc.assert(
      fc.property(layers, layers, (left, right) => {
        const [found, expected] = [dense(...left), dense(...right)];
        const shapes = new Map([...found].map(({ name, shape }) => [name, shape.join()]));
        const { pairs, missing } = matchTensors({ found, expected });
        for (const { name, shape } of expected) {
          const own = pairs.get(name);
          // Equal names with unequal shapes are joined on purpose: the network then says which shape is wrong.
          if (own !== undefined && own !== name) expect(shapes.get(own)).toBe(shape.join());
        }
        expect(new Set(pairs.values()).size).toBe(pairs.size);
        expect(pairs.size + missing.length).toBe(expected.length);
      }),
    );
  });
});

describe("a stack of dense layers is told from shapes", () => {
  test.each([
    ["in the order in which each takes what the last gives", dense(["out", 3, 16], ["in", 16, 8]), [8, 16, 3]],
    ["by numbers where shapes are equal", dense(["3", 16, 16], ["1", 16, 8], ["5", 3, 16]), [8, 16, 16, 3]],
  ])("%s", (_, tensors, sizes) => {
    expect(denseStack(tensors)).toEqual({ sizes, bias: true });
  });

  test("without biases", () => {
    expect(denseStack([{ name: "w", shape: [3, 8] }])).toEqual({ sizes: [8, 3], bias: false });
  });

  test.each([
    ["that do not follow each other", dense(["a", 3, 16], ["b", 5, 7])],
    ["that go round in a circle", dense(["a", 4, 8], ["b", 8, 4])],
    ["of which one lacks its bias", dense(["a", 16, 8], ["b", 3, 16]).slice(1)],
    ["of an equal shape without numbers", dense(["a", 8, 8], ["b", 8, 8])],
    ["beside something else", [...dense(["a", 3, 8]), { name: "conv", shape: [3, 3, 3, 3] }]],
    ["of none", []],
  ])("but not layers %s", (_, tensors) => {
    expect(denseStack(tensors)).toBeUndefined();
  });
});
