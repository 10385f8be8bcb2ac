import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRunContext, type Dataset, type LayerInputs, type Model, matrix, tensorDataset } from "@secateur/core";
import { decodeOnnx, encodeOnnx, type NewOnnxModel } from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openOnnx } from "./open-onnx.ts";

const folder = mkdtempSync(join(tmpdir(), "secateur-outer-"));
const bare = mkdtempSync(join(tmpdir(), "secateur-alone-"));
const key = "secateur test runtime";
const globals = globalThis as unknown as Record<string, unknown>;

/** A runtime that knows one operator more than we do: what it runs, our own graph computes with Mystery as the Relu that it is. */
class RuntimeTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  constructor(_type: string, data: Float32Array, dims: readonly number[]) {
    this.data = data;
    this.dims = dims;
  }
}
async function create(bytes: Uint8Array) {
  const { graph, opsets } = decodeOnnx(bytes, "given.onnx");
  if (graph.nodes.some(({ op }) => op === "Strange")) throw new Error("Strange is no registered operator");
  const nodes = graph.nodes.map((node) => (node.op === "Mystery" ? { ...node, op: "Relu", domain: "" } : node));
  const outputs = graph.outputs.map(({ name }) => ({ name, dtype: "f32" }));
  const model = createGraphModel({ graph: { ...graph, nodes, outputs }, opsets });
  return {
    async run(feeds: Readonly<Record<string, RuntimeTensor>>) {
      const inputs = Object.entries(feeds).map(([name, { dims, data }]) => [name, { shape: dims, data }] as const);
      const size = inputs[0]![1].shape[0]!;
      const found = await model.run!({ size, inputs: Object.fromEntries(inputs) }, createRunContext());
      // A value of several rows an example comes as it is: [rows, columns].
      return Object.fromEntries(
        Object.entries(found).map(([name, { shape, data }]) => {
          const isOfRows = name === "rows";
          return [name, { dims: isOfRows ? [data.length / 4, 4] : shape, data }];
        }),
      );
    },
  };
}

beforeAll(() => {
  globals[key] = { InferenceSession: { create }, Tensor: RuntimeTensor };
  const place = join(folder, "node_modules", "onnxruntime-node");
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "package.json"), JSON.stringify({ name: "onnxruntime-node", main: "index.js" }));
  writeFileSync(join(place, "index.js"), `module.exports = globalThis[${JSON.stringify(key)}];`);
});
afterAll(() => {
  delete globals[key];
  for (const one of [folder, bare]) rmSync(one, { recursive: true });
});

const node = (op: string, inputs: readonly string[], output: string, attributes = {}, domain = "") => ({
  ...{ name: output, op, domain, inputs, outputs: [output], attributes },
});
const wave = (name: string, ...shape: readonly number[]) => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return {
    name,
    dtype: "f32" as const,
    shape,
    data: Float32Array.from({ length: size }, (_, i) => Math.sin(1.7 * i + size)),
  };
};

/** A grouped convolution, a product of rows of several an example behind the operator, and one with a transposed weight and a bias. */
function modelWith(mystery: "Mystery" | "Strange" | "Relu"): Uint8Array {
  const domain = mystery === "Relu" ? "" : "com.example";
  const model: NewOnnxModel = {
    ...{ opsets: { "": 17, "com.example": 1 }, metadata: {} },
    graph: {
      name: "g",
      initializers: [
        wave("conv", 4, 1, 3, 3),
        wave("wide", 4, 5),
        wave("last", 3, 20),
        wave("bias", 3),
        { name: "four", dtype: "i64", shape: [2], data: BigInt64Array.of(-1n, 4n) },
        { name: "flat", dtype: "i64", shape: [2], data: BigInt64Array.of(-1n, 20n) },
      ],
      inputs: [{ name: "x", dtype: "f32", shape: ["batch", 2, 4, 4] }],
      outputs: [{ name: "y", dtype: "f32", shape: ["batch", 3] }],
      nodes: [
        node("Conv", ["x", "conv"], "c", { group: 2 }),
        node(mystery, ["c"], "m", {}, domain),
        node("Reshape", ["m", "four"], "rows"),
        node("MatMul", ["rows", "wide"], "w"),
        node("Reshape", ["w", "flat"], "r"),
        node("Gemm", ["r", "last", "bias"], "y", { transB: 1 }),
      ],
    },
  };
  return encodeOnnx(model);
}

const numbers = Float32Array.from({ length: 6 * 32 }, (_, i) => Math.cos(i * i));
const data: Dataset = tensorDataset({
  inputs: { x: { shape: [6, 2, 4, 4], data: numbers } },
  targets: { labels: { shape: [6], data: Uint32Array.of(0, 1, 2, 0, 1, 2) } },
  classes: { labels: 3 },
});

async function opened(mystery: "Mystery" | "Strange" | "Relu", cwd: string) {
  const path = join(folder, `${mystery}.onnx`);
  writeFileSync(path, modelWith(mystery));
  return (await openOnnx({ path, arch: undefined, cwd, onEvent: () => undefined })).model;
}

/** What every weight sees; the first weight is halved as soon as its own inputs are read. */
async function inputsOf(model: Model, inputs: "sequential" | "parallel"): Promise<readonly unknown[]> {
  const request = { params: ["conv", "wide", "last"], data, examples: Uint32Array.of(5, 0, 3), inputs };
  const found: unknown[] = [];
  for await (const { targets, cols, chunks } of model.layerInputs!(
    request,
    createRunContext(),
  ) as AsyncIterable<LayerInputs>) {
    const rows: number[] = [];
    for await (const chunk of chunks) rows.push(...chunk.data);
    found.push([targets.map(({ param, firstRow, rows: count }) => [param, firstRow, count]), cols, rows]);
    const [{ param, firstRow }] = targets as [LayerInputs["targets"][number]];
    if (param !== "conv" || firstRow === 0) continue;
    const w = await model.read!(param);
    await model.write!(
      param,
      matrix(
        w.rows,
        w.cols,
        w.data.map((x: number) => x / 2),
      ),
    );
  }
  return found;
}

test.each(["sequential", "parallel"] as const)(
  "layers of a model with an unknown operator see, %s, what they see where it is known",
  async (mode) => {
    const found = await inputsOf(await opened("Mystery", folder), mode);
    expect(found).toHaveLength(4);
    expect(found).toEqual(await inputsOf(await opened("Relu", folder), mode));
  },
);

test("it has the outputs and losses of the runtime that is installed, with the weights as they are", async () => {
  const [outer, own] = [await opened("Mystery", folder), await opened("Relu", folder)];
  for (const model of [outer, own]) {
    const w = await model.read("wide");
    await model.write(
      "wide",
      matrix(
        w.rows,
        w.cols,
        w.data.map((x: number) => 2 * x),
      ),
    );
  }
  const ctx = createRunContext();
  expect((await outer.evaluate!(data, ctx)).loss).toBe((await own.evaluate!(data, ctx)).loss);
  const batch = await data.batch(Uint32Array.of(1, 2));
  expect((await outer.run!(batch, ctx))["y"]!.data).toEqual((await own.run!(batch, ctx))["y"]!.data);
});

test("where none is installed, or it does not run the model, the operators are named", async () => {
  const alone = await opened("Mystery", bare);
  expect(alone.layerInputs).toBeUndefined();
  await expect(alone.evaluate!(data, createRunContext())).rejects.toThrow(
    /com\.example\.Mystery \(1\).*onnxruntime-node/,
  );
  const strange = await opened("Strange", folder);
  await expect(strange.evaluate!(data, createRunContext())).rejects.toThrow(
    /onnxruntime-node does not run it \(Strange is no.*com\.example\.Strange/,
  );
});
