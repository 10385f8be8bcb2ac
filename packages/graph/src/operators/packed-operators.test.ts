import { readFileSync } from "node:fs";
import { load } from "@secateur/runtime";
import { encodePacked, lowerOnnx, packableOperators } from "@secateur/runtime/pack";
import { describe, expect, test } from "vitest";
import { foldGraph } from "../plan/fold-graph.ts";
import { sizeOf } from "../value.ts";
import { graphOfCase, inputNumbers, type OperatorCase, operatorCases } from "./operator-cases.test-support.ts";

const { cases: goldens } = JSON.parse(readFileSync(new URL("./operator-goldens.json", import.meta.url), "utf8")) as {
  cases: Record<string, readonly string[]>;
};

/** What the packer refuses, and by which words. */
const refused: Readonly<Record<string, string>> = {
  "Conv with weights that are computed": "its weights are computed",
  "ConvTranspose of one axis": "those over two axes",
  Pow: "its exponent is computed",
  Pad: "it takes some away",
  "Resize by cubics": "nearest and linear ones",
  ...Object.fromEntries(
    [
      "Shape",
      "Size",
      "ConstantOfShape",
      "Range",
      "Not",
      "And",
      "Or",
      "Xor",
      "Mod",
      "DequantizeLinear",
      "DequantizeLinear with one scale",
    ].map((op) => [op, "it is a constant"]),
  ),
  ...Object.fromEntries(
    ["Sin", "Cos", "ThresholdedRelu", "GatherElements", "ArgMax", "Sign", "Equal", "Greater", "GreaterOrEqual"]
      .concat("Less", "LessOrEqual")
      .map((op) => [op, "the packer has no such operator"]),
  ),
};

/** A case through folding, lowering, the bytes of a file and the runtime; its outputs in order. */
async function packedRun(spec: OperatorCase): Promise<readonly { dims: readonly number[]; data: Float32Array }[]> {
  const source = graphOfCase(spec);
  const inputs = new Map(source.inputs.map(({ name, shape }) => [name, shape as readonly number[]]));
  const { graph } = foldGraph({ graph: source, opsets: { "": spec.opset }, inputs, kinds: new Map() });
  const session = await load(await encodePacked(lowerOnnx({ ...graph, opset: spec.opset })));
  const given = [...inputs].map(([name, dims]) => {
    const data = Float32Array.from(inputNumbers(spec, Number(name.slice(1)), sizeOf(dims)));
    return [name, { dims, data }] as const;
  });
  const outputs = await session.run(Object.fromEntries(given));
  return source.outputs.map(({ name }) => outputs[name]!);
}

describe("a graph of one operator, packed", () => {
  const packed = operatorCases.filter(({ name }) => !Object.hasOwn(refused, name));

  // 1e-5 of the largest number, as for the graph itself: f32 sums in another order differ by some 1e-6.
  test.each(packed.map((spec) => [spec.name, spec] as const))(
    "computes what onnxruntime does: %s",
    async (name, spec) => {
      const outputs = await packedRun(spec);
      goldens[name]!.forEach((text, i) => {
        const [, shape = "", data = ""] = /^\[(.*)\] (.*)$/.exec(text) ?? [];
        const wanted = data.split(" ").map(Number);
        const scale = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30);
        expect(outputs[i]!.dims.join(", ")).toBe(shape);
        expect(outputs[i]!.data.length).toBe(wanted.length);
        const worst = wanted.reduce((most, x, k) => Math.max(most, Math.abs(x - outputs[i]!.data[k]!)), 0);
        expect(worst).toBeLessThanOrEqual(1e-5 * scale);
      });
    },
  );

  test.each(Object.entries(refused))("is refused where it cannot be: %s", async (name, words) => {
    const spec = operatorCases.find((one) => one.name === name)!;
    await expect(packedRun(spec)).rejects.toMatchObject({ code: "ERR_PACKED_GRAPH" });
    await expect(packedRun(spec)).rejects.toThrow(words);
  });

  test("every operator that the packer has is tried", () => {
    const tried = new Set(packed.map(({ op }) => op));
    // Silu is no operator of ONNX: the packer finds it in x sigmoid(x).
    expect(packableOperators.filter((op) => !tried.has(op))).toEqual(["Silu"]);
  });
});
