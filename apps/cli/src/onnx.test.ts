import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeOnnx, encodeOnnx, type NamedTensor, type OnnxTensor } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { call, refused, type SmallTask, smallTask } from "./testing.test-support.ts";

/** The small network as model.onnx, written by `convert`. */
async function onnxTask(): Promise<SmallTask & { onnx: string }> {
  const task = await smallTask();
  const onnx = join(task.folder, "model.onnx");
  await json(["convert", task.model, "--out", onnx]);
  return { ...task, onnx };
}

async function json<T = Record<string, unknown>>(argv: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await call([...argv, "--json", "--quiet"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as T;
}

const decoded = async (path: string) => decodeOnnx(new Uint8Array(await readFile(path)), path);
const zerosOf = (tensors: readonly OnnxTensor[]): number =>
  tensors.reduce((sum, tensor) => {
    return sum + ("opaque" in tensor ? 0 : [...tensor.data].filter((value) => Number(value) === 0).length);
  }, 0);

describe("an ONNX model", () => {
  test("that convert wrote evaluates as the checkpoint does", async () => {
    const { model, onnx, data } = await onnxTask();
    const [own, graph] = [await json(["eval", model, "--data", data]), await json(["eval", onnx, "--data", data])];
    expect(graph.accuracy).toBe(own.accuracy);
    // f32 sums in another order.
    expect(graph.loss).toBeCloseTo(own.loss as number, 5);
  });

  test("is pruned to a file that differs in its pruned weights only, and evaluates as the document says", async () => {
    const { onnx, data, folder } = await onnxTask();
    const document = await json<{ pruned: { loss: number }; nonzeros: number }>([
      ...["prune", onnx, "--data", data, "--solver", "magnitude", "--sparsity", "0.5"],
    ]);
    const out = join(folder, "model.magnitude-0.5.onnx");
    expect(document.nonzeros).toBe(22);
    const [before, after] = [await readFile(onnx), await readFile(out)];
    expect(after.length).toBe(before.length);
    const [old, pruned] = [await decoded(onnx), await decoded(out)];
    expect({ ...pruned, source: "", graph: { ...pruned.graph, initializers: [] } }).toEqual({
      ...{ ...old, source: "", graph: { ...old.graph, initializers: [] } },
    });
    expect(zerosOf(pruned.graph.initializers)).toBe(23);
    expect((await json<{ loss: number }>(["eval", out, "--data", data])).loss).toBe(document.pruned.loss);
  });

  test("has inputs that can be fixed, in the recipe too, and inspect says what they are", async () => {
    const { onnx, data, folder } = await onnxTask();
    const { graph, ...file } = await decoded(onnx);
    const input = graph.inputs[0]!;
    const added = { name: "gain", dtype: "f32", shape: [] };
    const scaled = {
      name: "",
      op: "Mul",
      domain: "",
      inputs: [input.name, "gain"],
      outputs: ["scaled"],
      attributes: {},
    };
    const nodes = graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((name) => (name === input.name ? "scaled" : name)),
    }));
    const initializers = graph.initializers.filter((tensor) => !("opaque" in tensor)) as NamedTensor[];
    const path = join(folder, "gain.onnx");
    await writeFile(
      path,
      encodeOnnx({ ...file, graph: { ...graph, initializers, nodes: [scaled, ...nodes], inputs: [input, added] } }),
    );
    const { graph: seen } = await json<{ graph: Record<string, unknown> }>(["inspect", path]);
    expect(seen).toMatchObject({ inputs: [input, added], unknownOperators: [] });
    expect((seen["operators"] as Record<string, number>)["Mul"]).toBe(1);
    expect(await refused(["eval", path, "--data", data])).toMatch(/input 'gain'.*--fix 'gain=NUMBER'/);
    const one = await json(["eval", path, "--data", data, "--fix", "gain=1"]);
    expect(one.loss).toBe((await json(["eval", onnx, "--data", data])).loss);
    const prune = ["prune", path, "--data", data, "--solver", "magnitude", "--sparsity", "0.5", "--fix", "gain=1"];
    const { recipe, out } = await json<{ recipe: object; out: string }>(prune);
    expect(recipe).toMatchObject({ fix: ["gain=1"] });
    const again = ["prune", "--recipe", out.replace(".onnx", ".onnx.recipe.json"), "--out", join(folder, "again.onnx")];
    await json(again);
    expect(await readFile(join(folder, "again.onnx"))).toEqual(await readFile(out));
    expect(await refused(["eval", path, "--data", data, "--fix", "gian=1"])).toMatch(/no input 'gian'; it has/);
    // Without targets a pruned model is compared with the dense one, or by default with itself.
    const unlabelled = data.replace(/,.*$/s, "");
    const alone = await json<{ loss: number }>(["eval", out, "--data", unlabelled, "--fix", "gain=1"]);
    expect(alone.loss).toBe(0);
    const beside = ["eval", out, "--data", unlabelled, "--fix", "gain=1", "--dense", path];
    expect((await json<{ loss: number }>(beside)).loss).toBeGreaterThan(1e-4);
    expect(await refused(["eval", onnx, "--data", data, "--dense", onnx])).toMatch(/--dense.*the data have targets/);
  });

  test("is pruned to milliseconds also where extents are open, matrices turned and read twice, and pack promises them", async () => {
    const { folder } = await onnxTask();
    const path = join(folder, "open.onnx");
    const node = (op: string, inputs: string[], output: string) =>
      ({ name: output, op, domain: "", inputs, outputs: [output], attributes: {} }) as const;
    const weights = (name: string, shape: [number, number]): NamedTensor => {
      const data = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(7 * i + 1));
      return { name, dtype: "f32", shape, data };
    };
    const model = await decoded(join(folder, "model.onnx"));
    const nodes = [
      node("MatMul", ["x", "w"], "a"),
      node("Relu", ["a"], "b"),
      node("MatMul", ["b", "v"], "c"),
      node("Relu", ["c"], "d"),
      node("MatMul", ["d", "v"], "y"),
    ];
    const graph = {
      ...{ name: "open", nodes, initializers: [weights("w", [24, 48]), weights("v", [48, 48])] },
      inputs: [{ name: "x", dtype: "f32", shape: [null, null, 24] }],
      outputs: [{ name: "y", dtype: "f32", shape: [null, null, 48] }],
    };
    await writeFile(path, encodeOnnx({ ...model, graph }));
    const shape = ["--input-shape", "x=1,32,24"];
    const packed = async (source: string) =>
      await json<{ expectedMs: number; denseMs: number }>([
        ...["pack", source, "--out", join(folder, "open.secateur"), "--force", ...shape],
      ]);
    const { denseMs } = await packed(path);
    const out = join(folder, "fast.onnx");
    const prune = ["prune", path, "--solver", "magnitude", "--milliseconds", String(denseMs / 3), "--out", out];
    expect(await refused(prune)).toMatch(/its extent 1 is left open.*--input-shape/);
    await json([...prune, ...shape]);
    const { expectedMs } = await packed(out);
    // Kept weights come one by one, and each takes less than a thousandth of the whole.
    expect(expectedMs).toBeLessThanOrEqual(denseMs / 3);
    expect(expectedMs).toBeGreaterThan(0.99 * (denseMs / 3));
  });

  test("is pruned by a method that takes gradients as the checkpoint is", async () => {
    const { model, onnx, data, folder } = await onnxTask();
    const prune = async (path: string, out: string) =>
      await json<{ pruned: { loss: number }; objective: number }>([
        ...["prune", path, "--data", data, "--solver", "chita", "--sparsity", "0.6", "--examples", "40"],
        ...["--batch", "1", "--out", join(folder, out)],
      ]);
    const [own, graph] = [await prune(model, "a.safetensors"), await prune(onnx, "b.onnx")];
    // The same gradients but for rounding, and so the same mask and nearly the same weights.
    expect(graph.pruned.loss).toBeCloseTo(own.pruned.loss, 2);
  });

  test("is pruned layer by layer to the dense outputs, its blocks re-fitted, and trained with its zeros", async () => {
    const { onnx, data, folder } = await onnxTask();
    const out = join(folder, "trained.onnx");
    const flags = ["--solver", "alps", "--sparsity", "0.5", "--match", "dense", "--refit-blocks", "2"];
    const training = ["--retrain", "llr", "--retrain-epochs", "1", "--phases", "1", "--task", "distillation"];
    const { recipe, rounds } = await json<{ recipe: { layers: object; retrain: object }; rounds: unknown[] }>([
      ...["prune", onnx, "--data", data, ...flags, ...training, "--out", out],
    ]);
    expect(recipe.layers).toEqual({ match: "dense", refitBlocks: 2 });
    expect(recipe.retrain).toMatchObject({ optimizer: "adam", batchSize: 4 });
    expect(rounds).toHaveLength(1);
    expect(zerosOf((await decoded(out)).graph.initializers)).toBe(23);
    const smoothed = ["prune", onnx, "--data", data, ...flags, ...training.slice(0, 4), "--label-smoothing", "0.1"];
    expect(await refused([...smoothed, "--out", join(folder, "x.onnx")])).toMatch(/--label-smoothing would change/);
  });

  test("is written in the operator set that is asked for, and in none that does not hold it", async () => {
    const { model, folder } = await smallTask();
    await json(["convert", model, "--out", join(folder, "newer.onnx"), "--opset", "21"]);
    expect((await decoded(join(folder, "newer.onnx"))).opsets).toEqual({ "": 21 });
    const message = await refused(["convert", model, "--out", join(folder, "older.onnx"), "--opset", "9", "--quiet"]);
    expect(message).toContain("--opset is 9; this graph is written in operator sets 11 to 23");
  });

  test("is inspected", async () => {
    const { onnx } = await onnxTask();
    const { format, tensors } = await json<{ format: string; tensors: readonly { name: string }[] }>(["inspect", onnx]);
    expect(format).toBe("onnx");
    expect(tensors.map(({ name }) => name)).toEqual(["fc1.weight", "fc2.weight"]);
  });

  test("with an operator that is not known says which, and what evaluates it", async () => {
    const { onnx, data, folder } = await onnxTask();
    const { opsets, metadata, graph } = await decoded(onnx);
    const nodes = graph.nodes.map((node) =>
      node.op === "Relu" ? { ...node, domain: "com.example", op: "Mystery" } : node,
    );
    const path = join(folder, "mystery.onnx");
    const strange = { opsets: { ...opsets, "com.example": 1 }, metadata, graph: { ...graph, nodes } };
    await writeFile(path, encodeOnnx(strange as Parameters<typeof encodeOnnx>[0]));
    const message = await refused(["eval", path, "--data", data, "--quiet"]);
    expect(message).toMatch(/com\.example\.Mystery \(1\).*onnxruntime-node/);
  });

  test.each([
    ["another ending", ["--out", "net.safetensors"], /\.onnx/],
    ["another architecture", ["--arch", "mlpnet"], /says itself which network it is/],
  ])("refuses %s", async (_what, flags, says) => {
    const { onnx, data } = await onnxTask();
    const argv = ["prune", onnx, "--data", data, "--solver", "magnitude", ...flags, "--quiet"];
    expect(await refused(argv)).toMatch(says);
  });

  test("that is damaged is refused in one line, by every command", async () => {
    const { onnx, data, folder } = await onnxTask();
    const path = join(folder, "cut.onnx");
    await writeFile(path, (await readFile(onnx)).subarray(0, 300));
    for (const argv of [
      ["inspect", path],
      ["eval", path, "--data", data],
      ["prune", path, "--data", data],
    ]) {
      expect(await refused(argv)).toMatch(/ERR_ONNX/);
    }
  });
});
