import { createRunContext, tensorDataset } from "@secateur/core";
import { expect, test } from "vitest";
import type { GraphSpec } from "../graph-spec.ts";
import { createGraphModel } from "./graph-model.ts";

test("moments of thousands of outputs come in blocks that go on from each other, the same as without", async () => {
  const outputs = 1500;
  const data = tensorDataset({
    inputs: { x: { shape: [6, 3], data: Float64Array.from({ length: 18 }, (_, i) => Math.sin(i * i)) } },
    targets: { labels: { shape: [6], data: Uint32Array.from({ length: 6 }, (_, i) => 250 * i) } },
    classes: { labels: outputs },
  });
  const weights = Float64Array.from({ length: outputs * 3 }, (_, i) => Math.sin(1.3 * i));
  /** One product of all outputs, or two of some hundreds, joined. */
  const moments = async (parts: readonly (readonly [number, number])[]) => {
    const graph: GraphSpec = {
      name: "classes",
      nodes: [
        ...parts.map(([from], p) => ({
          ...{ name: "", op: "Gemm", domain: "", inputs: ["x", `w${p}`], outputs: [`y${from}`] },
          attributes: { transB: 1 },
        })),
        {
          ...{ name: "", op: "Concat", domain: "", inputs: parts.map(([from]) => `y${from}`), outputs: ["logits"] },
          attributes: { axis: 1 },
        },
      ],
      initializers: parts.map(([from, to], p) => ({
        ...{ name: `w${p}`, dtype: "f64", shape: [to - from, 3], data: weights.slice(3 * from, 3 * to) },
      })),
      inputs: [{ name: "x", dtype: "f64", shape: ["n", 3] }],
      outputs: [{ name: "logits", dtype: "f64", shape: ["n", outputs] }],
    };
    const model = createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64" });
    const examples = Uint32Array.of(0, 1, 2, 3, 4, 5);
    const request = { data, examples, temperature: 1, gradient: false, centred: false };
    const params = parts.map((_, p) => `w${p}`);
    return (await model.layerMoments!({ ...request, params }, createRunContext({ seed: 3 }))).layers;
  };
  const whole = await moments([[0, outputs]]);
  expect(whole.map(({ param, firstRow, deltas }) => [param, firstRow, deltas.rows, deltas.cols])).toEqual([
    ["w0", 0, 1024, 1024],
    ["w0", 1024, 476, 476],
  ]);
  // The same seed draws the same labels.
  const apart = await moments([
    [0, 1024],
    [1024, outputs],
  ]);
  apart.forEach(({ inputs, deltas }, b) => {
    expect(whole[b]!.inputs.data).toEqual(inputs.data);
    expect(whole[b]!.deltas.data).toEqual(deltas.data);
  });
});
