import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSafetensors } from "@secateur/formats";
import { type SensitivityDocument, sensitiveLayers } from "@secateur/run";
import type { PruneDocument } from "@secateur/run/node";
import { describe, expect, test } from "vitest";
import { call, normedTask, refused, smallArch, smallTask } from "./testing.test-support.ts";

async function scanned(argv: readonly string[]): Promise<SensitivityDocument> {
  const { code, stdout, stderr } = await call([...argv, "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as SensitivityDocument;
}

describe("sensitivity", () => {
  test("of an ONNX model gives what its checkpoint does, here and as jobs", async () => {
    const { model, data, folder } = await smallTask();
    const onnx = join(folder, "net.onnx");
    expect((await call(["convert", model, "--out", onnx])).code).toBe(0);
    const argv = ["--data", data, "--solver", "magnitude", "--sparsities", "0.3,0.8", "--examples", "20"];
    const [own, graph] = [
      await scanned(["sensitivity", model, ...argv]),
      await scanned(["sensitivity", onnx, ...argv]),
    ];
    expect(graph.arch).toBe("onnx");
    for (const [l, { name, measures }] of own.layers.entries()) {
      const other = graph.layers[l]!;
      expect([other.name, other.measures.map(({ accuracy }) => accuracy)]).toEqual([
        name,
        measures.map(({ accuracy }) => accuracy),
      ]);
      // The same network by other kernels: sums of a few terms in another order.
      for (const [m, { loss }] of measures.entries()) expect(other.measures[m]!.loss).toBeCloseTo(loss, 5);
    }
    const apart = await scanned(["sensitivity", onnx, ...argv, "--workers", "1"]);
    expect([apart.layers, apart.proposal]).toEqual([graph.layers, graph.proposal]);
  });

  test("prunes every layer alone at every sparsity, and the gradients are taken once from examples of their own", async () => {
    const { model, data } = await smallTask();
    const sparsities = ["--sparsity", "0.6", "--sparsities", "0.3,0.8"];
    const document = await scanned(["sensitivity", model, "--data", data, ...sparsities, "--examples", "20"]);
    expect(document.layers.map(({ name, size }) => [name, size])).toEqual([
      ["fc1.weight", 30],
      ["fc2.weight", 15],
    ]);
    for (const { measures } of document.layers)
      expect(measures.map(({ sparsity }) => sparsity)).toEqual([0.3, 0.6, 0.8]);
    // 60 training examples: 20 for gradients, all others to measure.
    expect([document.gradients.examples, document.dense.examples]).toEqual([20, 40]);
  });

  test("statistics of batch normalisation are measured anew for every layer, and back for the next one", async () => {
    const { model, data } = await normedTask();
    const scan = ["sensitivity", model, "--data", data, "--sparsity", "0.5"];
    const argv = [...scan, "--solver", "magnitude"];
    const { dense, layers } = await scanned([...argv, "--sparsities", "0,0.5,0.7"]);
    // Weights that stay, between and behind others that went, have the dense network's statistics.
    for (const { measures } of layers) expect(measures[0]!.loss).toBe(dense.loss);
    const asStored = await scanned([...argv, "--sparsities", "0,0.5", "--reestimate-batch-norm", "never"]);
    const before = await scanned([...argv, "--sparsities", "0,0.5", "--reestimate-batch-norm", "before"]);
    expect(asStored.dense.loss).not.toBe(dense.loss);
    expect(before.dense.loss).toBe(dense.loss);
    // Measured after pruning alone, the dense network keeps those of the file: what a layer's inputs are made with does not depend on the layers before it.
    const after = [...scan, "--solver", "sparsegpt", "--sparsities", "0.5", "--reestimate-batch-norm", "after"];
    const apart = await scanned([...after, "--workers", "1"]);
    const here = await scanned(after);
    expect([here.dense.loss, here.remeasured]).toEqual([asStored.dense.loss, undefined]);
    expect(apart.layers).toEqual(here.layers);
    expect([dense.loss === before.dense.loss, before.remeasured]).toEqual([true, true]);
    // Only what stands before a normalisation changes what it sees.
    const [first, last] = [0, 1].map((l) => [before, { layers }].map((one) => one.layers[l]!.measures[1]!.loss));
    expect(first![0]).not.toBe(first![1]);
    expect(last![0]).toBe(last![1]);
  });

  test("a layer-wise solver prunes every layer from its inputs, without gradients", async () => {
    const { model, data } = await smallTask();
    const argv = [
      "sensitivity",
      model,
      "--data",
      data,
      "--solver",
      "obc",
      "--sparsities",
      "0,0.9",
      "--sparsity",
      "0.9",
    ];
    const { gradients, layers, dense } = await scanned([...argv, "--examples", "20"]);
    expect(gradients).toEqual({ examples: 20, ridge: 0, gradientMs: 0 });
    for (const { measures } of layers) {
      expect(measures[0]!.loss).toBe(dense.loss);
      expect(measures[1]!.loss).not.toBe(dense.loss);
    }
    expect(await refused([...argv, "--ridge", "1"])).toMatch(/--ridge would change nothing/);
  });

  test("at sparsity 0 nothing changes, and the same seed gives the same numbers", async () => {
    const { model, data } = await smallTask();
    const argv = [
      "sensitivity",
      model,
      "--data",
      data,
      "--solver",
      "cbs",
      "--sparsities",
      "0,0.9",
      "--sparsity",
      "0.9",
    ];
    const [first, again] = [await scanned(argv), await scanned(argv)];
    const { accuracy, loss } = first.dense;
    for (const { measures } of first.layers)
      expect(measures[0]).toEqual({ sparsity: 0, accuracy, loss, value: accuracy });
    expect(again.layers).toEqual(first.layers);
    expect(again.proposal).toEqual(first.proposal);
  });

  test("what magnitude does to a layer alone is what prune does when it is the only one", async () => {
    const { model, data } = await smallTask();
    const argv = [
      "sensitivity",
      model,
      "--data",
      data,
      "--solver",
      "magnitude",
      "--sparsities",
      "0.8",
      "--sparsity",
      "0.8",
    ];
    const more = ["--examples", "1", "--held-out", "59", "--tolerance", "0"];
    const { layers, proposal, dense } = await scanned([...argv, ...more]);
    // Q has no say in magnitude pruning: the 3 largest of fc2's 15 weights stay, and accuracy is a count of 59 examples.
    for (const { measures } of layers)
      expect(
        Math.abs((measures[0]!.accuracy * 59) / 100 - Math.round((measures[0]!.accuracy * 59) / 100)),
      ).toBeLessThan(1e-9);
    const worst = layers.filter(({ measures }) => measures[0]!.accuracy < dense.accuracy).map(({ name }) => name);
    // 45 weights, 9 kept, half of them may be dense: no layer fits.
    expect(worst.length).toBeGreaterThan(0);
    expect(proposal.keepDense).toEqual([]);
    expect(proposal.reason).toMatch(/points of accuracy alone, but dense would take more than half of the weights/);
  });

  test("proposes a flag under which prune keeps as many weights in all as were compared", async () => {
    const { model, data } = await smallTask();
    const settings = [model, "--data", data, "--solver", "magnitude", "--sparsity", "0.3"];
    const more = ["--sparsities", "0.3", "--examples", "10", "--held-out", "50", "--tolerance", "0"];
    const { proposal } = await scanned(["sensitivity", ...settings, ...more]);
    expect(proposal.keepDense).toEqual(["fc2.weight"]);
    const { stdout } = await call(["prune", ...settings, ...proposal.flag!.split(" "), "--json"]);
    const { nonzeros, layers } = JSON.parse(stdout) as PruneDocument;
    expect(nonzeros).toBe(31); // floor(0.7 * 45)
    expect(layers.map((layer) => layer.nonzeros)).toEqual([16, 15]);
  });

  test("prints a table and the proposal, and writes a page", async () => {
    const { folder, model, data } = await smallTask();
    const report = join(folder, "layers.html");
    const { code, stdout } = await call([
      "sensitivity",
      model,
      "--data",
      data,
      "--sparsity",
      "0.5",
      "--sparsities",
      "0.5,0.8",
      "--report",
      report,
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^layer alone +shape +weights +at 50 % +at 80 %$/m);
    expect(stdout).toMatch(/^fc1\.weight +\[5, 6\] +30 +[-+]?\d+\.\d\d +[-+]?\d+\.\d\d$/m);
    expect(stdout).toMatch(/^Keep .* dense at 50 %/m);
    const page = await readFile(report, "utf8");
    expect(page).toContain('id="layers"');
    expect(page).toContain("fc2.weight");
    expect(await refused(["sensitivity", model, "--data", data, "--report", report])).toContain("layers.html");
  });

  test.each([
    [[], /--data is missing/],
    [["--data", "mnist", "--report", "layers.txt"], /--report: .*layers\.txt.*\.html or \.htm/],
    [["--data", "DATA", "--sparsity", "1"], /\[0, 1\)/],
    [["--data", "DATA", "--sparsities", "0.5,0.5"], /different numbers/],
    [["--data", "DATA", "--sparsities", "0.99"], /layer fc1\.weight.*keeps 0 of 30 weights/],
    [["--data", "DATA", "--examples", "50", "--held-out", "20"], /need 70 training examples and there are 60/],
    [["--data", "DATA", "--tolerance", "-1"], /--tolerance: found '-1'/],
    [["--data", "DATA", "--ridge", "some"], /--ridge: found 'some'/],
    [["--data", "DATA", "--solver", "woodfishr"], /did you mean 'woodfisher'/],
  ])("refuses %j", async (flags, message) => {
    const { folder, model, data } = await smallTask();
    const argv = ["sensitivity", model, ...flags.map((flag) => (flag === "DATA" ? data : flag))];
    expect(await refused(argv, folder)).toMatch(message);
  });
});

describe("the proposal", () => {
  const layer = (name: string, size: number, accuracy: number) => ({
    ...{ name, size, shape: [size] },
    measures: [{ sparsity: 0.9, accuracy, loss: 1, value: accuracy }],
  });

  const accuracyBefore = { value: 90, better: "higher" } as const;

  test("takes what loses most per weight first, as far as half of the kept weights go", () => {
    // 2000 weights, 200 kept, 100 may be dense.
    const scans = [
      layer("large", 1800, 60),
      layer("middle", 90, 80),
      layer("small", 60, 70),
      layer("tiny", 40, 85),
      layer("calm", 10, 89.5),
    ];
    const found = sensitiveLayers({ scans, dense: accuracyBefore, target: 0.9, tolerance: 1 });
    // Per weight: small 0.33, tiny 0.125, middle 0.11, large 0.017. middle no longer fits, calm loses too little.
    expect(found.map(({ name }) => name)).toEqual(["small", "tiny"]);
  });

  test("is empty where every layer stands it", () => {
    expect(sensitiveLayers({ scans: [layer("a", 100, 89)], dense: accuracyBefore, target: 0.9, tolerance: 1 })).toEqual(
      [],
    );
  });
});

test("sensitivity of a network whose gradients are all 0 says that this is the cause, not the ridge", async () => {
  const { folder, data } = await smallTask();
  const dead = join(folder, "dead.safetensors");
  const zeros = (name: string, shape: readonly number[]) =>
    ({ name, dtype: "f32", shape, data: new Float32Array(shape[0]! * shape[1]!) }) as const;
  await writeFile(dead, encodeSafetensors({ tensors: [zeros("fc1.weight", [5, 6]), zeros("fc2.weight", [3, 5])] }));
  const argv = ["sensitivity", dead, "--arch", smallArch, "--data", data, "--sparsities", "0.5"];
  expect(await refused(argv)).toMatch(/every gradient is 0, and so is the automatic ridge.*ERR_IMPOSSIBLE/);
});

test("sensitivity leaves out what nobody asked for and would keep no weight, and says so", async () => {
  const { model, data } = await smallTask();
  const { code, stdout, stderr } = await call(["sensitivity", model, "--data", data, "--json"]);
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(/^not tried, since no weight would be left: fc2\.weight at 0\.95\n/),
  ]);
  const { layers } = JSON.parse(stdout) as SensitivityDocument;
  expect(layers.map(({ measures }) => measures.length)).toEqual([4, 3]);
});
