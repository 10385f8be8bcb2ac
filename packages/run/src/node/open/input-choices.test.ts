import { expect, test } from "vitest";
import { assertInputs, readInputChoices, withToldShapes } from "./input-choices.ts";

const inputs = [
  { name: "sr", dtype: "i64", shape: [] },
  { name: "x", dtype: "f32", shape: ["n", null] },
];

test("constants are whole where the input is, and names are those of inputs", () => {
  const check = (...fix: string[]) => assertInputs(readInputChoices({ fix })!, inputs, "net.onnx");
  check("sr=16000", "x=0.5");
  expect(() => check("sr=1.5")).toThrow(/'sr' is of whole numbers \(i64\) and cannot be 1\.5/);
  expect(() => check("rs=1")).toThrow(/no input 'rs'; it has sr, x/);
  expect(() => check("sr=1", "sr=2")).toThrow(/says twice what 'sr' is/);
  expect(() => check("sr=")).toThrow(/allowed is NAME=NUMBER/);
});

test("extents that are told stand in the graph, the batch under the name it has", () => {
  const told = (text: string) => {
    const graph = { name: "g", nodes: [], initializers: [], inputs, outputs: [] };
    return withToldShapes(graph, readInputChoices({ inputShape: [text] })!).inputs[1]!.shape;
  };
  expect(told("x=batch,576")).toEqual(["n", 576]);
  expect(told("x=2,576")).toEqual([2, 576]);
  expect(() => told("x=2")).toThrow(/'x' is \[n, \?\] in the model and takes 2 extents/);
});
