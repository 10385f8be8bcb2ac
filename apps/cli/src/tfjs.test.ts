import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { call, refused, smallTask, temporaryFolder } from "./testing.test-support.ts";

/** Seen from here, the packages of TensorFlow.js are installed. */
const cwd = fileURLToPath(new URL("..", import.meta.url));

/** A folder with a TensorFlow.js model of 6 * 5 + 5 * 3 weights in dense layers and an embedding-like tensor, and data for it. */
async function tfjsTask(): Promise<{ folder: string; model: string; data: string }> {
  const { data, folder: place } = await smallTask();
  tf.enableProdMode();
  const init = (seed: number) => tf.initializers.heNormal({ seed });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [6], units: 5, activation: "relu", kernelInitializer: init(1), name: "first" }),
      tf.layers.dense({ units: 5, trainable: false, kernelInitializer: init(2), name: "frozen" }),
      tf.layers.dense({ units: 3, activation: "softmax", kernelInitializer: init(3), name: "last" }),
    ],
  });
  const folder = join(place, "net");
  await mkdir(folder);
  await model.save({
    save: async ({ weightSpecs, weightData, ...artifacts }) => {
      const weightsManifest = [{ paths: ["weights.bin"], weights: weightSpecs }];
      await writeFile(join(folder, "model.json"), JSON.stringify({ ...artifacts, weightsManifest }));
      await writeFile(join(folder, "weights.bin"), new Uint8Array(weightData as ArrayBuffer));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    },
  });
  model.dispose();
  return { folder, model: join(folder, "model.json"), data };
}

/** The document of a call that must succeed; its keys are checked by what reads them. */
async function json<T = Record<string, unknown>>(argv: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await call([...argv, "--json", "--quiet"], { cwd });
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as T;
}

describe("a TensorFlow.js model as ONNX and back", () => {
  test("evaluates as it did, whole and pruned", async () => {
    const { folder, model, data } = await tfjsTask();
    const measured = async (path: string) =>
      await json<{ accuracy: number; loss: number }>(["eval", path, "--data", data]);
    const [whole, pruned] = [join(folder, "whole.onnx"), join(folder, "pruned.onnx")];
    await json(["convert", model, "--out", whole]);
    const document = await json<{ out: string; pruned: { accuracy: number; loss: number } }>([
      ...[
        "prune",
        model,
        "--data",
        data,
        "--solver",
        "magnitude",
        "--sparsity",
        "0.5",
        "--out",
        pruned,
        "--opset",
        "17",
      ],
    ]);
    const dense = await measured(model);
    expect(document.out).toBe(pruned);
    for (const [found, expected] of [
      [await measured(whole), dense],
      [await measured(pruned), document.pruned],
    ] as const) {
      expect(found.accuracy).toBe(expected.accuracy);
      // f32 sums in another order.
      expect(found.loss).toBeCloseTo(expected.loss, 5);
    }
  });

  test("is what a checkpoint becomes, by convert and by prune", async () => {
    const { model, data, folder } = await smallTask();
    const [whole, pruned] = [join(folder, "whole/model.json"), join(folder, "pruned/model.json")];
    await json(["convert", model, "--out", whole]);
    const document = await json<{ out: string; pruned: { accuracy: number } }>([
      ...["prune", model, "--data", data, "--solver", "magnitude", "--sparsity", "0.5", "--out", pruned],
    ]);
    expect(document.out).toBe(pruned);
    const accuracy = async (path: string) =>
      (await json<{ accuracy: number }>(["eval", path, "--data", data])).accuracy;
    expect(await accuracy(whole)).toBe(await accuracy(model));
    expect(await accuracy(pruned)).toBe(document.pruned.accuracy);
    expect(await refused(["convert", model, "--out", whole, "--quiet"])).toContain("exists already");
    expect(await refused(["convert", whole, "--out", join(folder, "back.safetensors"), "--quiet"])).toContain(".onnx");
  });
});

describe("a TensorFlow.js model", () => {
  test("is pruned to a folder that evaluates as the document says, with a recipe that repeats it", async () => {
    const { folder, model, data } = await tfjsTask();
    const before = tf.memory().numTensors;
    const document = await json<{ out: string; pruned: { accuracy: number; loss: number } }>([
      "prune",
      model,
      "--data",
      data,
      "--solver",
      "woodfisher",
      "--sparsity",
      "0.5",
      "--examples",
      "20",
      "--report",
      join(folder, "report.html"),
    ]);
    expect(document).toMatchObject({
      prunable: 45,
      nonzeros: 22,
      out: `${folder}.woodfisher-0.5/model.json`,
      unprunable: [{ weight: "frozen/kernel", reason: "layer 'frozen' (Dense) is frozen" }],
      recipe: { arch: "tfjs-layers", engine: "wasm", model: "net/model.json" },
      versions: { "@tensorflow/tfjs": "4.22.0", "@secateur/backends-tfjs": "0.0.0" },
    });
    expect(await readFile(join(folder, "report.html"), "utf8")).toContain("frozen/kernel: layer");
    const { accuracy, loss } = await json<{ accuracy: number; loss: number }>(["eval", document.out, "--data", data]);
    expect({ accuracy, loss }).toMatchObject({
      accuracy: document.pruned.accuracy,
      loss: document.pruned.loss,
    });
    const weights = await readFile(`${folder}.woodfisher-0.5/weights.bin`);
    await json([
      "prune",
      "--recipe",
      `${folder}.woodfisher-0.5.recipe.json`,
      "--out",
      join(folder, "again", "model.json"),
    ]);
    expect(await readFile(join(folder, "again", "weights.bin"))).toEqual(weights);
    // Plain TensorFlow.js loads it; the folder itself stands for its model.json.
    const shown = await json<{ tensors: { name: string; zeros: number; prunable: boolean }[] }>([
      "inspect",
      join(folder, "again"),
    ]);
    const { tensors } = shown;
    expect(tensors.map(({ name, prunable }) => [name, prunable])).toEqual([
      ["first/kernel", true],
      ["first/bias", false],
      ["last/kernel", true],
      ["last/bias", false],
      ["frozen/kernel", false],
      ["frozen/bias", false],
    ]);
    expect(tensors[0]!.zeros + tensors[2]!.zeros).toBe(23);
    expect(shown).toMatchObject({
      format: "tfjs-layers",
      notes: ["'frozen/kernel' stays dense: layer 'frozen' (Dense) is frozen"],
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  test("is pruned by chita, by stages on its own gradients, and compared on both engines", async () => {
    const { model, data } = await tfjsTask();
    const flags = ["--data", data, "--examples", "30", "--solvers", "magnitude,chita", "--sparsities", "0.5"];
    const documents: { dense: { accuracy: number }; runs: { accuracy: number }[] }[] = [];
    for (const engine of ["wasm", "cpu"]) documents.push(await json(["compare", model, ...flags, "--engine", engine]));
    const accuracies = documents.map((document) => document.runs.map((run) => run.accuracy));
    expect(accuracies[0]).toEqual(accuracies[1]);
    expect(documents[0]!.dense.accuracy).toBe(documents[1]!.dense.accuracy);
  });

  test("leaves alone what --keep-dense names, by layer or weight", async () => {
    const { model, data } = await tfjsTask();
    const halve = ["prune", model, "--data", data, "--solver", "magnitude", "--sparsity", "0.5"];
    for (const word of ["first", "first/kernel"]) {
      const document = await json([...halve, "--keep-dense", word, "--force"]);
      expect(document).toMatchObject({ keptDense: ["first/kernel"], prunable: 15, nonzeros: 7 });
    }
    expect(await refused([...halve, "--keep-dense", "middle", "--force", "--quiet"], cwd)).toContain(
      "there is no weight to keep dense 'middle'; known: first, last, auto, first/kernel, last/kernel",
    );
  });

  test("says which engine runs it and what stays dense", async () => {
    const { model, data } = await tfjsTask();
    const { stderr, stdout } = await call(["eval", model, "--data", data, "--engine", "cpu"], { cwd });
    expect(stderr).toContain("TensorFlow.js 4.22.0 on the engine cpu\n");
    expect(stderr).toContain("'frozen/kernel' stays dense: layer 'frozen' (Dense) is frozen");
    expect(stdout).toContain("(tfjs-layers)");
  });
});

describe("refused are", () => {
  test("an engine that is not installed, with the line that installs it", async () => {
    const { model, data } = await tfjsTask();
    expect(await refused(["eval", model, "--data", data, "--engine", "node"], cwd)).toContain(
      "the engine node is needed and installed are wasm, cpu; install it with: npm install @tensorflow/tfjs-node [ERR_TFJS_ENGINE]",
    );
  });

  test("an engine that there is not, and one for a model that needs none", async () => {
    const { model, data } = await tfjsTask();
    expect(await refused(["eval", model, "--data", data, "--engine", "quantum"], cwd)).toContain(
      "--engine: found 'quantum', allowed is auto, node-gpu",
    );
    const own = await smallTask();
    for (const command of [
      ["eval", own.model, "--data", own.data],
      ["inspect", own.model],
    ]) {
      expect(await refused([...command, "--engine", "cpu"], cwd)).toMatch(
        /--engine would change nothing: .*net\.safetensors is no TensorFlow\.js model/,
      );
    }
  });

  test("flags that belong to networks of our own layers", async () => {
    const { model, data } = await tfjsTask();
    const retrain = ["--solver", "magnitude", "--retrain", "llr", "--retrain-epochs", "1", "--quiet"];
    expect(await refused(["prune", model, "--data", data, ...retrain], cwd)).toContain(
      "an ONNX model, which can be retrained",
    );
    expect(await refused(["eval", model, "--data", data, "--arch", "mlpnet"], cwd)).toContain(
      "--arch would change nothing",
    );
    expect(await refused(["eval", model, "--data", data, "--reestimate-batch-norm", "--quiet"], cwd)).toContain(
      "does not work on a TensorFlow.js model",
    );
    expect(await refused(["train", model, "--data", data, "--out", join(model, "..", "x.safetensors")], cwd)).toContain(
      "train it in TensorFlow.js itself",
    );
  });

  test("outputs that are no folder, are the model itself, or are there already", async () => {
    const { folder, model, data } = await tfjsTask();
    const halve = ["prune", model, "--data", data, "--solver", "magnitude", "--sparsity", "0.5"];
    expect(await refused([...halve, "--out", "x.safetensors"], cwd)).toContain("must end in the name of a folder");
    expect(await refused([...halve, "--out", folder], cwd)).toContain("is one of the inputs");
    const out = join(folder, "out");
    await json([...halve, "--out", out]);
    expect(await refused([...halve, "--out", out], cwd)).toContain("[ERR_OUTPUT_EXISTS]");
    await json([...halve, "--out", out, "--force"]);
  });

  test("models that are not whole", async () => {
    const { folder, model, data } = await tfjsTask();
    await writeFile(join(folder, "weights.bin"), new Uint8Array(8));
    expect(await refused(["eval", model, "--data", data], cwd)).toContain(
      "weights.bin hold 8 bytes and the manifest describes",
    );
    expect(await refused(["inspect", model], cwd)).toContain("[ERR_TFJS_SHARD]");
    await rm(join(folder, "weights.bin"));
    expect(await refused(["prune", model, "--data", data], cwd)).toContain(
      "its weights file 'weights.bin' cannot be read",
    );
  });

  test("data of another shape, with both shapes", async () => {
    const { model } = await tfjsTask();
    const folder = await temporaryFolder();
    const { encodeNpy } = await import("@secateur/formats");
    await writeFile(join(folder, "X.npy"), encodeNpy({ shape: [4, 7], data: new Float32Array(28) }));
    await writeFile(join(folder, "Y.npy"), encodeNpy({ shape: [4], data: new Float32Array(4) }));
    const data = `npy:${join(folder, "X.npy")},${join(folder, "Y.npy")}`;
    expect(await refused(["eval", model, "--data", data, "--quiet"], cwd)).toMatch(
      /examples of shape \[7\], but model '.*' takes \[6\]/,
    );
  });
});
