import { readFileSync } from "node:fs";
import { createPool, referenceKernels } from "@secateur/core";
import { load } from "@secateur/runtime";
import {
  batchPair,
  encodePacked,
  lowerOnnx,
  openBatch,
  type PackGraph,
  packableOperators,
} from "@secateur/runtime/pack";
import { describe, expect, test } from "vitest";
import { foldGraph } from "../plan/fold-graph.ts";
import { planGraph } from "../plan/plan.ts";
import { runGraph } from "../run/run-graph.ts";
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
      .concat(
        "Less",
        "LessOrEqual",
        "QuantizeLinear along an axis",
        "QuantizeLinear of a type that is asked for",
        "QuantizeLinear without a zero point",
      )
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

  // Many cases have a batch first: packed for any, they give for four what the graph gives for four.
  test("a case that is packed for any batch gives what the graph gives for another", async () => {
    const at = (spec: OperatorCase, batch: number): OperatorCase => ({
      ...spec,
      inputs: spec.inputs.map((shape, i) =>
        shape && shape.length > 1 && i === 0 ? [batch, ...shape.slice(1)] : shape,
      ),
    });
    const lowered = (spec: OperatorCase): PackGraph => {
      const source = graphOfCase(spec);
      const inputs = new Map(source.inputs.map(({ name, shape }) => [name, shape as readonly number[]]));
      const { graph } = foldGraph({ graph: source, opsets: { "": spec.opset }, inputs, kinds: new Map() });
      return lowerOnnx({ ...graph, opset: spec.opset });
    };
    const opened = packed.flatMap((spec) => {
      try {
        const [first, second] = batchPair.map((batch) => ({ graph: lowered(at(spec, batch)), batch }));
        const graph = openBatch(first!, second!);
        return graph?.inputs.some(({ dims }) => dims[0] === "batch") ? [{ spec: at(spec, 4), graph }] : [];
      } catch {
        // Some cases are for one extent alone.
        return [];
      }
    });
    expect(opened.length).toBeGreaterThan(60);
    for (const { spec, graph } of opened) {
      const session = await load(await encodePacked(graph), { batch: 4 });
      const source = graphOfCase(spec);
      const shapes = new Map(source.inputs.map(({ name, shape }) => [name, shape as readonly number[]]));
      const numbers = (name: string): Float32Array =>
        Float32Array.from(inputNumbers(spec, Number(name.slice(1)), sizeOf(shapes.get(name)!)));
      const found = await session.run(
        Object.fromEntries([...shapes].map(([name, dims]) => [name, { dims, data: numbers(name) }])),
      );
      const plan = planGraph({
        graph: source,
        opsets: { "": spec.opset },
        params: [],
        dtype: "f32",
        inputs: shapes,
        kinds: new Map(),
      });
      const inputs = new Map(
        [...shapes].map(([name, shape]) => [name, { kind: "real" as const, shape, data: numbers(name) }]),
      );
      for (const [name, { data }] of runGraph({ plan, inputs, pool: createPool(referenceKernels, "f32") })) {
        const wanted = Float64Array.from(data);
        const scale = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30);
        const worst = wanted.reduce((most, x, i) => Math.max(most, Math.abs(x - found[name]!.data[i]!)), 0);
        expect(`${spec.name}: ${worst <= 1e-5 * scale}`).toBe(`${spec.name}: true`);
      }
    }
  });

  test("every operator that the packer has is tried", () => {
    const tried = new Set(packed.map(({ op }) => op));
    // Silu is no operator of ONNX: the packer finds it in x sigmoid(x).
    expect(packableOperators.filter((op) => !tried.has(op))).toEqual(["Silu"]);
  });
});
