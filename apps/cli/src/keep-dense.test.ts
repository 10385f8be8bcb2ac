/** --keep-dense of prune and compare: layers that stay as they are. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readCheckpoint } from "@secateur/formats";
import type { CompareDocument } from "@secateur/run";
import type { PruneDocument } from "@secateur/run/node";
import { describe, expect, test } from "vitest";
import { call, halving, refused, smallTask } from "./testing.test-support.ts";

/** The small network has fc1.weight of 30 weights and fc2.weight of 15. */
async function pruned(argv: readonly string[]): Promise<PruneDocument> {
  const { code, stdout, stderr } = await call([...argv, "--json", "--quiet"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as PruneDocument;
}

async function tensor(path: string, name: string): Promise<Float32Array> {
  const { tensors } = await readCheckpoint(path);
  return tensors.find((candidate) => candidate.name === name)!.data as Float32Array;
}

const zeros = (values: Float32Array): number => values.filter((value) => value === 0).length;

describe("prune --keep-dense", () => {
  test.each([
    ["first", "fc1", "fc2"],
    ["fc1", "fc1", "fc2"],
    ["fc1.weight", "fc1", "fc2"],
    ["last", "fc2", "fc1"],
    ["fc2,last", "fc2", "fc1"],
  ])("%s leaves %s as it is to the byte, and counts the weights of %s only", async (words, kept, other) => {
    const task = await smallTask();
    const document = await pruned(halving(task, "--keep-dense", words));
    const size = other === "fc1" ? 30 : 15;
    expect(document).toMatchObject({
      keptDense: [`${kept}.weight`],
      prunable: size,
      nonzeros: Math.floor(size / 2),
      layers: [{ name: `${other}.weight`, size, nonzeros: Math.floor(size / 2) }],
      recipe: { keepDense: words.split(",") },
    });
    expect(document.layers).toHaveLength(1);
    expect(await tensor(document.out, `${kept}.weight`)).toEqual(await tensor(task.model, `${kept}.weight`));
    expect(zeros(await tensor(document.out, `${other}.weight`))).toBe(size - Math.floor(size / 2));
  });

  test("holds for a method with gradients and stages", async () => {
    const task = await smallTask();
    const flags = ["--solver", "chita", "--examples", "30", "--stages", "2", "--sparsity", "0.8"];
    const document = await pruned(["prune", task.model, "--data", task.data, ...flags, "--keep-dense", "last"]);
    expect(document).toMatchObject({ keptDense: ["fc2.weight"], prunable: 30, nonzeros: 6 });
    expect(await tensor(document.out, "fc2.weight")).toEqual(await tensor(task.model, "fc2.weight"));
    expect(zeros(await tensor(document.out, "fc1.weight"))).toBe(24);
  });

  test("is said in the text and in the report", async () => {
    const task = await smallTask();
    const report = join(task.folder, "report.html");
    const { stdout } = await call(halving(task, "--keep-dense", "last", "--report", report));
    expect(stdout).toContain("kept dense: fc2.weight\n");
    const page = await readFile(report, "utf8");
    expect(page).toMatch(/kept dense<\/t[hd]>\s*<td[^>]*>fc2\.weight</);
    const plain = join(task.folder, "plain.html");
    const without = await call(halving(task, "--report", plain, "--force"));
    expect(without.stdout).not.toContain("kept dense");
    expect(await readFile(plain, "utf8")).not.toContain("kept dense");
  });

  test("is repeated by the recipe, also by one written by hand; the flag wins over it", async () => {
    const task = await smallTask();
    const first = await pruned(halving(task, "--keep-dense", "last"));
    const recipe = first.out.replace(/safetensors$/, "recipe.json");
    const again = await pruned(["prune", "--recipe", recipe, "--out", join(task.folder, "again.safetensors")]);
    expect(await readFile(again.out)).toEqual(await readFile(first.out));
    expect(again.keptDense).toEqual(["fc2.weight"]);
    const written = join(task.folder, "own.recipe.json");
    const settings = {
      recipe: 1,
      model: "net.safetensors",
      data: "npy:X.npy,Y.npy",
      solver: "magnitude",
      sparsity: 0.5,
    };
    await writeFile(written, JSON.stringify({ ...settings, keepDense: ["first"] }));
    const own = await pruned(["prune", "--recipe", written, "--force"]);
    expect(own).toMatchObject({ keptDense: ["fc1.weight"], prunable: 15 });
    const other = await pruned(["prune", "--recipe", written, "--force", "--keep-dense", "last"]);
    expect(other).toMatchObject({ keptDense: ["fc2.weight"], prunable: 30 });
  });

  test("with --retrain they are trained, and stay dense", async () => {
    const task = await smallTask();
    const retrain = ["--retrain", "llr", "--retrain-epochs", "4", "--phases", "2"];
    const flags = ["--keep-dense", "last", ...retrain, "--dense-training", "one-cycle:0.1:20"];
    const document = await pruned(halving(task, ...flags));
    expect(document).toMatchObject({ keptDense: ["fc2.weight"], prunable: 30, nonzeros: 15 });
    const after = await tensor(document.out, "fc2.weight");
    expect(zeros(after)).toBe(0);
    expect(after).not.toEqual(await tensor(task.model, "fc2.weight"));
    expect(zeros(await tensor(document.out, "fc1.weight"))).toBe(15);
  });

  test.each([
    ["fc3", /no weight to keep dense 'fc3'.*known: first, last, auto, fc1\.weight, fc2\.weight/],
    ["first,last", /--keep-dense names every layer with weights; leave one to prune/],
    ["first,,last", /--keep-dense.*found 'first,,last'/],
  ])("'%s' is refused in one line, and nothing is written", async (words, message) => {
    const task = await smallTask();
    expect(await refused(halving(task, "--keep-dense", words, "--quiet"))).toMatch(message);
    expect(existsSync(join(task.folder, "net.magnitude-0.5.safetensors"))).toBe(false);
  });
});

describe("compare --keep-dense", () => {
  test("spares the layer in every run, and says so in JSON, text and report", async () => {
    const { folder, model, data } = await smallTask();
    const before = await readFile(model);
    const report = join(folder, "compare.html");
    const runs = ["--solvers", "magnitude,chita", "--sparsities", "0.5,0.8", "--examples", "30"];
    const argv = ["compare", model, "--data", data, ...runs, "--keep-dense", "last", "--quiet"];
    const { code, stdout } = await call([...argv, "--json", "--report", report]);
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as CompareDocument;
    expect(document).toMatchObject({ prunable: 30, keptDense: ["fc2.weight"] });
    expect(document.runs.map(({ nonzeros }) => nonzeros)).toEqual([15, 6, 15, 6]);
    // The same numbers as prune's, which leaves the layer alone to the byte.
    const alone = await pruned(["prune", model, "--data", data, "--solver", "magnitude", "--keep-dense", "last"]);
    const flags = ["--solver", "magnitude", "--sparsity", "0.8", "--keep-dense", "last", "--force"];
    const same = await pruned(["prune", model, "--data", data, ...flags]);
    expect(alone.prunable).toBe(30);
    expect(document.runs[1]!.accuracy).toBe(same.pruned!.accuracy);
    expect(await readFile(report, "utf8")).toMatch(/kept dense<\/t[hd]>\s*<td[^>]*>fc2\.weight</);
    expect(await readFile(model)).toEqual(before);
    const text = await call(argv.filter((word) => word !== "--quiet"));
    expect(text.stdout).toContain("30 prunable weights\nkept dense: fc2.weight\n");
  });

  test("refuses a name that is no layer", async () => {
    const { model, data } = await smallTask();
    const argv = ["compare", model, "--data", data, "--solvers", "magnitude", "--sparsities", "0.5", "--quiet"];
    expect(await refused([...argv, "--keep-dense", "conv1"])).toMatch(/no weight to keep dense 'conv1'/);
  });
});
