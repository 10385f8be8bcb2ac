/** Recipes written by hand, and those of `secateur init`. */
import { readdirSync } from "node:fs";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { recipeKinds } from "@secateur/run";
import { type PruneDocument, readRecipe } from "@secateur/run/node";
import { describe, expect, test } from "vitest";
import { call, refused, smallTask } from "./testing.test-support.ts";

describe("secateur init", () => {
  for (const kind of recipeKinds) {
    test(`writes a recipe of kind ${kind} that runs as it is`, async () => {
      const { folder } = await smallTask();
      const made = await call(["init", "--kind", kind, "--model", "net.safetensors", "--data", "npy:X.npy,Y.npy"], {
        cwd: folder,
      });
      expect(made.stdout).toMatch(/secateur prune --recipe secateur.recipe.jsonc/);
      const text = await readFile(join(folder, "secateur.recipe.jsonc"), "utf8");
      expect(text).toMatch(/\/\/ The trained network/);
      const argv = ["prune", "--recipe", "secateur.recipe.jsonc", "--sparsity", "0.8", "--json", "--quiet"];
      const { code, stdout, stderr } = await call(argv, { cwd: folder });
      expect(stderr).toBe("");
      expect(code).toBe(0);
      expect((JSON.parse(stdout) as PruneDocument).nonzeros).toBe(9);
    });
  }

  test("every key that its comments show is known", async () => {
    const { folder } = await smallTask();
    await call(["init", "--model", "net.safetensors", "--data", "npy:X.npy,Y.npy"], { cwd: folder });
    const path = join(folder, "secateur.recipe.jsonc");
    const text = await readFile(path, "utf8");
    // Settings that stand in comments are put in force, but those that exclude others or name files.
    const open = text
      .split("\n")
      .filter((line) => !/"(sparsities|rewind|arch|exclude|limits)"/.test(line))
      .map((line) => line.replace(/^(\s*)\/\/ ("\w+": )/, "$1$2"))
      .join("\n");
    expect(open).not.toBe(text);
    await writeFile(path, open);
    const { code, stderr } = await call(["prune", "--recipe", path, "--quiet"], { cwd: folder });
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });

  test("keeps an existing file, and refuses another ending", async () => {
    const { folder } = await smallTask();
    const { stdout } = await call(["init"], { cwd: folder });
    expect(stdout).toMatch(/set "model" and "data" in it to yours, then run it: secateur prune/);
    expect(await refused(["init"], folder)).toMatch(/--force/);
    expect(await refused(["init", "recipe.yaml"], folder)).toMatch(/\.jsonc or \.json/);
  });
});

const examples = fileURLToPath(new URL("../../../docs/recipes/", import.meta.url));

describe("the recipes of the documentation", () => {
  for (const name of readdirSync(examples)) {
    test(`${name} is read as it stands`, async () => {
      const recipe = await readRecipe(join(examples, name), tmpdir());
      expect(recipe.retrain).toBeDefined();
      expect(recipe.model).toBe(
        join(examples, name.startsWith("resnet20") ? "resnet20.safetensors" : "mlpnet.safetensors"),
      );
    });
  }

  test("the one with weight rewinding runs its eleven rounds", async () => {
    const { folder, data } = await smallTask();
    const out = join(folder, "mlpnet.safetensors");
    const train = [
      "train",
      "--arch",
      "mlp:6-5-3:nobias",
      "--data",
      data,
      "--epochs",
      "5",
      "--keep-epochs",
      "1",
      "--out",
      out,
    ];
    expect((await call([...train, "--quiet"])).code).toBe(0);
    const recipe = join(folder, "ticket.recipe.jsonc");
    await copyFile(join(examples, "lottery-ticket.recipe.jsonc"), recipe);
    const { code, stdout, stderr } = await call(["prune", "--recipe", recipe, "--data", data, "--json", "--quiet"]);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const { rounds } = JSON.parse(stdout) as PruneDocument;
    expect(rounds!.map(({ training }) => training.length)).toEqual(Array.from({ length: 11 }, () => 4));
  });
});

describe("a recipe written by hand", () => {
  const base = { recipe: 1, model: "net.safetensors", data: "npy:X.npy,Y.npy", solver: "magnitude", sparsity: 0.8 };
  const retrain = { schedule: "llr", epochs: 4, dense: { schedule: "one-cycle", learningRate: 0.1, epochs: 8 } };

  async function run(recipe: object, ...more: readonly string[]) {
    const { folder } = await smallTask();
    await writeFile(join(folder, "imp.json"), JSON.stringify(recipe));
    const argv = ["prune", "--recipe", "imp.json", "--quiet", ...more];
    return { folder, ...(await call(argv, { cwd: folder })) };
  }

  test("needs no more than the model and the data; flags win over it", async () => {
    const { stdout, code } = await run({ ...base, retrain }, "--json", "--retrain-epochs", "2");
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as PruneDocument;
    expect(document.rounds![0]!.training).toHaveLength(2);
    expect(document.nonzeros).toBe(9);
  });

  test("trains the ten epochs of the flag's default where it names none", async () => {
    const { epochs: _e, ...rest } = retrain;
    const { stdout, stderr } = await run({ ...base, retrain: rest }, "--json");
    expect(stderr).toBe("");
    const rounds = (JSON.parse(stdout) as PruneDocument).rounds!;
    expect(rounds.reduce((total, { epochs }) => total + epochs, 0)).toBe(10);
  });

  test("may list the sparsity of every round, and then needs none beside", async () => {
    const { sparsity: _s, ...rest } = base;
    const { stdout } = await run({ ...rest, retrain: { ...retrain, sparsities: [0.4, 0.6, 0.8] } }, "--json");
    expect((JSON.parse(stdout) as PruneDocument).rounds!.map(({ kept }) => kept)).toEqual([27, 18, 9]);
  });

  const cases: readonly (readonly [what: string, recipe: object, message: RegExp])[] = [
    [
      "an unknown key",
      { ...base, retrain: { ...retrain, epoch: 3 } },
      /imp.json: 'retrain.epoch'.*did you mean 'epochs'/,
    ],
    [
      "an unknown key in dense",
      { ...base, retrain: { ...retrain, dense: { ...retrain.dense, lr: 1 } } },
      /'retrain.dense.lr'.*schedule, learningRate, epochs/,
    ],
    ["an unknown key at the top", { ...base, retrian: retrain }, /unknown key 'retrian'.*did you mean 'retrain'/],
    [
      "a decreasing sparsity",
      { ...base, retrain: { ...retrain, sparsities: [0.5, 0.4, 0.8] } },
      /'retrain.sparsities': found 0.4 after 0.5.*never decrease/,
    ],
    [
      "two ways of growing the sparsity",
      { ...base, retrain: { ...retrain, phases: undefined, sparsities: [0.5, 0.8], phaseSchedule: "poly" } },
      /'retrain.phaseSchedule'.*beside sparsities.*one of the two/,
    ],
    [
      "listed sparsities with rounds of 20 %",
      { ...base, retrain: { ...retrain, phases: "auto", sparsities: [0.5, 0.8] } },
      /'retrain.phases': found auto phases and 2 sparsities/,
    ],
    [
      "zero epochs",
      { ...base, retrain: { ...retrain, epochs: 0 } },
      /'retrain.epochs': found 0, allowed is a number of at least 1/,
    ],
    [
      "a learning rate of 0",
      { ...base, retrain: { ...retrain, learningRate: 0 } },
      /'retrain.learningRate': found 0, allowed is a number above 0/,
    ],
    [
      "half an epoch",
      { ...base, retrain: { ...retrain, epochs: 1.5 } },
      /'retrain.epochs': found 1.5, allowed is a whole number/,
    ],
    [
      "no schedule",
      { ...base, retrain: { epochs: 3 } },
      /'retrain.schedule': found nothing, allowed is one of ft, lrw/,
    ],
    [
      "an unknown allocation",
      { ...base, allocation: { method: "erkk" } },
      /there is no allocation 'erkk'; known: global.*did you mean 'erk'/,
    ],
    ["a limit above 1", { ...base, allocation: { limits: { fc1: 2 } } }, /'allocation.limits.fc1': found 2.*at most 1/],
    [
      "two sparsities",
      { ...base, retrain: { ...retrain, sparsities: [0.5] } },
      /0.8 and the last of retrain.sparsities is 0.5/,
    ],
    ["a negative seed", { ...base, seed: -1 }, /imp.json: .*the seed -1, expected a whole number of at least 0/],
    ["a broken seed", { ...base, seed: 1.5 }, /the seed 1.5, expected a whole number of at least 0/],
    ["a retraining that is no object", { ...base, retrain: "llr" }, /string as 'retrain', expected object/],
  ];
  for (const [what, recipe, message] of cases) {
    test(`with ${what} is refused before anything runs`, async () => {
      const { folder, code, stdout, stderr } = await run(recipe);
      expect(stderr).toMatch(message);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
      expect(stdout).toBe("");
      expect(code).toBe(2);
      expect((await readdir(folder)).sort()).toEqual(["X.npy", "Y.npy", "imp.json", "net.safetensors"]);
    });
  }
});
