import { createRunContext } from "@secateur/core";
import { expect, test } from "vitest";
import type { GraphSpec, GraphTensor } from "../graph-spec.ts";
import { createGraphModel } from "./graph-model.ts";

/** How often the numbers of each tensor were asked for. */
const reads = new Map<string, number>();
const distant = (
  name: string,
  shape: readonly number[],
  store?: (numbers: Float32Array | Float64Array) => void,
): GraphTensor => ({
  ...{ name, dtype: "f32", shape, distant: {}, ...(store ? { store } : {}) },
  get data() {
    reads.set(name, (reads.get(name) ?? 0) + 1);
    return Float32Array.from({ length: shape.reduce((product, extent) => product * extent, 1) }, (_, i) => i);
  },
});
const node = (op: string, inputs: string[], output: string) => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes: {} },
});
let stored: Float32Array | Float64Array | undefined;
const graph: GraphSpec = {
  name: "distant",
  nodes: [
    node("Gather", ["table", "x"], "e"),
    node("MatMul", ["e", "first"], "h"),
    node("MatMul", ["h", "second"], "y"),
  ],
  initializers: [
    distant("table", [5, 2]),
    distant("unused", [1000, 1000]),
    distant("first", [2, 2], (numbers) => {
      stored = numbers;
    }),
    distant("second", [2, 1]),
  ],
  inputs: [{ name: "x", dtype: "i64", shape: ["batch"] }],
  outputs: [{ name: "y", dtype: "f32", shape: ["batch", 1] }],
};

test("numbers in files are read when a step takes them, tables once for all shapes, and what nothing uses never", async () => {
  const model = createGraphModel({ graph, opsets: { "": 17 } });
  // Opening it asks for tables at most.
  expect([...reads.keys()]).toEqual(["table"]);
  const ctx = createRunContext();
  for (const size of [1, 2, 3]) {
    const { y } = await model.run!({ size, inputs: { x: { shape: [size], data: new Int32Array(size).fill(4) } } }, ctx);
    // Row 4 of the table is 8, 9; times [[0, 1], [2, 3]] 18, 35; times [0, 1] 35.
    expect([...y!.data]).toEqual(new Array(size).fill(35));
  }
  expect(reads.get("unused")).toBeUndefined();
  expect(reads.get("table")).toBe(1);
});

test("weights in files are written where they are stored, in the order of the file, and refused where nothing stores them", async () => {
  const model = createGraphModel({ graph, opsets: { "": 17 } });
  // Canonical [out, in] of a stored [in, out].
  const w = await model.read("first");
  expect([...w.data]).toEqual([0, 2, 1, 3]);
  await model.write("first", { ...w, data: Float32Array.of(10, 20, 30, 40) });
  expect([...stored!]).toEqual([10, 30, 20, 40]);
  await expect(model.write("second", await model.read("second"))).rejects.toThrow(/'second' lies in a file/);
});
