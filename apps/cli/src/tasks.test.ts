import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRng } from "@secateur/core";
import { encodeNpy, encodeOnnx } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { call, refused, type SmallTask, smallTask, temporaryFolder } from "./testing.test-support.ts";

// biome-ignore lint/suspicious/noExplicitAny: a document of any command
async function documentOf(argv: readonly string[]): Promise<any> {
  const { code, stdout, stderr } = await call([...argv, "--json"]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

const unlabelled = ({ folder }: SmallTask): string => `npy:${join(folder, "X.npy")}`;

/** 80 examples of a smooth function of four numbers, as two targets. */
async function functionTask(): Promise<{ folder: string; data: string }> {
  const folder = await temporaryFolder();
  const rng = createRng("function");
  const x = Float32Array.from({ length: 80 * 4 }, () => rng.normal());
  const y = Float32Array.from({ length: 160 }, (_, k) => {
    const at = Math.floor(k / 2) * 4;
    return k % 2 === 0 ? Math.sin(x[at]!) + 0.5 * x[at + 1]! : x[at + 2]! * x[at + 3]!;
  });
  await writeFile(join(folder, "X.npy"), encodeNpy({ shape: [80, 4], data: x }));
  await writeFile(join(folder, "Y.npy"), encodeNpy({ shape: [80, 2], data: y }));
  return { folder, data: `npy:${join(folder, "X.npy")},${join(folder, "Y.npy")}` };
}

describe("without labels", () => {
  test("a network is led back to its own outputs, by every curvature, and the result says how far it agrees", async () => {
    const task = await smallTask();
    for (const curvature of ["empirical-fisher", "gauss-newton", "kronecker-gauss-newton"]) {
      const out = join(task.folder, `${curvature}.safetensors`);
      const argv = ["prune", task.model, "--data", unlabelled(task), "--sparsity", "0.5", "--curvature", curvature];
      const stages = ["--stages", "2", "--target-stages", "1", "--examples", "20"];
      const { dense, pruned, measuredOn } = await documentOf([...argv, ...stages, "--solver", "chita", "--out", out]);
      expect(measuredOn).toBe("calibration");
      expect(dense, curvature).toMatchObject({ task: "distillation", accuracy: null, loss: 0 });
      expect(dense.measures, curvature).toEqual([{ name: "agreement", unit: "%", better: "higher", value: 100 }]);
      expect(pruned.loss, curvature).toBeGreaterThan(0);
      expect(pruned.loss, curvature).toBeLessThan(1);
    }
  });

  test("measures by labels where the test data have some, and trains towards the dense network between prunings", async () => {
    const task = await smallTask();
    const out = join(task.folder, "out.safetensors");
    const argv = ["prune", task.model, "--data", task.data, "--solver", "magnitude", "--sparsity", "0.5", "--out", out];
    const retrain = [
      "--retrain",
      "llr",
      "--retrain-epochs",
      "2",
      "--phases",
      "2",
      "--dense-training",
      "one-cycle:0.1:20",
    ];
    const { dense, pruned, rounds, recipe } = await documentOf([
      ...argv,
      ...retrain,
      "--task",
      "distillation:temperature=2",
    ]);
    expect(dense.task).toBe("classification");
    expect(pruned.accuracy).toBeGreaterThan(0);
    expect(recipe.task).toBe("distillation:temperature=2");
    const [first, second] = rounds as readonly { training: readonly { loss: number }[] }[];
    // Divergences from the dense network, not cross-entropies of three classes.
    expect(first!.training[0]!.loss).toBeLessThan(0.5);
    expect(second!.training.length).toBeGreaterThan(0);
  });

  test("evaluation says that the network was measured against itself", async () => {
    const task = await smallTask();
    const { stdout } = await call(["eval", task.model, "--data", unlabelled(task)]);
    expect(stdout).toMatch(/^100\.00 % agreement, .*against its own outputs, as the data have no targets/);
    expect((await call(["eval", task.model, "--data", task.data])).stdout).not.toContain("own outputs");
  });

  test("other tasks say what they miss", async () => {
    const task = await smallTask();
    const argv = ["eval", task.model, "--data", unlabelled(task), "--task"];
    expect(await refused([...argv, "classification"])).toMatch(
      /found no targets; give data with targets.*\[ERR_TASK\]/,
    );
    expect(await refused([...argv, "regresion"])).toMatch(/there is no task 'regresion'.*did you mean 'regression'\?/);
    const labelled = ["eval", task.model, "--data", task.data, "--task", "regression"];
    expect(await refused(labelled)).toMatch(
      /output 'output' \[\d+, 3\] and target 'values' \[\d+\].*class numbers below 3 \(classification\).*\[ERR_TASK\]/,
    );
  });
});

test("a model of two outputs is pruned and measured under a weighted sum of tasks, one a target of its own", async () => {
  const folder = await temporaryFolder();
  const at = (name: string): string => join(folder, name);
  const rng = createRng("two heads");
  const numbers = (count: number): Float32Array => Float32Array.from({ length: count }, () => rng.normal());
  const tensor = (name: string, rows: number, cols: number) => ({
    name,
    dtype: "f32" as const,
    shape: [rows, cols],
    data: numbers(rows * cols),
  });
  const node = (op: string, inputs: string[], output: string) => ({
    ...{ name: output, op, domain: "", inputs, outputs: [output], attributes: {} },
  });
  const graph = {
    name: "two heads",
    nodes: [
      ...[node("MatMul", ["image", "w1"], "h"), node("Relu", ["h"], "a"), node("MatMul", ["a", "w2"], "scores")],
      ...[node("Softmax", ["scores"], "digit"), node("MatMul", ["a", "w3"], "z"), node("Sigmoid", ["z"], "slant")],
    ],
    initializers: [tensor("w1", 4, 8), tensor("w2", 8, 3), tensor("w3", 8, 2)],
    inputs: [{ name: "image", dtype: "f32" as const, shape: ["n", 4] }],
    outputs: [
      { name: "digit", dtype: "f32" as const, shape: ["n", 3] },
      { name: "slant", dtype: "f32" as const, shape: ["n", 2] },
    ],
  };
  await writeFile(at("net.onnx"), encodeOnnx({ opsets: { "": 17 }, metadata: {}, graph }));
  await writeFile(at("X.npy"), encodeNpy({ shape: [60, 4], data: numbers(240) }));
  await writeFile(
    at("digit.npy"),
    encodeNpy({ shape: [60], data: Float32Array.from({ length: 60 }, (_, n) => n % 3) }),
  );
  const slants = Float32Array.from({ length: 120 }, (_, n) => (n * n) % 2);
  await writeFile(at("slant.npy"), encodeNpy({ shape: [60, 2], data: slants }));
  const data = `npy:class=${at("digit.npy")},image=${at("X.npy")},tilt=${at("slant.npy")}`;
  expect(await refused(["eval", at("net.onnx"), "--data", data])).toMatch(/2 output\(s\): digit, slant and 2 target/);
  const task = "classification:output=digit,target=class+0.5*binary:output=slant,target=tilt";
  const measured = await documentOf(["eval", at("net.onnx"), "--data", data, "--task", task]);
  expect(measured.measures.map(({ name }: { name: string }) => name)).toEqual(["accuracy", "slant accuracy"]);
  const argv = ["prune", at("net.onnx"), "--data", data, "--task", task, "--sparsity", "0.5", "--solver", "chita"];
  const document = await documentOf([...argv, "--out", at("out.onnx")]);
  expect(document.dense.loss).toBeCloseTo(measured.loss, 6);
  expect(document.nonzeros).toBeLessThanOrEqual(36);
  expect(document.recipe.data).toContain("tilt=");
});

test("whole numbers beyond 0 and 1 for a single score are numbers to be met, and 0 and 1 are said to be taken for classes", async () => {
  const folder = await temporaryFolder();
  const at = (name: string): string => join(folder, name);
  const rng = createRng("counts");
  const x = Float32Array.from({ length: 160 }, () => rng.normal());
  const counts = Float32Array.from({ length: 40 }, (_, n) => n % 10);
  await writeFile(at("X.npy"), encodeNpy({ shape: [40, 4], data: x }));
  await writeFile(at("counts.npy"), encodeNpy({ shape: [40], data: counts }));
  await writeFile(at("flags.npy"), encodeNpy({ shape: [40], data: counts.map((count) => count % 2) }));
  const trained = async (targets: string, ...more: string[]) =>
    await call([
      ...["train", "--arch", "mlp:4-8-1", "--data", `npy:${at("X.npy")},${at(targets)}`, "--epochs", "1"],
      ...["--force", "--out", at("net.safetensors"), ...more],
    ]);
  const numbers = await trained("counts.npy");
  expect(numbers.code, numbers.stderr).toBe(0);
  expect(numbers.stderr).toMatch(/the task is regression, because the targets \(labels\).*whole numbers up to 9/);
  expect(await trained("flags.npy")).toMatchObject({
    stderr: expect.stringMatching(/the task is binary, because.* are 0 and 1.*name the task regression/),
  });
  expect((await trained("flags.npy", "--task", "regression")).stderr).not.toContain("the task is");
  const forced = await trained("counts.npy", "--task", "binary");
  expect(forced.code).toBe(2);
  expect(forced.stderr).toMatch(/label \d+ of example \d+ is outside 0..1; .*the task regression takes other numbers/);
});

test("sensitivity compares layers by the task's own measure: agreement without labels, errors of numbers", async () => {
  const task = await smallTask();
  const half = ["--sparsity", "0.5", "--sparsities", "0.5", "--examples", "20"];
  const unnamed = await documentOf(["sensitivity", task.model, "--data", unlabelled(task), ...half]);
  expect(unnamed.measure).toEqual({ name: "agreement", unit: "%", better: "higher", value: 100 });
  const values = unnamed.layers.flatMap(({ measures }: { measures: { value: number }[] }) =>
    measures.map(({ value }) => value),
  );
  // Half of a layer's weights gone must change some answer of this small network, and cannot make it agree more.
  expect(Math.min(...values)).toBeLessThan(100);
  expect(Math.max(...values)).toBeLessThanOrEqual(100);
});

test("numbers are learned, pruned and measured as numbers, from end to end", async () => {
  const { folder, data } = await functionTask();
  const model = join(folder, "net.safetensors");
  const trained = await documentOf([
    ...["train", "--arch", "mlp:4-16-2", "--data", data, "--epochs", "30", "--batch-size", "8", "--out", model],
    ...["--learning-rate", "0.02"],
  ]);
  expect(trained.test).toMatchObject({ task: "regression", accuracy: null });
  const losses = (trained.epochs as { loss: number }[]).map(({ loss }) => loss);
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 2);
  const pruned = async (solver: string): Promise<number> => {
    const out = join(folder, `${solver}.safetensors`);
    const argv = ["prune", model, "--data", data, "--solver", solver, "--sparsity", "0.6", "--out", out];
    const document = await documentOf(argv);
    expect(document.pruned.measures).toMatchObject([{ name: "rmse" }, { name: "mean-absolute-error" }]);
    return document.pruned.loss;
  };
  // The curvature of squared errors tells which weights matter: magnitude does not know the data.
  expect(await pruned("chita")).toBeLessThan(0.8 * (await pruned("magnitude")));
  const { stdout } = await call(["eval", model, "--data", data]);
  expect(stdout).toMatch(/^[\d.]+ rmse, [\d.]+ mean-absolute-error, loss [\d.]+ on 80 examples/);
  const layers = await documentOf(["sensitivity", model, "--data", data, "--sparsity", "0.5", "--sparsities", "0.5"]);
  expect(layers.measure).toMatchObject({ name: "rmse", better: "lower" });
  expect(layers.proposal.tolerance).toBeCloseTo(0.01 * layers.measure.value, 6);
  const compare = await call(["compare", model, "--data", data, "--solvers", "magnitude", "--sparsities", "0.5"]);
  expect(compare.stdout).toMatch(/rmse at +50 %/);
});
