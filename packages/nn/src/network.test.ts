import { arrayDataset, createRunContext, matrix } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { architecture, architectureNames } from "./architectures/architectures.ts";
import { assertNetwork, mlp } from "./graph/mlp.ts";
import { paramSpecs } from "./graph/param-specs.ts";
import { createNetwork } from "./network.ts";

describe("createNetwork", () => {
  test("names every missing, unexpected and misshapen tensor in one error", () => {
    const weights = [
      { name: "fc1.weight", shape: [3, 2], data: new Float32Array(6) },
      { name: "conv1.weight", shape: [1], data: new Float32Array(1) },
    ];
    const build = () => createNetwork(mlp({ sizes: [2, 4, 3], bias: false }), { weights });
    expect(build).toThrow(expect.objectContaining({ code: "ERR_WEIGHTS_MISMATCH", fault: "input" }));
    expect(build).toThrow(
      /missing fc2\.weight \[3, 4\]; not part of it: conv1\.weight \[1\]; wrong shape: fc1\.weight is \[3, 2\] instead of \[4, 2\]/,
    );
  });

  test("says what does not fit where examples have another size", async () => {
    const network = createNetwork(mlp({ sizes: [4, 3] }), { seed: 1 });
    const batch = { size: 2, inputs: { input: { shape: [2, 5], data: new Float32Array(10) } } };
    const message = /examples of 5 numbers, but network .* takes \[4\]/;
    await expect(network.run(batch, createRunContext())).rejects.toMatchObject({ code: "ERR_DATA_MISMATCH" });
    await expect(network.run(batch, createRunContext())).rejects.toThrow(message);
  });

  test("computes what its description says, worked by hand", async () => {
    const weights = [
      { name: "fc1.weight", shape: [2, 2], data: Float32Array.of(1, -1, 2, 0) },
      { name: "fc1.bias", shape: [2], data: Float32Array.of(0.5, -3) },
      { name: "fc2.weight", shape: [2, 2], data: Float32Array.of(1, 1, -1, 2) },
      { name: "fc2.bias", shape: [2], data: Float32Array.of(0, 1) },
    ];
    const network = createNetwork(mlp({ sizes: [2, 2, 2] }), { weights });
    // x = (2, 1): fc1 gives (1.5, 1), fc2 (2.5, 1.5): class 0 with loss log(1 + e^-1).
    const data = arrayDataset({ inputs: matrix(1, 2, Float32Array.of(2, 1)), labels: [0], classes: 2 });
    const { accuracy, loss } = await network.evaluate(data, createRunContext());
    expect(accuracy).toBe(100);
    expect(loss).toBeCloseTo(Math.log1p(Math.exp(-1)), 6); // f32 logits
  });

  test("a dense layer that says nothing of its bias has one: in the forward pass, in gradients, in products", async () => {
    const said = mlp({ sizes: [2, 3, 2] });
    const silent = { ...said, layers: said.layers.map(({ kind, ...rest }) => ({ kind, ...rest, bias: undefined })) };
    const of = async (spec: typeof said) => {
      const network = createNetwork(spec, { seed: 3 });
      network.weights.get("fc1.bias")!.data.set([0.5, -0.25, 1]);
      const data = arrayDataset({ inputs: matrix(1, 2, Float32Array.of(2, 1)), labels: [0], classes: 2 });
      const request = { params: ["fc1.weight", "fc1.bias", "fc2.bias"], data, examples: Uint32Array.of(0) };
      const { loss } = await network.evaluate(data, createRunContext());
      const { gradient } = await network.meanGradient(request, createRunContext());
      const linear = await network.linearize(request, createRunContext());
      const out = Object.fromEntries(
        Object.keys(linear.outputs).map((name) => [name, { shape: [1, 2], data: new Float32Array(2) }]),
      );
      linear.forward(new Float32Array(gradient.length).fill(1), out);
      linear.release();
      return { loss, gradient: Array.from(gradient), out };
    };
    expect(await of(silent as typeof said)).toEqual(await of(said));
  });

  test("read copies, write copies, and both refuse what does not belong", async () => {
    const network = createNetwork(mlp({ sizes: [2, 2], bias: false }), { seed: 1 });
    const w = await network.read("fc1.weight");
    w.data.fill(9);
    expect((await network.read("fc1.weight")).data[0]).not.toBe(9);
    await network.write("fc1.weight", w);
    w.data.fill(0);
    expect((await network.read("fc1.weight")).data[0]).toBe(9);
    await expect(network.read("fc2.weight")).rejects.toMatchObject({ code: "ERR_UNKNOWN_NAME" });
    await expect(network.write("fc1.weight", matrix(1, 3))).rejects.toMatchObject({ code: "ERR_SHAPE" });
  });

  test("equal seeds give equal weights", () => {
    const draw = (seed: number) => createNetwork(mlp({ sizes: [3, 2] }), { seed }).tensors()[0]!.data;
    expect(draw(4)).toEqual(draw(4));
    expect(draw(4)).not.toEqual(draw(5));
  });

  test("data of another shape or with more classes is refused with both shapes", async () => {
    const network = createNetwork(mlp({ sizes: [2, 2] }), { seed: 1 });
    const ctx = createRunContext();
    const wide = arrayDataset({ inputs: matrix(1, 3), labels: [0], classes: 2 });
    expect(() => network.evaluate(wide, ctx)).toThrow(/has examples of shape \[3\], but network 'mlp' takes \[2\]/);
    const many = arrayDataset({ inputs: matrix(1, 2), labels: [0], classes: 3 });
    expect(() => network.evaluate(many, ctx)).toThrow(/3 classes/);
  });
});

describe("network descriptions", () => {
  test("every built-in network is well formed, and MLPNet has the papers' 32,360 weights", () => {
    for (const name of architectureNames) expect(() => assertNetwork(architecture(name))).not.toThrow();
    const sizes = paramSpecs(architecture("mlpnet")).map(({ shape }) => shape.reduce((a, b) => a * b, 1));
    expect(sizes.reduce((a, b) => a + b)).toBe(32360);
  });

  test("an unknown name is answered with the nearest known one", () => {
    expect(() => architecture("mlpnett")).toThrow(/did you mean 'mlpnet'/);
    expect(() => architecture("toString")).toThrow(expect.objectContaining({ code: "ERR_UNKNOWN_NAME" }));
  });

  test("survives a round trip through JSON", () => {
    const spec = architecture("lenet300");
    expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
  });

  test.each([
    [{ layers: [] }, /no layer with weights/],
    [{ layers: [{ kind: "dense" as const, name: "a", in: 3, out: 2, bias: true }] }, /takes 3 features and is given 2/],
    [{ layers: [{ kind: "log-softmax" as const }, { kind: "relu" as const }] }, /only as the last layer/],
    [{ layers: [{ kind: "dense" as const, name: "a", in: 2, out: 3, bias: true }] }, /3 values for 2 classes/],
    [{ layers: [{ kind: "dense" as const, name: "a", in: 2, out: 0, bias: true }] }, /at least 1/],
  ])("refuses %j", (layers, message) => {
    expect(() => assertNetwork({ name: "bad", inputShape: [2], classes: 2, ...layers })).toThrow(message);
  });
});
