import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRng } from "@secateur/core";
import {
  decodeOnnx,
  encodeNpy,
  encodeOnnx,
  encodeSafetensors,
  type NewOnnxModel,
  readCheckpoint,
} from "@secateur/formats";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { namedArchitecture, type PruneDocument } from "@secateur/run/node";
import { describe, expect, test } from "vitest";
import { call, refused, smallTask, temporaryFolder } from "./testing.test-support.ts";

async function prune(argv: readonly string[]): Promise<PruneDocument> {
  const { code, stdout, stderr } = await call(["prune", ...argv, "--quiet", "--json"]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as PruneDocument;
}

describe("prune layer by layer", () => {
  test("layer-wise solvers prune layers by default, others with --scope layers, and say the error of each layer", async () => {
    for (const solver of ["layerwise", "obc", "alps", "sparsegpt", "wanda", "magnitude"]) {
      const { model, data } = await smallTask();
      const scope = solver === "magnitude" ? ["--scope", "layers"] : [];
      const document = await prune([model, "--data", data, "--solver", solver, "--sparsity", "0.6", ...scope]);
      expect(document.nonzeros).toBe(18); // floor(0.4 * 45)
      expect(document.layers).toHaveLength(2);
      const { tensors } = await readCheckpoint(document.out);
      expect(tensors.flatMap(({ data: values }) => [...(values as Float32Array)]).filter(Boolean)).toHaveLength(18);
      if (solver !== "magnitude")
        for (const { relativeError, maskedError, solveMs } of document.layers) {
          expect(relativeError).toBeGreaterThan(0);
          expect(solveMs).toBeGreaterThanOrEqual(0);
          // Re-fitted weights are no worse than the dense ones on the same zeros; wanda keeps those.
          if (/layerwise|obc|alps/.test(solver)) expect(relativeError).toBeLessThanOrEqual(maskedError! * (1 + 1e-5));
        }
    }
  });

  test("a pattern is met in every row, and the recipe repeats the run to the same bytes", async () => {
    const { model, data } = await smallTask();
    const flags = ["--solver", "layerwise", "--units", "of-every:1/2", "--inputs", "parallel", "--calibration", "40"];
    const document = await prune([model, "--data", data, ...flags]);
    const { tensors } = await readCheckpoint(document.out);
    const first = tensors.find(({ shape }) => shape[1] === 6)!.data as Float32Array;
    for (let i = 0; i < first.length; i += 2) expect(Number(first[i] === 0) + Number(first[i + 1] === 0)).toBe(1);
    const layers = { inputs: "parallel", examples: 40, pattern: { keep: 1, of: 2 } };
    expect(document.recipe).toMatchObject({ layers, sparsity: 0.5 });
    const bytes = await readFile(document.out);
    const recipe = document.out.replace(/safetensors$/, "recipe.json");
    await prune(["--recipe", recipe, "--force"]);
    expect(await readFile(document.out)).toEqual(bytes);
  });

  test("biases are fitted with the weights, or kept, and the recipe says which", async () => {
    const { folder } = await smallTask();
    const model = join(folder, "biased.safetensors");
    const network = createNetwork(namedArchitecture("mlp:6-5-3"), { seed: 3 });
    const tensors = network.tensors().map(({ name, shape, data }) => {
      return { name, shape, dtype: "f32", data: Float32Array.from(data) } as const;
    });
    await writeFile(model, encodeSafetensors({ tensors, metadata: { "secateur.architecture": "mlp:6-5-3" } }));
    const data = `npy:${join(folder, "X.npy")},${join(folder, "Y.npy")}`;
    const biasesAfter = async (...more: string[]) => {
      const how = ["--solver", "obc", "--sparsity", "0.6", "--layer-allocation", "uniform", "--force"];
      const document = await prune([model, "--data", data, ...how, ...more]);
      const after = (await readCheckpoint(document.out)).tensors;
      return {
        recipe: document.recipe,
        biases: after.filter(({ shape }) => shape.length === 1).map(({ data }) => data),
      };
    };
    const own = tensors.filter(({ shape }) => shape.length === 1).map((tensor) => tensor.data);
    const [fitted, kept] = [await biasesAfter(), await biasesAfter("--layer-biases", "kept")];
    expect(kept.biases).toEqual(own);
    expect(fitted.biases).not.toEqual(own);
    expect(kept.recipe).toMatchObject({ layers: { biases: "kept" } });
    // Steps too short to be seen: what training starts from.
    const still = ["--retrain", "llr", "--retrain-epochs", "1", "--phases", "1", "--learning-rate", "1e-12"];
    expect((await biasesAfter(...still, "--layer-biases", "kept")).biases).toEqual(own);
    const trained = await biasesAfter(...still);
    const numbers = (biases: readonly unknown[]): number[] => biases.flatMap((bias) => [...(bias as Float32Array)]);
    const farFrom = (biases: readonly unknown[]): number => {
      const others = numbers(biases);
      return Math.hypot(...numbers(trained.biases).map((value, i) => value - others[i]!));
    };
    // Which examples a run holds out differs, and with them the means.
    expect(farFrom(fitted.biases)).toBeLessThan(0.3 * farFrom(own));
  });

  test("in stages and in rounds with training, the recipe of which repeats them", async () => {
    const { model, data } = await smallTask();
    const rounds = ["--retrain", "llr", "--retrain-epochs", "4", "--phases", "2"];
    const document = await prune([model, "--data", data, "--solver", "obc", "--stages", "2", ...rounds]);
    const kept = document.rounds!.map((round) => round.kept);
    expect(kept).toEqual([14, 4]); // floor(45 * 0.1^(1 / 2)), floor(45 * 0.1)
    expect(document.rounds!.map(({ stages }) => stages)).toEqual([2, 2]);
    const bytes = await readFile(document.out);
    await prune(["--recipe", document.out.replace(/safetensors$/, "recipe.json"), "--force"]);
    expect(await readFile(document.out)).toEqual(bytes);
  });

  test("a budget may leave layers out, name units, spread weights by its own rule, or limit operations", async () => {
    const { model, data } = await smallTask();
    const kept = async (...more: string[]): Promise<{ nonzeros: number; size: number }[]> => {
      const document = await prune([model, "--data", data, "--solver", "layerwise", "--force", ...more]);
      return [...document.layers];
    };
    const share = (layers: readonly { nonzeros: number; size: number }[]): number =>
      layers.reduce((sum, { nonzeros }) => sum + nonzeros, 0) / layers.reduce((sum, { size }) => sum + size, 0);
    const excluded = await kept("--sparsity", "0.5", "--exclude", "fc2");
    expect(excluded[1]!.nonzeros).toBe(excluded[1]!.size);
    // What the dense layer takes of the budget the others go without.
    expect(share(excluded)).toBeCloseTo(0.5, 1);
    const half = await kept("--units", "of-every:1/2", "--exclude", "fc2");
    expect(half.map(({ nonzeros, size }) => nonzeros / size)).toEqual([0.5, 1]);
    const spread = await kept("--sparsity", "0.5", "--allocation", "uniform", "--layer-limit", "fc2=0.25");
    expect(spread[1]!.nonzeros / spread[1]!.size).toBeGreaterThanOrEqual(0.75);
    expect(share(await kept("--flops", "0.3", "--allocation", "erk"))).toBeLessThanOrEqual(0.3);
    const rows = await kept("--sparsity", "0.5", "--units", "rows");
    expect(rows.every(({ nonzeros }) => nonzeros > 0)).toBe(true);
    expect(share(rows)).toBeLessThanOrEqual(0.5);
  });

  test("flags that would change nothing, or contradict each other, are refused", async () => {
    const { model, data, folder } = await smallTask();
    const said = (...more: string[]) => refused(["prune", model, "--data", data, ...more]);
    expect(await said("--solver", "magnitude", "--inputs", "parallel")).toMatch(/--inputs would change nothing/);
    expect(await said("--solver", "layerwise", "--ridge", "3")).toMatch(/--ridge would change nothing/);
    expect(await said("--solver", "magnitude", "--match", "dense")).toMatch(/--match would change nothing/);
    expect(await said("--solver", "magnitude", "--layer-biases", "kept")).toMatch(
      /--layer-biases would change nothing/,
    );
    expect(await said("--solver", "alps", "--refit-blocks", "2")).toMatch(
      /cut into .*blocks|export the network to ONNX/,
    );
    expect(await said("--solver", "obc", "--units", "of-every:1/2", "--sparsity", "0.5")).toMatch(
      /leave --sparsity out/,
    );
    const pattern = ["--solver", "obc", "--units", "of-every:1/2"];
    expect(await said(...pattern, "--allocation", "uniform")).toMatch(/an allocation spreads single weights/);
    expect(await said(...pattern, "--layer-allocation", "global")).toMatch(/says already what each layer keeps/);
    expect(await said("--solver", "obc", "--allocation", "erk", "--layer-allocation", "global")).toMatch(
      /--allocation and --layer-allocation both say.*ERR_USAGE/,
    );
    expect(await said("--solver", "obc", "--units", "rows", "--sparsity", "0.4")).toMatch(/use layerwise or alps/);
    const path = join(folder, "layers.recipe.json");
    const recipe = (keep: number): Promise<void> =>
      writeFile(path, JSON.stringify({ recipe: 1, model, data, solver: "obc", layers: { pattern: { keep, of: 2 } } }));
    await recipe(1);
    expect(await refused(["prune", "--recipe", path, "--sparsity", "0.9"])).toMatch(
      /layers.pattern of the recipe.*ERR_USAGE/,
    );
    await recipe(0);
    expect(await refused(["prune", "--recipe", path])).toMatch(/'layers.pattern'.*ERR_RECIPE/);
  });
});

test("operations alone are limited layer by layer where layers differ in those of a weight, unless a solver or what belongs to one is named", async () => {
  const folder = await temporaryFolder();
  const images: NetworkSpec = {
    ...{ name: "images", inputShape: [2, 6, 6], classes: 3 },
    layers: [
      { kind: "conv2d", name: "c1", in: 2, out: 4, kernel: [3, 3], padding: 1 },
      { kind: "relu" },
      { kind: "global-average-pool" },
      { kind: "dense", name: "fc", in: 4, out: 3 },
      { kind: "log-softmax" },
    ],
  };
  const tensors = createNetwork(images, { seed: 3 }).tensors();
  const named = tensors.map(({ data, ...rest }) => ({ ...rest, dtype: "f32" as const, data: Float32Array.from(data) }));
  const conv = join(folder, "net.safetensors");
  const metadata = { "secateur.architecture": JSON.stringify(images) };
  await writeFile(conv, encodeSafetensors({ tensors: named, metadata }));
  const rng = createRng(5);
  const x = Float32Array.from({ length: 60 * 72 }, () => rng.normal());
  await writeFile(join(folder, "X.npy"), encodeNpy({ shape: [60, 2, 6, 6], data: x }));
  await writeFile(
    join(folder, "Y.npy"),
    encodeNpy({ shape: [60], data: Float32Array.from({ length: 60 }, (_, i) => i % 3) }),
  );
  const pictures = `npy:${join(folder, "X.npy")},${join(folder, "Y.npy")}`;
  const { model, data } = await smallTask();
  const solverOf = async (...argv: string[]): Promise<string> => (await prune([...argv, "--force"])).solver;
  const limited = [conv, "--data", pictures, "--flops", "0.5"];
  const document = await prune(limited);
  expect(document.solver).toBe("layerwise");
  expect(document.out).toMatch(/layerwise-0\.5flops\.safetensors$/);
  expect(document.limits![0]!.reached).toBeLessThanOrEqual(0.5 + 1e-9); // the limit's own slack
  expect(document.notes.map(({ code }) => code)).toContain("operations-solver");
  expect(await solverOf(...limited, "--calibration", "40", "--layer-allocation", "global")).toBe("layerwise");
  expect(await solverOf(...limited, "--units", "weights")).toBe("layerwise");
  expect(await solverOf(...limited, "--scope", "network")).toBe("chita");
  expect(await solverOf(...limited, "--exclude", "fc")).toBe("chita");
  expect(await solverOf(...limited, "--sparsity", "0.3")).toBe("chita");
  expect(await solverOf(...limited, "--stages", "1")).toBe("chita");
  expect(await solverOf(...limited, "--solver", "magnitude")).toBe("magnitude");
  // The weights of the one layer that is left cost the same.
  expect(await solverOf(...limited, "--keep-dense", "fc")).toBe("chita");
  expect(await solverOf(model, "--data", data, "--flops", "0.5")).toBe("chita");
  const { stderr } = await call(["prune", ...limited, "--force"]);
  expect(stderr).toContain("layerwise is used");
  // Of ONNX models too, but where a layer's inputs cannot be had.
  const folded = join(folder, "net.onnx");
  expect((await call(["convert", conv, "--out", folded])).code).toBe(0);
  expect(await solverOf(folded, ...limited.slice(1))).toBe("layerwise");
  const turned = join(folder, "turned.onnx");
  const { graph, opsets } = decodeOnnx(await readFile(folded), folded);
  const nodes = graph.nodes.map((node) => (node.op === "Conv" ? { ...node, op: "ConvTranspose" } : node));
  const initializers = graph.initializers.map((one) =>
    one.shape.length === 4 ? { ...one, shape: [2, 4, 3, 3] } : one,
  );
  const changed = { ...graph, nodes, initializers } as NewOnnxModel["graph"];
  await writeFile(turned, encodeOnnx({ opsets, metadata: {}, graph: changed }));
  // chita says what it lacks there, not a solver that nobody named.
  const refusal = await call(["prune", turned, ...limited.slice(1), "--force"]);
  expect([refusal.code, refusal.stderr]).toEqual([2, expect.stringContaining("no moments")]);
});
