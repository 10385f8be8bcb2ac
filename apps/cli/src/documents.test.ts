/** The JSON documents have exactly the keys that docs/cli.md promises, no more and no fewer. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSafetensors, type NamedTensor } from "@secateur/formats";
import { beforeAll, describe, expect, test } from "vitest";
import { call, smallArch, smallProblem, smallTask } from "./testing.test-support.ts";

/** The keys of the first column of each table under "### COMMAND", and of nested objects named in the second. */
let contract: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

beforeAll(async () => {
  const page = await readFile(new URL("../../../docs/cli.md", import.meta.url), "utf8");
  const documents = page.slice(page.indexOf("## JSON documents"), page.indexOf("## Files"));
  const sections = documents.split(/^### /m).slice(1);
  contract = new Map(sections.map((section) => [section.slice(0, section.indexOf("\n")).trim(), readTable(section)]));
});

function readTable(section: string): ReadonlyMap<string, readonly string[]> {
  const keys = new Map<string, readonly string[]>();
  for (const [, first = "", second = ""] of section.matchAll(/^\| (`.*?) \| (.*) \|$/gm)) {
    // A parenthesis explains; what is in it are values or words, not keys.
    const inner = codes(second.replace(/\([^)]*\)/g, ""));
    for (const key of codes(first)) keys.set(key, key.endsWith("[]") || nested.has(key) ? inner : []);
  }
  return keys;
}

/** Keys whose value is an object with keys of its own. */
const nested = new Set(["dense", "pruned", "timing", "test", "gradients", "proposal"]);

function codes(text: string): readonly string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
}

/** Fails unless the document has the promised keys; those marked "?" may be missing. */
function checkDocument(command: string, document: Record<string, unknown>): void {
  const promised = contract.get(command)!;
  checkKeys(document, [...promised.keys()]);
  for (const [key, inner] of promised) {
    if (inner.length === 0) continue;
    const value = document[key.replace(/[?[\]]/g, "")];
    const items = Array.isArray(value) ? value : [value];
    expect(items.length).toBeGreaterThan(0);
    for (const item of items) checkKeys(item as Record<string, unknown>, inner);
  }
}

function checkKeys(value: Record<string, unknown>, promised: readonly string[]): void {
  const plain = promised.map((key) => key.replace(/[?[\]]/g, ""));
  const needed = promised.filter((key) => !key.endsWith("?")).map((key) => key.replace("[]", ""));
  expect(Object.keys(value).filter((key) => !plain.includes(key))).toEqual([]);
  expect(needed.filter((key) => !(key in value))).toEqual([]);
}

async function documentOf(argv: readonly string[], cwd?: string): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await call([...argv, "--json"], cwd === undefined ? {} : { cwd });
  expect(stderr).toBe("");
  expect(code).toBe(0);
  // Exactly one document: JSON.parse refuses anything before or after it.
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("the JSON document of", () => {
  test("prune", async () => {
    const { model, data } = await smallTask();
    const argv = ["prune", model, "--data", data, "--solver", "magnitude", "--sparsity", "0.5", "--stages", "2"];
    checkDocument("prune", await documentOf(argv));
  });

  test("prune with gradients", async () => {
    const { model, data } = await smallTask();
    const argv = ["prune", model, "--data", data, "--sparsity", "0.5", "--examples", "30"];
    const document = await documentOf(argv);
    checkDocument("prune", document);
    expect((document["stages"] as { loss?: number }[])[0]!.loss).toBeGreaterThan(0);
  });

  test("solve", async () => {
    const { folder, gradients, weights } = await smallProblem();
    const argv = ["solve", "--gradients", gradients, "--weights", weights, "--keep", "3"];
    checkDocument("solve", await documentOf(argv));
    checkDocument("solve", await documentOf([...argv, "--out", join(folder, "out.npy")]));
  });

  test("eval", async () => {
    const { model, data } = await smallTask();
    checkDocument("eval", await documentOf(["eval", model, "--data", data]));
  });

  test("train", async () => {
    const { folder, data } = await smallTask();
    const argv = [
      "train",
      "--arch",
      smallArch,
      "--data",
      data,
      "--epochs",
      "2",
      "--out",
      join(folder, "t.safetensors"),
    ];
    checkDocument("train", await documentOf(argv));
  });

  test("compare", async () => {
    const { model, data } = await smallTask();
    const solvers = "magnitude,cbs,woodfisher+obs";
    const argv = [
      "compare",
      model,
      "--data",
      data,
      "--solvers",
      solvers,
      "--sparsities",
      "0.5,0.8",
      "--examples",
      "30",
    ];
    checkDocument("compare", await documentOf(argv));
  });

  test("sweep", async () => {
    const { model, data } = await smallTask();
    const argv = ["sweep", model, "--data", data, "--solvers", "magnitude,obd", "--sparsities", "0.5"];
    checkDocument("sweep", await documentOf([...argv, "--examples", "20", "--goal", "bytes<=10000"]));
  });

  test("sensitivity", async () => {
    const { model, data } = await smallTask();
    const argv = ["sensitivity", model, "--data", data, "--sparsity", "0.5", "--sparsities", "0.5,0.8"];
    checkDocument("sensitivity", await documentOf([...argv, "--solver", "magnitude"]));
    // Layers that fit into half of the kept weights and cost something are tried as dense.
    const tried = await documentOf([
      ...argv.slice(0, 4),
      "--sparsity",
      "0.1",
      "--sparsities",
      "0.1",
      "--tolerance",
      "0",
    ]);
    checkDocument("sensitivity", tried);
  });

  test("inspect", async () => {
    const { model } = await smallTask();
    checkDocument("inspect", await documentOf(["inspect", model]));
  });

  test("pack, unpack and bench", async () => {
    const { folder, model, data } = await smallTask();
    const packed = join(folder, "small.secateur");
    checkDocument("pack", await documentOf(["pack", model, "--data", data, "--out", packed]));
    checkDocument("unpack", await documentOf(["unpack", packed, "--out", join(folder, "again.safetensors")]));
    const measured = (await documentOf(["bench", packed])) as unknown as Record<string, unknown>[];
    expect(measured.length).toBeGreaterThan(0);
    for (const one of measured) checkDocument("bench", one);
  });

  test("convert", async () => {
    const { folder, model } = await smallTask();
    checkDocument("convert", await documentOf(["convert", model, "--out", join(folder, "net.onnx")]));
  });

  test("cut", async () => {
    const { folder } = await smallTask();
    const names = ["fc1.weight", "fc2.weight"];
    const shapes = [
      [5, 6],
      [3, 5],
    ];
    const tensors = names.map((name, i): NamedTensor => {
      const data = new Float32Array(shapes[i]![0]! * shapes[i]![1]!).fill(1);
      if (i === 0) data.fill(0, 0, 6);
      return { name, shape: shapes[i]!, dtype: "f32", data };
    });
    const model = join(folder, "masked.safetensors");
    await writeFile(model, encodeSafetensors({ tensors, metadata: { "secateur.architecture": smallArch } }));
    checkDocument("cut", await documentOf(["cut", model, "--out", join(folder, "small.safetensors")]));
  });

  test("plugins", async () => {
    const { folder } = await smallTask();
    checkDocument("plugins", await documentOf(["plugins"], folder));
  });
});

describe("the page", () => {
  test("has a table for every command that prints a document", () => {
    expect([...contract.keys()].sort()).toEqual([
      "bench",
      "compare",
      "convert",
      "cut",
      "eval",
      "inspect",
      "pack",
      "plugins",
      "prune",
      "sensitivity",
      "solve",
      "status",
      "sweep",
      "train",
      "unpack",
      "worker",
    ]);
    for (const keys of contract.values()) expect(keys.size).toBeGreaterThan(0);
  });

  test("promises the keys that scripts were told of first", () => {
    expect([...contract.get("eval")!.keys()]).toEqual(expect.arrayContaining(["accuracy", "loss", "examples"]));
    const solve = ["objective", "nonzeros", "size", "status", "iterations", "solveMs", "solver", "seed"];
    expect([...contract.get("solve")!.keys()]).toEqual(expect.arrayContaining(solve));
    const prune = [
      "dense",
      "pruned",
      "sparsity",
      "nonzeros",
      "prunable",
      "objective",
      "layers[]",
      "stages[]",
      "timing",
    ];
    const rest = ["peakMemoryBytes", "solver", "seed", "recipe", "versions"];
    expect([...contract.get("prune")!.keys()]).toEqual(expect.arrayContaining([...prune, ...rest]));
    const stage = ["sparsity", "objective", "gradientMs", "solveMs", "retrainMs"];
    expect(contract.get("prune")!.get("stages[]")).toEqual(expect.arrayContaining(stage));
  });
});
