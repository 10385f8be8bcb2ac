import type { GraphSpec, NodeSpec } from "@secateur/graph";
import { expect, test } from "vitest";
import { givesZeros } from "./silent-units.ts";

const node = (op: string, inputs: readonly string[], output: string, attributes = {}): NodeSpec => {
  return { name: output, op, domain: "", inputs, outputs: [output], attributes };
};

test("units without weights give 0 from initial states of zeros, also of a computed size, and with usual activations", () => {
  const zeros = { name: "zeros", dtype: "f32", shape: [1, 1, 2], data: new Float32Array(2) };
  const ones = { ...zeros, name: "ones", data: Float32Array.of(0, 1) };
  const nodes = [
    node("ConstantOfShape", ["size"], "computed"),
    node("Expand", ["computed", "size"], "expanded"),
    node("Expand", ["ones", "size"], "wide"),
    node("Mul", ["x", "zeros"], "unknown"),
  ];
  const inputs = [{ name: "x", dtype: "f32" }];
  const graph: GraphSpec = { name: "states", nodes, initializers: [zeros, ones], inputs, outputs: [] };
  const given = (state: string, op = "LSTM", attributes = {}): boolean =>
    givesZeros(node(op, ["x", "w", "r", "b", "", state], "y", attributes), graph);
  for (const state of ["", "zeros", "computed", "expanded"]) expect(given(state), state).toBe(true);
  for (const state of ["ones", "wide", "x", "unknown"]) expect(given(state), state).toBe(false);
  expect(given("", "GRU", { activations: ["Sigmoid", "Tanh"] })).toBe(true);
  expect(given("", "GRU", { activations: ["Sigmoid", "Softplus"] })).toBe(false);
  expect(given("", "LSTM", { activations: ["Sigmoid", "Relu", "Tanh"] })).toBe(true);
  expect(given("", "LSTM", { activations: ["Sigmoid", "Tanh", "HardSigmoid"] })).toBe(false);
});
