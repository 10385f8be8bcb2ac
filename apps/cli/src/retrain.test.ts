import { existsSync } from "node:fs";
import { copyFile, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readCheckpoint } from "@secateur/formats";
import { type PruneDocument, retrainNames } from "@secateur/run/node";
import { describe, expect, test } from "vitest";
import { call, refused, type SmallTask, smallTask } from "./testing.test-support.ts";

/** The small network was never trained, so its training is given. */
const dense = ["--dense-training", "one-cycle:0.1:20"];
const llr = ["--solver", "magnitude", "--sparsity", "0.8", "--retrain", "llr", "--retrain-epochs", "6", ...dense];

function args({ model, data }: SmallTask, ...more: readonly string[]): readonly string[] {
  return ["prune", model, "--data", data, "--quiet", ...more];
}

async function toJson(argv: readonly string[]): Promise<PruneDocument> {
  const { code, stdout, stderr } = await call([...argv, "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as PruneDocument;
}

async function zeros(path: string): Promise<number> {
  const { tensors } = await readCheckpoint(path);
  return tensors.flatMap(({ data }) => [...(data as Float32Array)]).filter((value) => value === 0).length;
}

describe("prune --retrain", () => {
  test("prunes in rounds to the exact sparsity, trains between, and writes zeros where it pruned", async () => {
    const task = await smallTask();
    const document = await toJson(args(task, ...llr, "--phases", "3"));
    expect(document.nonzeros).toBe(9); // floor(0.2 * 45)
    expect(await zeros(document.out)).toBe(36);
    expect(document.out).toBe(join(task.folder, "net.magnitude-llr-0.8.safetensors"));
    expect(document.rounds!.map(({ kept }) => kept)).toEqual([26, 15, 9]); // floor(45 * 0.2^(t / 3))
    expect(document.rounds!.map(({ training }) => training.length)).toEqual([2, 2, 2]);
    expect(document.rounds![2]!.retrained).toEqual(document.pruned);
    expect(document.rounds![0]!.before).toEqual(document.dense);
    expect(document.stages).toHaveLength(3);
    expect(document.stages.every(({ retrainMs }) => retrainMs > 0)).toBe(true);
    expect(document.timing.retrainMs).toBeGreaterThan(0);
    expect(document.pruned!.loss).toBeLessThan(document.rounds![2]!.pruned!.loss);
  });

  test("runs by every schedule and program, always to the exact sparsity", async () => {
    for (const name of retrainNames) {
      const task = await smallTask();
      const more = name === "gradual" ? ["--phases", "3", "--interval", "1"] : [];
      const argv = args(task, "--solver", "magnitude", "--sparsity", "0.8", "--retrain", name, ...dense, ...more);
      const document = await toJson([...argv, "--retrain-epochs", "8"]);
      expect(await zeros(document.out)).toBe(36);
      const epochs = document.rounds!.reduce((sum, { training }) => sum + training.length, 0);
      expect(epochs).toBe(8);
    }
  });

  test("goes on with the mean of several trainings, or of the last epochs, on the same zeros", async () => {
    const ends = [[], ["--soup", "2"], ["--average-last", "2"], ["--soup", "2", "--average-last", "2"]];
    const files: Buffer[] = [];
    for (const more of ends) {
      const document = await toJson(args(await smallTask(), ...llr, "--phases", "2", "--batch-size", "20", ...more));
      expect(await zeros(document.out)).toBe(36);
      files.push(await readFile(document.out));
      const recipe = document.out.replace(/safetensors$/, "recipe.json");
      const again = await toJson(["prune", "--recipe", recipe, "--out", document.out.replace("net", "again")]);
      expect((await readFile(again.out)).equals(files.at(-1)!)).toBe(true);
    }
    expect(new Set(files.map((file) => file.toString("hex"))).size).toBe(4);
  });

  test("works around a solver with gradients and its own stages", async () => {
    const task = await smallTask();
    const more = ["--sparsity", "0.8", "--retrain", "allr", "--retrain-epochs", "2", "--phases", "2", ...dense];
    const document = await toJson(args(task, "--solver", "chita", "--stages", "2", "--examples", "20", ...more));
    expect(document.rounds!.map(({ stages }) => stages)).toEqual([2, 2]);
    expect(await zeros(document.out)).toBe(36);
  });

  test("writes a recipe that repeats it to the same bytes", async () => {
    const task = await smallTask();
    const first = await toJson(args(task, ...llr, "--phases", "2", "--allocation", "erk"));
    const recipe = first.out.replace(/safetensors$/, "recipe.json");
    const again = await toJson(["prune", "--recipe", recipe, "--out", join(task.folder, "again.safetensors")]);
    expect(await readFile(again.out)).toEqual(await readFile(first.out));
    // Settled already where it was asked for, the rest is the same.
    expect({ ...again.recipe, requestSha256: first.recipe.requestSha256 }).toEqual(first.recipe);
    expect(first.recipe.retrain).toMatchObject({
      schedule: "llr",
      epochs: 6,
      phases: 2,
      batchSize: 64,
      optimizer: "sgd",
    });
    expect(first.recipe.allocation).toEqual({ method: "erk" });
  });

  test("takes rates and optimizer from what train wrote into the network", async () => {
    const task = await smallTask();
    const trained = join(task.folder, "trained.safetensors");
    const settings = ["--epochs", "4", "--batch-size", "16", "--learning-rate", "0.05", "--nesterov"];
    await call(["train", task.model, "--data", task.data, ...settings, "--out", trained, "--quiet"]);
    const argv = ["prune", trained, "--data", task.data, "--solver", "magnitude", "--retrain", "slr"];
    const { recipe, rounds } = await toJson([...argv, "--retrain-epochs", "2"]);
    expect(recipe.retrain).toMatchObject({
      dense: { schedule: "one-cycle", learningRate: 0.05, epochs: 4 },
      ...{ batchSize: 16, nesterov: true, momentum: 0.9 },
    });
    expect(rounds![0]!.peakRate).toBeCloseTo(0.05, 12);
  });

  test("keeps the shape of sgd's rates for adam, at adam's own height", async () => {
    const task = await smallTask();
    const argv = [...llr, "--optimizer", "adam"].filter((word) => !dense.includes(word));
    // A network that says that it was trained by sgd, from 0.1.
    const model = join(task.folder, "by-sgd.safetensors");
    expect((await call(["train", task.model, "--data", task.data, "--epochs", "1", "--out", model])).code).toBe(0);
    const { code, stdout } = await call(args({ ...task, model }, ...argv, "--json"));
    expect(code).toBe(0);
    const { recipe, rounds } = JSON.parse(stdout) as PruneDocument;
    expect(recipe.retrain).toMatchObject({ learningRate: 1e-3, dense: { learningRate: 0.1 } });
    expect(rounds![0]!.peakRate).toBeCloseTo(1e-3, 12);
    // Rates that the user gives are taken as they are.
    const given = await toJson(args(task, ...llr, "--optimizer", "adam", "--force"));
    expect(given.rounds![0]!.peakRate).toBeCloseTo(0.1, 12);
  });

  test("starts gradual pruning from the sparsity of what it prunes, without layers kept dense", async () => {
    const task = await smallTask();
    const half = join(task.folder, "half.safetensors");
    const first = ["--solver", "magnitude", "--sparsity", "0.5", "--keep-dense", "fc2", "--out", half];
    await toJson(args(task, ...first));
    const more = ["--solver", "magnitude", "--sparsity", "0.8", "--keep-dense", "fc2", "--retrain", "gmp", ...dense];
    const { rounds } = await toJson(args({ ...task, model: half }, ...more, "--retrain-epochs", "4"));
    // 15 of fc1's 30 weights are left, and gmp begins there.
    expect(rounds![0]!.sparsity).toBe(0.5);
  });

  test("says what it takes for granted of a network that tells nothing", async () => {
    const task = await smallTask();
    const argv = ["prune", task.model, "--data", task.data, "--solver", "magnitude", "--retrain", "llr"];
    const { code, stderr } = await call([...argv, "--retrain-epochs", "1", "--sparsity", "0.5"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /does not say how it was trained; short trainings ended at these held-out losses, by their highest rate: .*one-cycle from .* over 10 epochs.*--dense-training/,
    );
  });

  test("rewinds kept weights to an earlier checkpoint, and refuses one of another network", async () => {
    const task = await smallTask();
    const earlier = join(task.folder, "earlier.safetensors");
    const dense = join(task.folder, "dense.safetensors");
    const kept = ["--epochs", "3", "--keep-epochs", "0,1", "--out", dense, "--quiet"];
    expect((await call(["train", task.model, "--data", task.data, ...kept])).code).toBe(0);
    // Epoch 0 is the start: the model itself.
    const [start, first] = await Promise.all(
      [0, 1].map((n) => readCheckpoint(join(task.folder, `dense.epoch-${n}.safetensors`))),
    );
    expect(start!.tensors).toEqual((await readCheckpoint(task.model)).tensors);
    expect(first!.tensors).not.toEqual(start!.tensors);
    await rename(join(task.folder, "dense.epoch-1.safetensors"), earlier);
    expect(
      await refused([
        "train",
        task.model,
        "--data",
        task.data,
        "--epochs",
        "1",
        "--keep-epochs",
        "2",
        "--out",
        dense,
        "--force",
      ]),
    ).toMatch(/no epoch 2 of 1/);
    const document = await toJson(args(task, ...llr, "--rewind", earlier));
    expect(document.nonzeros).toBe(9);
    expect(document.recipe.retrain!.rewind).toBe("earlier.safetensors");
    const other = join(task.folder, "other.safetensors");
    await call([
      "train",
      "--arch",
      "mlp:6-4-3:nobias",
      "--data",
      task.data,
      "--epochs",
      "1",
      "--out",
      other,
      "--quiet",
    ]);
    expect(await refused(args(task, ...llr, "--rewind", other, "--force"))).toMatch(
      /no checkpoint of this network.*ERR_REWIND/,
    );
  });

  test("stops early on held-out training examples", async () => {
    const task = await smallTask();
    const more = ["--patience", "1", "--hold-out", "0.3", "--batch-size", "4"];
    const { rounds } = await toJson(args(task, ...llr, ...more, "--retrain-epochs", "200"));
    const [round] = rounds!;
    expect(round!.training.length).toBeLessThan(200);
    const losses = round!.heldOut!;
    expect(losses[round!.bestEpoch!]).toBe(Math.min(...losses));
  });

  test("puts rounds into the report and the event log", async () => {
    const task = await smallTask();
    const [report, events] = [join(task.folder, "r.html"), join(task.folder, "e.jsonl")];
    await toJson(args(task, ...llr, "--phases", "2", "--report", report, "--events", events));
    const html = await readFile(report, "utf8");
    for (const title of ["Accuracy by round", "Loss and accuracy over the epochs", "Learning rate", "Rounds"]) {
      expect(html).toContain(title);
    }
    const lines = (await readFile(events, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    expect(lines.filter(({ type }) => type === "round:end")).toHaveLength(2);
    expect(lines.filter(({ type }) => type === "epoch:end")).toHaveLength(6);
    const { stdout } = await call([...args(task, ...llr, "--force").filter((word) => word !== "--quiet")]);
    expect(stdout).toMatch(/round +sparsity +before +pruned +retrained/);
  });
});

describe("an interrupted run with retraining", () => {
  test("goes on from wherever it was stopped to the same bytes", async () => {
    const task = await smallTask();
    const settings = [...llr, "--phases", "3", "--patience", "2"];
    const whole = await toJson(args(task, ...settings, "--out", join(task.folder, "whole.safetensors")));
    const bytes = await readFile(whole.out);
    const out = join(task.folder, "cut.safetensors");
    const state = join(task.folder, "cut.resume.safetensors");
    const argv = args(task, ...settings, "--out", out);
    let interruptions = 0;
    for (const wait of [0, 5, 15, 30]) {
      const controller = new AbortController();
      let seen = 0;
      const watch = setInterval(() => {
        if (existsSync(state) && seen++ >= wait) controller.abort();
      }, 1);
      const first = await call(argv, { signal: controller.signal });
      clearInterval(watch);
      // A fast machine may be done before it is stopped.
      if (first.code === 130) {
        interruptions++;
        expect(existsSync(out)).toBe(false);
        expect((await call(argv)).stderr).toMatch(/interrupted run left its state.*ERR_RESUME/);
        const resumed = await call([...argv, "--resume"]);
        expect(resumed.code).toBe(0);
      }
      expect(await readFile(out)).toEqual(bytes);
      expect((await readdir(task.folder)).some((name) => name.includes("resume"))).toBe(false);
      for (const name of ["cut.safetensors", "cut.recipe.json"]) await rm(join(task.folder, name), { force: true });
    }
    expect(interruptions).toBeGreaterThan(0);
  });

  test("is not continued by a run with other settings, and the message says which", async () => {
    const task = await smallTask();
    const out = join(task.folder, "cut.safetensors");
    const state = join(task.folder, "cut.resume.safetensors");
    const controller = new AbortController();
    const watch = setInterval(() => {
      if (existsSync(state)) controller.abort();
    }, 1);
    const long = ["--retrain-epochs", "100000"];
    const { code } = await call(args(task, ...llr, ...long, "--out", out), { signal: controller.signal });
    clearInterval(watch);
    expect(code).toBe(130);
    const other = await call(args(task, ...llr, ...long, "--out", out, "--resume", "--momentum", "0.5"));
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/momentum was 0.9 and is 0.5.*ERR_RESUME/);
    await writeFile(state, "damaged");
    expect((await call(args(task, ...llr, ...long, "--out", out, "--resume"))).stderr).toMatch(/ERR_RESUME/);
  });
});

describe("a run that rewinds", () => {
  test("is not continued with another checkpoint in the place of the first", async () => {
    const task = await smallTask();
    const [out, state] = ["cut.safetensors", "cut.resume.safetensors"].map((name) => join(task.folder, name));
    const point = join(task.folder, "point.safetensors");
    await copyFile(task.model, point);
    const argv = args(task, ...llr, "--retrain-epochs", "100000", "--rewind", point, "--out", out!);
    const controller = new AbortController();
    const watch = setInterval(() => {
      if (existsSync(state!)) controller.abort();
    }, 1);
    const { code } = await call(argv, { signal: controller.signal });
    clearInterval(watch);
    expect(code).toBe(130);
    await call(["train", task.model, "--data", task.data, "--epochs", "1", "--out", point, "--force", "--quiet"]);
    const resumed = await call([...argv, "--resume"]);
    expect(resumed.stderr).toMatch(/rewindSha256.*ERR_RESUME/);
  });
});

describe("allocation", () => {
  test("excludes and limits layers by pattern, with exact totals", async () => {
    const task = await smallTask();
    const { layers, nonzeros, recipe } = await toJson(
      args(task, "--solver", "magnitude", "--sparsity", "0.6", "--exclude", "fc2", "--allocation", "uniform"),
    );
    expect(nonzeros).toBe(18);
    expect(layers.map((layer) => layer.nonzeros)).toEqual([3, 15]);
    expect(recipe.allocation).toEqual({ method: "uniform", exclude: ["fc2"] });
    const limited = await toJson(
      args(task, "--solver", "chita", "--examples", "20", "--sparsity", "0.8", "--layer-limit", "fc2*=0.6", "--force"),
    );
    expect(limited.nonzeros).toBe(9);
    expect(limited.layers[1]!.nonzeros).toBeGreaterThanOrEqual(6);
  });

  test("refuses what cannot be met", async () => {
    const task = await smallTask();
    expect(await refused(args(task, "--solver", "magnitude", "--sparsity", "0.9", "--exclude", "fc2"))).toMatch(
      /4 of 45 weights.*fc2.weight.*at most 0.666666.*ERR_IMPOSSIBLE/,
    );
    expect(await refused(args(task, "--solver", "magnitude", "--exclude", "nope"))).toMatch(/no layer matches 'nope'/);
  });
});

describe("bad settings of retraining are refused before anything runs:", () => {
  const cases: readonly (readonly [what: string, flags: readonly string[], message: RegExp])[] = [
    [
      "zero epochs",
      ["--retrain", "llr", "--retrain-epochs", "0"],
      /--retrain-epochs: found '0'.*allowed is a whole number/,
    ],
    ["a rate of 0", ["--retrain", "llr", "--learning-rate", "0"], /--learning-rate: found '0'.*above 0/],
    ["an unknown schedule", ["--retrain", "llrr"], /there is no schedule 'lr'|there is no schedule/],
    ["phases without retraining", ["--phases", "3"], /--phases would change nothing.*--retrain/],
    ["a dense training without epochs", ["--retrain", "llr", "--dense-training", "cosine:0.1"], /SCHEDULE:RATE:EPOCHS/],
    ["an interval of imp", ["--retrain", "llr", "--interval", "2"], /retrain.interval.*gmp, gradual, bimp/],
    [
      "more phases than epochs",
      ["--retrain", "llr", "--retrain-epochs", "2", "--phases", "3"],
      /2 epochs over 3 phases/,
    ],
    [
      "lrw further back than the start",
      ["--retrain", "lrw", "--retrain-epochs", "30"],
      /lrw repeats the last 30 epochs.*had 20/,
    ],
    [
      "phases of gradual without a number",
      ["--retrain", "gradual", "--phases", "auto"],
      /retrain.phases.*'auto'.*whole/,
    ],
    ["a soup of gmp", ["--retrain", "gmp", "--soup", "2"], /retrain.soup.*the schedule gmp/],
    [
      "a mean with early stopping",
      ["--retrain", "llr", "--average-last", "2", "--patience", "1"],
      /retrain.averageLast.*patience/,
    ],
    ["a soup of one", ["--retrain", "llr", "--soup", "1"], /soup.*2/],
    ["early stopping of gmp", ["--retrain", "gmp", "--patience", "2"], /retrain.patience.*gmp does not read it/],
    ["a limit without a number", ["--layer-limit", "fc1"], /PATTERN=SPARSITY/],
  ];
  for (const [what, flags, message] of cases) {
    test(what, async () => {
      const task = await smallTask();
      const before = await readdir(task.folder);
      const given = flags.includes("--retrain") && !flags.includes("--dense-training") ? dense : [];
      expect(await refused(args(task, "--solver", "magnitude", ...flags, ...given))).toMatch(message);
      expect(await readdir(task.folder)).toEqual(before);
    });
  }
});

describe("explain", () => {
  test("shows every schedule's phases with their rates", async () => {
    for (const name of retrainNames) {
      const { code, stdout } = await call(["explain", name, "--sparsity", "0.98", "--train-examples", "640"]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/phase +sparsity +epochs +first rate +highest +last/);
      expect(stdout).toMatch(/98 % /);
    }
    const three = await call(["explain", "llr", "--phases", "3", "--retrain-epochs", "7", "--train-examples", "640"]);
    expect(three.stdout).toMatch(/^ +1 +53.584 % +2 +0 +0.1 /m); // 1 - 0.1^(1/3)
    expect(three.stdout).toMatch(/^ +3 +90 % +3 /m);
    expect(await refused(["explain", "chita", "--phases", "3"])).toMatch(/--phases would change nothing/);
  });
});
