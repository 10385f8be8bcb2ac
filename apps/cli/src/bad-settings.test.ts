/** Every bad setting ends with exit code 2, one line on stderr that names place and remedy, and nothing on stdout. */
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { encodeNpy } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { halving, refused, smallArch, smallProblem, smallTask } from "./testing.test-support.ts";

describe("settings that make no sense", () => {
  for (const sparsity of ["1", "-0.1", "1.5"]) {
    test(`sparsity ${sparsity}`, async () => {
      const task = await smallTask();
      expect(await refused([...halving(task), "--sparsity", sparsity])).toMatch(/outside \[0, 1\).*ERR_SPARSITY_RANGE/);
    });
  }

  const flags: readonly [readonly string[], RegExp][] = [
    [["--sparsity", "much"], /--sparsity: found 'much'/],
    [["--sparsity", ""], /--sparsity: found ''/],
    [["--seed", "1.5"], /--seed: found '1\.5', allowed is a whole number of at least 0/],
    [["--stages", "0"], /--stages: found '0', allowed is 'auto' or a whole number of at least 1/],
    [["--stages", "many"], /--stages: found 'many', allowed is 'auto' or a whole number/],
    [["--schedule", "linaer"], /no schedule 'linaer'.*did you mean 'linear'\?/],
    [["--from", "1"], /--from: found '1'/],
    [["--stages", "3", "--from", "0.8"], /would start at sparsity 0\.8 and end at 0\.5.*ERR_IMPOSSIBLE/],
    [["--kernels", "gpu"], /--kernels: found 'gpu', allowed is wasm or reference/],
    [["--kernels", "reference", "--threads", "2"], /--threads would change nothing/],
    [["--threads", "0"], /--threads: found '0'/],
    [["--examples", "100"], /--examples would change nothing: the solver magnitude takes no gradients/],
    [["--option", "examples=100"], /--examples would change nothing/],
    [["--option", "depth=3"], /magnitude has no option 'depth'; known: .*stages/],
    [["--option", "stages"], /--option: found 'stages', allowed is KEY=VALUE/],
    [["--option", "stages=x"], /--stages: found 'x'/],
    [["--arch", "mlpnte"], /no network 'mlpnte'.*did you mean 'mlpnet'\?.*ERR_UNKNOWN_NAME/],
    [["--arch", "mlp:6"], /mlp:SIZES.*ERR_ARCHITECTURE/],
    [["--arch", "mlp:6-7-3"], /fc1\.weight is \[5, 6\] instead of \[7, 6\].*ERR_WEIGHTS_MISMATCH/],
  ];
  for (const [more, message] of flags) {
    test(more.join(" "), async () => {
      const task = await smallTask();
      expect(await refused([...halving(task), ...more])).toMatch(message);
    });
  }

  test("an unknown solver is refused with the known ones and the nearest", async () => {
    const task = await smallTask();
    const stderr = await refused(["prune", task.model, "--data", task.data, "--solver", "magnitud"]);
    expect(stderr).toMatch(
      /no solver 'magnitud'; known: .*chita.*magnitude.*did you mean 'magnitude'\?.*ERR_UNKNOWN_NAME/,
    );
  });

  const gradientFlags: readonly [readonly string[], RegExp][] = [
    [
      ["--curvature", "empirical-fischer"],
      /no curvature 'empirical-fischer'; known: .*did you mean 'empirical-fisher'\?/,
    ],
    [["--ridge", "-1"], /--ridge: found '-1', allowed is 'auto' or a number of at least 0/],
    [["--ridge-factors", "1,,2"], /--ridge-factors: found ''/],
    [["--temperature", "0"], /--temperature: found '0', allowed is a number above 0/],
    [["--option", "firstOrder=perhaps"], /--first-order: found 'perhaps', allowed is true or false/],
    [["--option", "iteratons=3"], /chita has no option 'iteratons'; known: .*did you mean 'iterations'\?/],
    [
      ["--iterations", "0"],
      /chita: option 'iterations': found 0, allowed is a whole number of at least 1 \[ERR_OPTION/,
    ],
    [["--pool", "x"], /chita: option 'pool': found 'x', allowed is a whole number of at least 0 \[ERR_OPTION/],
    [
      ["--solver", "chita.block", "--block-size", "x"],
      /option 'blockSize': found 'x', allowed is a whole number of at least 1 or 'layer' \[/,
    ],
    [
      ["--solver", "chita.cd", "--residual", "x"],
      /option 'residual': found 'x', allowed is one of exact, published \[/,
    ],
  ];
  for (const [more, message] of gradientFlags) {
    test(more.join(" "), async () => {
      const task = await smallTask();
      expect(await refused(["prune", task.model, "--data", task.data, "--examples", "20", ...more])).toMatch(message);
    });
  }

  test("more gradient rows than there are examples", async () => {
    const task = await smallTask();
    const argv = ["prune", task.model, "--data", task.data, "--solver", "chita", "--examples", "61"];
    expect(await refused(argv)).toMatch(/61 training examples and there are 60.*ERR_IMPOSSIBLE/);
  });
});

describe("outputs that cannot be written", () => {
  test("a missing folder is noticed before anything is computed", async () => {
    const task = await smallTask();
    await writeFile(task.model, "x"); // were the model opened first, what is wrong with it would be the message
    const out = join(task.folder, "none", "out.safetensors");
    expect(await refused([...halving(task), "--out", out])).toMatch(/none does not exist.*ERR_OUTPUT_FOLDER/);
    expect(await refused([...halving(task), "--report", join(task.folder, "none", "r.html")])).toMatch(
      /ERR_OUTPUT_FOLDER/,
    );
  });

  // The superuser may write everywhere.
  test.skipIf(process.getuid?.() === 0 || process.platform === "win32")(
    "a folder that may not be written to",
    async () => {
      const task = await smallTask();
      const folder = join(task.folder, "closed");
      await mkdir(folder);
      await chmod(folder, 0o500);
      const argv = [...halving(task), "--out", join(folder, "out.safetensors")];
      expect(await refused(argv)).toMatch(/not writable.*ERR_OUTPUT_NOT_WRITABLE/);
    },
  );

  test("an existing file is kept, without --force", async () => {
    const task = await smallTask();
    for (const [flag, name] of [
      ["--out", "out.safetensors"],
      ["--report", "r.html"],
      ["--events", "e.jsonl"],
    ] as const) {
      const path = join(task.folder, name);
      await writeFile(path, "precious");
      expect(await refused([...halving(task), flag, path])).toMatch(/exists already.*--force.*ERR_OUTPUT_EXISTS/);
      expect(await readFile(path, "utf8")).toBe("precious");
    }
  });

  test("an ending that names no format", async () => {
    const task = await smallTask();
    expect(await refused([...halving(task), "--out", join(task.folder, "out.h5")])).toMatch(
      /\.safetensors.*ERR_OUTPUT_FORMAT/,
    );
  });

  test("two outputs at one place", async () => {
    const task = await smallTask();
    const path = join(task.folder, "same.safetensors");
    expect(await refused([...halving(task), "--out", path, "--events", path])).toMatch(/two outputs would go there/);
  });
});

describe("a problem that solve cannot take", () => {
  const base = ["--solver", "magnitude"];

  test("a number to keep above the size", async () => {
    const { gradients, weights } = await smallProblem();
    const argv = ["solve", "--gradients", gradients, "--weights", weights, ...base, "--keep", "9"];
    expect(await refused(argv)).toMatch(/cannot keep 9 of 8 weights.*ERR_KEEP_RANGE/);
  });

  test("neither or both of sparsity and number to keep", async () => {
    const { gradients, weights } = await smallProblem();
    const argv = ["solve", "--gradients", gradients, "--weights", weights, ...base];
    expect(await refused(argv)).toMatch(/--sparsity is missing.*--keep K/);
    expect(await refused([...argv, "--keep", "3", "--sparsity", "0.5"])).toMatch(/give one of them/);
  });

  test("a ridge below 0", async () => {
    const { gradients, weights } = await smallProblem();
    const argv = ["solve", "--gradients", gradients, "--weights", weights, ...base, "--keep", "3", "--ridge", "-1"];
    expect(await refused(argv)).toMatch(/--ridge: found '-1', allowed is a number of at least 0/);
  });

  test("a plan setting, which one problem has none of", async () => {
    const { gradients, weights } = await smallProblem();
    const argv = [
      "solve",
      "--gradients",
      gradients,
      "--weights",
      weights,
      ...base,
      "--keep",
      "3",
      "--option",
      "stages=3",
    ];
    expect(await refused(argv)).toMatch(/has no option 'stages'/);
  });

  const shapes: readonly [string, readonly number[]][] = [
    ["rows of another length", [5, 7]],
    ["no rows", [0, 8]],
    ["one row without its dimension", [8]],
    ["three dimensions", [1, 5, 8]],
  ];
  for (const [what, shape] of shapes) {
    test(`gradients with ${what}`, async () => {
      const { gradients, weights } = await smallProblem();
      const size = shape.reduce((product, extent) => product * extent, 1);
      await writeFile(gradients, encodeNpy({ shape, data: new Float32Array(size) }));
      const argv = ["solve", "--gradients", gradients, "--weights", weights, ...base, "--keep", "3"];
      expect(await refused(argv)).toMatch(/G\.npy: found shape \[.*\], expected \[n, 8\].*ERR_SHAPE/);
    });
  }

  for (const [name, advice] of [
    ["gradients", /leave such rows out/],
    ["weights", /earlier checkpoint/],
  ] as const) {
    test(`NaN in the ${name}`, async () => {
      const problem = await smallProblem();
      const shape = name === "gradients" ? [5, 8] : [8];
      const data = new Float32Array(name === "gradients" ? 40 : 8).fill(1);
      data[6] = Number.NaN;
      await writeFile(problem[name], encodeNpy({ shape, data }));
      const argv = ["solve", "--gradients", problem.gradients, "--weights", problem.weights, ...base, "--keep", "3"];
      const message = await refused(argv);
      expect(message).toMatch(/ERR_NOT_FINITE/);
      expect(message).toMatch(advice);
    });
  }

  test("files that are not given", async () => {
    const { weights } = await smallProblem();
    expect(await refused(["solve", "--weights", weights, ...base, "--keep", "3"])).toMatch(/--gradients is missing/);
  });
});

describe("a recipe that is none", () => {
  const contents: readonly [string, string, RegExp][] = [
    ["no JSON", "{", /r\.json: not a recipe: .*ERR_RECIPE/],
    ["a list", "[]", /expected an object.*ERR_RECIPE/],
    ["another object", "{}", /undefined as 'recipe', expected number.*ERR_RECIPE/],
  ];
  for (const [what, content, message] of contents) {
    test(what, async () => {
      const { folder } = await smallTask();
      await writeFile(join(folder, "r.json"), content);
      expect(await refused(["prune", "--recipe", "r.json"], folder)).toMatch(message);
    });
  }

  test("a missing file", async () => {
    const { folder } = await smallTask();
    expect(await refused(["prune", "--recipe", "none.json"], folder)).toMatch(/there is no such file/);
  });

  test("neither a recipe nor a model", async () => {
    expect(await refused(["prune", "--solver", "magnitude"])).toMatch(/MODEL is missing.*ERR_USAGE/);
  });
});

describe("training that cannot start", () => {
  test("without an output", async () => {
    const { model, data } = await smallTask();
    expect(await refused(["train", model, "--data", data])).toMatch(/--out is missing/);
  });

  test("without anything to train", async () => {
    const { folder, data } = await smallTask();
    expect(await refused(["train", "--data", data, "--out", join(folder, "t.safetensors")])).toMatch(
      /nothing to train/,
    );
  });

  const flags: readonly [readonly string[], RegExp][] = [
    [["--epochs", "-1"], /--epochs: found '-1'/],
    [["--batch-size", "0"], /--batch-size: found '0'/],
    [["--learning-rate", "0"], /--learning-rate: found '0'/],
    [["--momentum", "1"], /--momentum: found '1'/],
    [["--weight-decay", "-1"], /--weight-decay: found '-1'/],
  ];
  for (const [more, message] of flags) {
    test(more.join(" "), async () => {
      const { folder, model, data } = await smallTask();
      const argv = ["train", model, "--data", data, "--out", join(folder, "t.safetensors"), ...more];
      expect(await refused(argv)).toMatch(message);
    });
  }

  test("--keep-zeros for a new network", async () => {
    const { folder, data } = await smallTask();
    const argv = ["train", "--arch", smallArch, "--data", data, "--keep-zeros", "--out", join(folder, "t.safetensors")];
    expect(await refused(argv)).toMatch(/--keep-zeros would change nothing/);
  });
});
