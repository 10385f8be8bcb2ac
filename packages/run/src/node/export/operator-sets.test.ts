import { createRunContext } from "@secateur/core";
import { decodeOnnx, encodeOnnx, type NewOnnxModel } from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import { architecture, createNetwork, type LayerSpec } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { withOpset } from "./encode-model.ts";
import { graphWriter } from "./graph-writer.ts";
import { examples } from "./network.test-support.ts";
import { onnxOfNetwork } from "./onnx-of-network.ts";
import { inOpset, lowestOpset } from "./operator-sets.ts";

const dense = (bias: boolean): LayerSpec => ({ kind: "dense", name: "d", in: 8, out: 3, bias });
const network = (layers: readonly LayerSpec[]) => {
  const whole = [...layers, { kind: "flatten" }, dense(true)] as const;
  return createNetwork({ name: "n", inputShape: [2, 2, 2], classes: 3, layers: whole }, { seed: 1 });
};

describe("the lowest operator set that holds a network is that of", () => {
  test.each([
    [
      "products, convolutions and pools",
      [{ kind: "conv2d", name: "c", in: 2, out: 2, kernel: [1, 1] }, { kind: "relu" }],
      7,
    ],
    ["bounds that are attributes", [{ kind: "relu6" }], 7],
    ["the error function", [{ kind: "gelu" }], 9],
    ["a layer normalisation", [{ kind: "layer-norm", name: "l", features: 8 }], 17],
  ] satisfies [string, LayerSpec[], number][])("%s", (_, layers, expected) => {
    expect(lowestOpset(onnxOfNetwork(network(layers)))).toBe(expected);
  });

  test("a product without a bias, and pads that are computed", () => {
    const layers = [{ kind: "flatten" }, dense(false)] as const;
    const spec = { name: "n", inputShape: [2, 2, 2], classes: 3, layers };
    expect(lowestOpset(onnxOfNetwork(createNetwork(spec, { seed: 1 })))).toBe(11);
    expect(lowestOpset(onnxOfNetwork(createNetwork(architecture("resnet20a"), { seed: 1 })))).toBe(11);
  });
});

/** Each operator whose inputs were attributes once. */
function moved(): NewOnnxModel {
  const { node, real, whole, nodes, initializers } = graphWriter(["x", "y"]);
  const padded = node("Pad", ["x", whole(0, 1, 0, 2)]);
  const clipped = node("Clip", [padded, real(-0.5), real(1)]);
  const wide = node("Unsqueeze", [clipped, whole(1)]);
  node("Squeeze", [wide, whole(1)], {}, "y");
  return {
    ...{ opsets: { "": 13 }, metadata: {} },
    graph: {
      ...{ name: "moved", nodes, initializers },
      inputs: [{ name: "x", dtype: "f32", shape: ["batch", 3] }],
      outputs: [{ name: "y", dtype: "f32", shape: ["batch", 6] }],
    },
  };
}

describe("a model in a lower operator set", () => {
  const outputs = async (model: NewOnnxModel): Promise<readonly number[]> => {
    const { graph, opsets } = decodeOnnx(encodeOnnx(model), "m.onnx");
    const batch = { size: 2, inputs: { x: { shape: [2, 3], data: Float32Array.of(-2, -1, 0, 1, 2, 3) } } };
    return [...(await createGraphModel({ graph, opsets }).run!(batch, createRunContext()))["y"]!.data];
  };

  test("computes the same, with attributes in place of inputs and no constant that nobody reads", async () => {
    const wanted = [0, -0.5, -0.5, 0, 0, 0, 0, 1, 1, 1, 0, 0];
    for (const [opset, constants] of [
      [7, 0],
      [10, 0],
      [11, 3],
      [12, 3],
      [13, 5],
    ] as const) {
      const model = inOpset(moved(), opset);
      expect(model.graph.initializers.length).toBe(constants);
      expect(await outputs(model)).toEqual(wanted);
    }
    expect(lowestOpset(moved())).toBe(7);
  });

  test("has whole numbers for pads and axes, fractions for bounds, and places counted from the end from set 11 on", () => {
    const nodes = inOpset(moved(), 7).graph.nodes;
    expect(nodes.map(({ attributes, floats }) => [attributes, floats])).toEqual([
      [{ pads: [0, 1, 0, 2] }, []],
      [{ min: -0.5, max: 1 }, ["min", "max"]],
      [{ axes: [1] }, []],
      [{ axes: [1] }, []],
    ]);
    const { graph, ...model } = moved();
    const initializers = graph.initializers.map((one) =>
      one.data?.length === 1 && one.dtype === "i64" ? { ...one, data: BigInt64Array.of(-1n) } : one,
    );
    expect(lowestOpset({ ...model, graph: { ...graph, initializers } as NewOnnxModel["graph"] })).toBe(11);
  });

  test("needs the set that it was written in where an operator is not known here, and what is computed stays an input", () => {
    const { graph, ...model } = moved();
    const strange = { ...graph.nodes[0]!, op: "Strange" };
    expect(lowestOpset({ ...model, graph: { ...graph, nodes: [strange] } })).toBe(13);
    const computed = graph.nodes.map((one) => (one.op === "Pad" ? { ...one, inputs: ["x", "pads"] } : one));
    expect(lowestOpset({ ...model, graph: { ...graph, nodes: computed } })).toBe(11);
  });

  test("is refused below its lowest set, by both numbers", () => {
    const model = onnxOfNetwork(network([{ kind: "gelu" }]));
    expect(() => withOpset(model, { metadata: {}, opset: 8 })).toThrow(/8.*9/);
    expect(withOpset(model, { metadata: {}, opset: 12 }).opsets).toEqual({ "": 12 });
  });
});

test("examples of every network run in the set that its export has", async () => {
  const spec = architecture("lenet5");
  const own = createNetwork(spec, { seed: 1 });
  const { graph, opsets } = decodeOnnx(encodeOnnx(withOpset(onnxOfNetwork(own), { metadata: {} })), "m.onnx");
  expect(opsets).toEqual({ "": 7 });
  const evaluation = await createGraphModel({ graph, opsets }).evaluate!(examples(spec, 2), createRunContext());
  expect(evaluation.loss).toBeCloseTo((await own.evaluate(examples(spec, 2), createRunContext())).loss, 5);
});
