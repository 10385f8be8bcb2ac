import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { reservedOptions } from "@secateur/core";
import { firstPartyPlugins } from "@secateur/run/node";
import { pluginKinds, pluginName } from "create-secateur-plugin";
import { describe, expect, test } from "vitest";
import { call, smallProblem, smallTask, temporaryFolder } from "./testing.test-support.ts";

interface PackageSpec {
  readonly name: string;
  readonly code?: string;
  readonly manifest?: object;
}

/** Installs a package the way npm leaves it. */
async function install(folder: string, { name, code = "", manifest = {} }: PackageSpec): Promise<void> {
  const place = join(folder, "node_modules", name);
  await mkdir(place, { recursive: true });
  const json = {
    name,
    version: "1.2.3",
    type: "module",
    exports: { "./plugin": { import: "./index.js" } },
    ...manifest,
  };
  await writeFile(join(place, "package.json"), JSON.stringify(json));
  await writeFile(join(place, "index.js"), code);
}

/** A plugin whose solvers keep the first k weights as they are. Plain JavaScript without imports, as any author may write. */
function pluginCode(...names: readonly string[]): string {
  return `
const options = { "~standard": { version: 1, vendor: "test",
  validate: (value) => ({ value }),
  jsonSchema: { input: () => ({ type: "object", properties: {
    offset: { type: "integer", description: "where to start", default: 0, minimum: 0 } } }), output: () => ({}) } } };
const create = ({ offset = 0 }) => ({ needs: {}, async solve(problem) {
  const size = problem.w.cols;
  const mask = problem.constraint.select(Float32Array.from({ length: size }, (_, j) => -((j - offset + size) % size)));
  const data = problem.w.data.map((x, j) => x * mask[j]);
  const objective = problem.w.data.reduce((sum, x, j) => sum + 0.5 * (x - data[j]) ** 2, 0);
  return { w: { ...problem.w, data }, mask, objective, status: "exact", stats: { iterations: 7 } };
} });
export default { api: 2, name: "test", entries: ${JSON.stringify(names)}.map((name) => ({
  kind: "solver", name, summary: "keeps the first weights", options, create })) };
`;
}

describe("a solver's name", () => {
  test("finds secateur-plugin-NAME from the user's folder upwards", async () => {
    const { folder, model, data } = await smallTask();
    await install(folder, { name: "secateur-plugin-first", code: pluginCode("first") });
    const inside = join(folder, "deep", "inside");
    await mkdir(inside, { recursive: true });
    const argv = ["prune", model, "--data", data, "--solver", "first", "--sparsity", "0.5", "--json"];
    const { code, stdout } = await call(argv, { cwd: inside });
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as {
      solver: string;
      nonzeros: number;
      versions: Record<string, string>;
      layers: { nonzeros: number }[];
    };
    expect(document.solver).toBe("first");
    expect(document.versions["secateur-plugin-first"]).toBe("1.2.3");
    expect(document.layers.map(({ nonzeros }) => nonzeros)).toEqual([22, 0]);
  });

  test("finds a package of that very name, and one of its family", async () => {
    const { folder, gradients, weights } = await smallProblem();
    await install(folder, { name: "@acme/pruner", code: pluginCode("anything") });
    await install(folder, { name: "many", code: pluginCode("many.one", "many.two") });
    for (const name of ["@acme/pruner", "many.two"]) {
      const argv = ["solve", "--gradients", gradients, "--weights", weights, "--solver", name, "--keep", "3", "--json"];
      const { code, stdout } = await call(argv, { cwd: folder });
      expect(code).toBe(0);
      expect((JSON.parse(stdout) as { iterations: number }).iterations).toBe(7);
    }
  });

  test("that a plugin's family does not offer is refused with what it offers", async () => {
    const { folder, gradients, weights } = await smallProblem();
    await install(folder, { name: "many", code: pluginCode("many.one", "many.two") });
    const argv = ["solve", "--gradients", gradients, "--weights", weights, "--solver", "many.tow", "--keep", "3"];
    const { code, stderr } = await call(argv, { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /many: there is no solver 'many\.tow'; known: many\.one, many\.two; did you mean 'many\.two'\?/,
    );
  });

  test("cannot lead out of node_modules", async () => {
    const { folder, gradients, weights } = await smallProblem();
    await writeFile(join(folder, "package.json"), JSON.stringify({ name: "x", version: "1.0.0", main: "evil.js" }));
    await writeFile(join(folder, "evil.js"), "throw new Error('was run')");
    for (const name of ["..", "../", ".", "node_modules/../.."]) {
      const argv = ["solve", "--gradients", gradients, "--weights", weights, "--solver", name, "--keep", "3"];
      const { code, stderr } = await call(argv, { cwd: folder });
      expect(code).toBe(2);
      expect(stderr).toMatch(/there is no solver/);
    }
  });

  test("goes to our own package first, whatever is installed", async () => {
    const { folder, gradients, weights } = await smallProblem();
    await install(folder, { name: "secateur-plugin-magnitude", code: "throw new Error('was run');" });
    const argv = ["solve", "--gradients", gradients, "--weights", weights, "--solver", "magnitude", "--keep", "3"];
    expect((await call(argv, { cwd: folder })).code).toBe(0);
  });
});

describe("a plugin's options", () => {
  test("are flags, explained in the help, and keys of --option", async () => {
    const { folder, gradients, weights } = await smallProblem();
    await install(folder, { name: "secateur-plugin-first", code: pluginCode("first") });
    const help = await call(["solve", "--solver", "first", "--help"], { cwd: folder });
    expect(help.stdout).toMatch(/--offset <n>\s+where to start \(default 0, at least 0\)/);
    const base = [
      "solve",
      "--gradients",
      gradients,
      "--weights",
      weights,
      "--solver",
      "first",
      "--keep",
      "3",
      "--json",
    ];
    const run = async (...more: readonly string[]) =>
      (JSON.parse((await call([...base, ...more], { cwd: folder })).stdout) as { objective: number }).objective;
    const plain = await run();
    const flagged = await run("--offset", "4");
    expect(flagged).not.toBe(plain);
    expect(await run("--option", "offset=4")).toBe(flagged);
  });

  test("that are mistyped lead to the help of that solver; compare says that it takes none", async () => {
    const { folder, model, data } = await smallTask();
    await install(folder, { name: "secateur-plugin-first", code: pluginCode("first") });
    const common = [model, "--data", data, "--start", "1"];
    expect((await call(["prune", ...common, "--solver", "first"], { cwd: folder })).stderr).toMatch(
      /unknown option '--start'.*see 'secateur prune --solver first --help'/,
    );
    // A solver that there is not has no help of its own.
    expect((await call(["prune", ...common, "--solver", "nosuch"], { cwd: folder })).stderr).not.toContain(
      "--solver nosuch --help",
    );
    expect((await call(["compare", ...common, "--solvers", "first"], { cwd: folder })).stderr).toMatch(
      /unknown option '--start'; options of a solver are given here as --option SOLVER:KEY=VALUE/,
    );
  });

  test("are shown by explain", async () => {
    const folder = await temporaryFolder();
    await install(folder, { name: "secateur-plugin-first", code: pluginCode("first") });
    const { code, stdout } = await call(["explain", "first"], { cwd: folder });
    expect(code).toBe(0);
    expect(stdout).toMatch(/--offset <n>\s+where to start \(default 0, at least 0\)/);
    expect(stdout).toContain("From secateur-plugin-first 1.2.3.");
  });
});

describe("a plugin's plan", () => {
  /** Three stages of every number asked for go to the target; with five of its own. */
  const planning = pluginCode("planner").replace(
    "needs: {},",
    "needs: {}, plan: ({ stages = 5 }) => ({ stages: stages - 3, targetStages: 3, reason: 'three at the target' }),",
  );

  test("decides what the user leaves open, and a recipe keeps it as it was", async () => {
    const { folder, model, data } = await smallTask();
    await install(folder, { name: "secateur-plugin-planner", code: planning });
    const run = async (...argv: readonly string[]) => {
      const { code, stdout, stderr } = await call(["prune", ...argv, "--json"], { cwd: folder });
      // It keeps the first weights only, so that a layer may be left with none: that is told, and nothing else.
      expect(stderr).toMatch(/^(warning: .* has no weight left.*\n)*$/);
      expect(code).toBe(0);
      return JSON.parse(stdout) as { stages: object[]; recipe: { plan: object } };
    };
    const base = [model, "--data", data, "--solver", "planner", "--sparsity", "0.5"];
    const free = await run(...base, "--out", "free.safetensors");
    expect(free.stages).toHaveLength(5);
    expect(free.recipe.plan).toMatchObject({ stages: 2, targetStages: 3, reason: "three at the target" });
    const asked = await run(...base, "--stages", "8", "--out", "asked.safetensors");
    expect(asked.stages).toHaveLength(8);
    const again = await run("--recipe", "asked.recipe.json", "--out", "again.safetensors");
    expect(again.stages).toHaveLength(8);
    expect(again.recipe.plan).toEqual(asked.recipe.plan);
  });
});

describe("a plugin that cannot be loaded", () => {
  test("is not passed over: what it misses is said in one line", async () => {
    const folder = await temporaryFolder();
    await install(folder, { name: "secateur-plugin-broken", code: "import 'not-installed-anywhere';" });
    await install(folder, { name: "broken", code: pluginCode("broken") });
    const { code, stderr } = await call(["explain", "broken"], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^[^\n]*plugin 'secateur-plugin-broken' at .* failed to load: .*not-installed-anywhere.*ERR_PLUGIN_LOAD\]\n$/,
    );
  });

  test("that throws at import shows what it threw, and what to do", async () => {
    const folder = await temporaryFolder();
    await install(folder, { name: "secateur-plugin-thrower", code: "throw new Error('no GPU here');" });
    const { code, stderr } = await call(["explain", "thrower"], { cwd: folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /'secateur-plugin-thrower' at .* failed to load: no GPU here; reinstall 'secateur-plugin-thrower'.*ERR_PLUGIN_LOAD/,
    );
    expect(stderr).toMatch(/caused by Error: no GPU here/);
  });

  test("names a dependency that is missing, and whose fault that is", async () => {
    const folder = await temporaryFolder();
    const code = "import 'fft-of-something/deep.js';";
    await install(folder, { name: "secateur-plugin-a", code, manifest: { dependencies: { "fft-of-something": "1" } } });
    await install(folder, { name: "secateur-plugin-b", code });
    const a = await call(["explain", "a"], { cwd: folder });
    expect(a.stderr).toMatch(/'fft-of-something' is one of its dependencies: run npm install in .*secateur-plugin-a/);
    const b = await call(["explain", "b"], { cwd: folder });
    expect(b.stderr).toMatch(/'fft-of-something' .*its package\.json does not name what it imports: tell its author/);
  });

  test("names a peer that is missing or of another version, and the install line", async () => {
    const folder = await temporaryFolder();
    const manifest = {
      peerDependencies: { "@secateur/core": "^9.1.0", unused: "*" },
      peerDependenciesMeta: { unused: { optional: true } },
    };
    await install(folder, { name: "secateur-plugin-peer", code: "import { soon } from '@secateur/core';", manifest });
    const missing = await call(["explain", "peer"], { cwd: folder });
    expect(missing.code).toBe(2);
    expect(missing.stderr).toMatch(
      /'secateur-plugin-peer' at .* needs @secateur\/core \^9\.1\.0 beside it, and it is not installed; run npm install '@secateur\/core@\^9\.1\.0'.*ERR_PLUGIN_PEER/,
    );
    await install(folder, { name: "@secateur/core", code: "export const now = 1;", manifest: { version: "8.0.0" } });
    // Importing again would give the module that failed: a plugin is loaded once.
    await install(folder, {
      name: "secateur-plugin-peer-too",
      code: "import { soon } from '@secateur/core';",
      manifest,
    });
    const old = await call(["explain", "peer-too"], { cwd: folder });
    expect(old.stderr).toMatch(/needs @secateur\/core \^9\.1\.0 beside it, and found is 8\.0\.0/);
    const listed = await call(["plugins"], { cwd: folder });
    expect(listed.stdout).not.toContain("beside it"); // neither has the keyword
  });

  const entry =
    "{ kind: 'solver', name: 'wrong', create() {}, options: { '~standard': { jsonSchema: { input: () => ({}) } } } }";
  const wrong: readonly [string, string, RegExp][] = [
    [
      "of a later interface",
      "export default { api: 3, entries: [] };",
      /found api 3, .*made for a later secateur: update/,
    ],
    [
      "of an unknown interface",
      "export default { api: '1', entries: [] };",
      /found api "1", .*install a newer version/,
    ],
    ["without a default export", "export const x = 1;", /found undefined as default export \(it exports x\)/],
    ["that is a function", "export default () => ({});", /found a function as default export.*wrap it: definePlugin/],
    ["that is a solver itself", "export default { needs: {}, solve() {} };", /found a solver in place of a plugin/],
    ["that is a saliency itself", "export default { needs: {}, score() {} };", /found a saliency in place of a plugin/],
    ["that is one entry", `export default ${entry};`, /found one entry in place of a plugin.*wrap it/],
    [
      "that was compiled to CommonJS",
      "export default { default: { api: 2 } };",
      /another default export.*publish ES modules/,
    ],
    ["that is something else", "export default { colour: 'red' };", /found no api, .*not meant as a plugin/],
    ["without entries", "export default { api: 2 };", /no list of entries/],
    [
      "with half an entry",
      "export default { api: 2, entries: [{ kind: 'solver', name: 'wrong' }] };",
      /the entry "wrong" without kind, name, create, or options/,
    ],
    [
      "with an entry of an unknown kind",
      `export default { api: 2, entries: [{ ...${entry}, kind: 'allocator' }] };`,
      /the entry "wrong" of kind 'allocator', known are solver, .*update secateur/,
    ],
    ["with a name twice", `export default { api: 2, entries: [${entry}, ${entry}] };`, /two entries 'solver wrong'/],
  ];
  for (const [what, code, message] of wrong) {
    test(`${what} is refused`, async () => {
      const folder = await temporaryFolder();
      await install(folder, { name: "secateur-plugin-wrong", code });
      const result = await call(["explain", "wrong"], { cwd: folder });
      expect(result.code).toBe(2);
      expect(result.stderr).toMatch(message);
      expect(result.stderr).toMatch(/plugin 'secateur-plugin-wrong' at .*ERR_PLUGIN\b/);
    });
  }

  test("because it was not built says which file is missing", async () => {
    const folder = await temporaryFolder();
    const manifest = { exports: { ".": "./dist/index.js" } };
    await install(folder, { name: "secateur-plugin-unbuilt", manifest });
    const { code, stderr } = await call(["explain", "unbuilt"], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toMatch(/found no file .*dist.index\.js, which its package\.json names.*build it if it is your own/);
  });
});

describe("a plugin of the first interface", () => {
  const old = pluginCode("old").replace("api: 2", "api: 1");

  test("is told what to change, and exit code 2", async () => {
    const folder = await temporaryFolder();
    await install(folder, { name: "secateur-plugin-old", code: old, manifest: { exports: "./index.js" } });
    const { code, stderr } = await call(["explain", "old"], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toBe(
      `secateur explain: plugin 'secateur-plugin-old' at ${join(folder, "node_modules", "secateur-plugin-old")}: it is of plugin interface 1, and this secateur speaks 2; install a newer version of it, or if it is yours: move the manifest to a file of its own that exports it by default with api: 2, and name that file in package.json as exports["./plugin"] (see docs/write-a-solver.md) [ERR_PLUGIN]\n`,
    );
  });

  test("is told the same where only its number or only its place is new", async () => {
    const folder = await temporaryFolder();
    await install(folder, { name: "secateur-plugin-a", code: old });
    const manifest = { exports: { ".": "./index.js" } };
    await install(folder, { name: "secateur-plugin-b", code: pluginCode("b"), manifest });
    expect((await call(["explain", "a"], { cwd: folder })).stderr).toMatch(/of plugin interface 1.*api: 2/);
    expect((await call(["explain", "b"], { cwd: folder })).stderr).toMatch(
      /default export of the package itself.*plugin/,
    );
  });
});

describe("a plugin of several methods", () => {
  const manifest = { keywords: ["secateur-plugin"] };

  test("is asked for any of them, by its name alone or with the package's before it", async () => {
    const { folder, gradients, weights } = await smallProblem();
    await install(folder, { name: "secateur-plugin-many", code: pluginCode("alpha", "beta"), manifest });
    await install(folder, { name: "secateur-plugin-broken", code: "throw new Error('was run');", manifest });
    for (const name of ["beta", "many:beta", "secateur-plugin-many:beta"]) {
      const argv = ["solve", "--gradients", gradients, "--weights", weights, "--solver", name, "--keep", "3", "--json"];
      const { code, stdout, stderr } = await call(argv, { cwd: folder });
      expect(stderr).toBe("");
      expect(code).toBe(0);
      expect((JSON.parse(stdout) as { solver: string }).solver).toBe("beta");
    }
    expect((await call(["explain", "many:gamma"], { cwd: folder })).stderr).toMatch(
      /no method 'gamma'; known: alpha, beta/,
    );
  });

  test("says which of two plugins was taken for a name that both have", async () => {
    const folder = await temporaryFolder();
    await install(folder, { name: "secateur-plugin-m", code: pluginCode("same"), manifest });
    await install(folder, { name: "secateur-plugin-n", code: pluginCode("same"), manifest });
    const { stdout } = await call(["explain", "same"], { cwd: folder });
    expect(stdout).toMatch(
      /'same' is that of secateur-plugin-m; 'secateur-plugin-n' .* is reached as secateur-plugin-n:same/,
    );
  });
});

describe("a plugin's option that is named like a flag", () => {
  test("is refused when the plugin is loaded", async () => {
    const folder = await temporaryFolder();
    const code = pluginCode("first").replace("offset: {", "examples: {");
    await install(folder, { name: "secateur-plugin-first", code });
    const { code: exit, stderr } = await call(["explain", "first"], { cwd: folder });
    expect(exit).toBe(2);
    expect(stderr).toMatch(/the option 'examples', which is a flag of the command line; its author has to/);
  });

  test("can be any name but those of the flags that there are", async () => {
    const own = { offset: 0, data: 0 };
    expect(Object.keys(own).filter((key) => reservedOptions.includes(key))).toEqual(["data"]);
    const taken = new Set<string>();
    for (const command of ["prune", "solve"]) {
      const { stdout } = await call(["help", command]);
      const help = stdout.split("Options of the solver")[0]!;
      for (const [, flag] of help.matchAll(/^ +--([a-z-]+)/gm))
        taken.add(flag!.replace(/-([a-z])/g, (_, c: string) => c.toUpperCase()));
    }
    const positive = [...taken].filter((name) => !/^no[A-Z]/.test(name)).sort();
    expect([...reservedOptions].sort()).toEqual(positive);
  });
});

describe("a plugin that crashes", () => {
  test("is named, with what it threw, and nothing is written", async () => {
    const { folder, model, data } = await smallTask();
    const code = pluginCode("first").replace("const size = problem.w.cols;", "const size = undefined.cols;");
    await install(folder, { name: "secateur-plugin-first", code });
    const argv = ["prune", model, "--data", data, "--solver", "first", "--sparsity", "0.5", "--out", "x.safetensors"];
    const { code: exit, stderr } = await call(argv, { cwd: folder });
    expect(exit).toBe(1);
    expect(stderr).toMatch(/plugin 'secateur-plugin-first' \(solver first\) failed: Cannot read .*ERR_PLUGIN_CRASH/);
    expect(stderr).toMatch(/caused by TypeError/);
    await expect(access(join(folder, "x.safetensors"))).rejects.toThrow();
  });
});

describe("a plugin that offers something else than a method", () => {
  const empty = `{ "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }),
    jsonSchema: { input: () => ({ type: "object", properties: {} }), output: () => ({}) } } }`;
  const offering = (kind: string, name: string, made: string): string =>
    `export default { api: 2, name: "test", entries: [
       { kind: "${kind}", name: "${name}", summary: "a ${kind}", options: ${empty}, create: () => (${made}) }] };`;
  const prune = async (folder: string, ...argv: readonly string[]) => {
    const all = ["prune", ...argv, "--solver", "magnitude", "--sparsity", "0.5", "--json"];
    const { code, stdout, stderr } = await call(all, { cwd: folder });
    expect(stderr).toBe("");
    expect(code).toBe(0);
    return JSON.parse(stdout) as {
      layers: { nonzeros: number }[];
      rounds?: { sparsity: number }[];
      versions: Record<string, string>;
      pruned: { examples: number };
    };
  };

  test("an allocation: --allocation spreads by it, and the recipe repeats it", async () => {
    const { folder, model, data } = await smallTask();
    const made = "{ counts: ({ keep }) => [keep - 2, 2] }";
    await install(folder, { name: "secateur-plugin-two", code: offering("allocation", "two", made) });
    const first = await prune(folder, model, "--data", data, "--allocation", "two", "--out", "two.safetensors");
    expect(first.layers.map(({ nonzeros }) => nonzeros)).toEqual([20, 2]);
    expect(first.versions["secateur-plugin-two"]).toBe("1.2.3");
    const again = await call(["prune", "--recipe", "two.recipe.json", "--out", "b.safetensors", "--json"], {
      cwd: folder,
    });
    expect((JSON.parse(again.stdout) as typeof first).layers).toEqual(first.layers);
  });

  test("an allocation that does not add up is refused before anything is written", async () => {
    const { folder, model, data } = await smallTask();
    await install(folder, {
      name: "secateur-plugin-bad",
      code: offering("allocation", "bad", "{ counts: () => [1, 1] }"),
    });
    const argv = [
      "prune",
      model,
      "--data",
      data,
      "--solver",
      "magnitude",
      "--allocation",
      "bad",
      "--out",
      "x.safetensors",
    ];
    const { code, stderr } = await call(argv, { cwd: folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(/allocation bad: found 2 weights in all.*ERR_ALLOCATION/);
    await expect(access(join(folder, "x.safetensors"))).rejects.toThrow();
  });

  test("a schedule: --retrain follows its phases", async () => {
    const { folder, model, data } = await smallTask();
    const made = `{ phases: ({ target, epochs }) => [
      { sparsity: target / 2, epochs: 0, rates: () => [] },
      { sparsity: target, epochs, rates: (steps) => new Float64Array(steps).fill(0.01) } ] }`;
    await install(folder, { name: "secateur-plugin-two-step", code: offering("schedule", "two-step", made) });
    const dense = ["--dense-training", "constant:0.1:2"];
    const retrain = ["--retrain", "two-step", "--retrain-epochs", "1", ...dense];
    const { rounds = [] } = await prune(folder, model, "--data", data, ...retrain);
    expect(rounds.map(({ sparsity }) => sparsity)).toEqual([0.25, 0.5]);
    const { stdout } = await call(["explain", "two-step", "--sparsity", "0.8"], { cwd: folder });
    expect(stdout).toMatch(/^ +1 +40 % +0 /m);
    expect(stdout).toMatch(/^ +2 +80 % +10 /m);
  });

  test("a dataset: --data opens it", async () => {
    const { folder, model } = await smallTask();
    const made = `{ usages: ["dots:N"], open: async ({ spec, argument }) => {
      const { arrayDataset, matrix } = await import(${JSON.stringify(import.meta.resolve("@secateur/core"))});
      // What stands behind the colon is a path for all that the command line knows.
      const count = Number(argument.split("/").pop());
      const inputs = matrix(count, 6, Float32Array.from({ length: 6 * count }, (_, i) => Math.sin(i)));
      const split = arrayDataset({ inputs, labels: Array.from({ length: count }, (_, i) => i % 3), classes: 3 });
      return { name: spec, train: split, test: split };
    } }`;
    await install(folder, { name: "secateur-plugin-dots", code: offering("dataset", "dots", made) });
    const { pruned } = await prune(folder, model, "--data", "dots:12");
    expect(pruned.examples).toBe(12);
  });

  test("a network: --arch makes it", async () => {
    const { folder, data } = await smallTask();
    const made = `{ name: "pair", inputShape: [6], classes: 3, layers: [
      { kind: "dense", name: "a", in: 6, out: 4, bias: false }, { kind: "relu" },
      { kind: "dense", name: "b", in: 4, out: 3, bias: false }, { kind: "log-softmax" } ] }`;
    await install(folder, { name: "secateur-plugin-pair", code: offering("architecture", "pair", made) });
    const argv = ["train", "--arch", "pair", "--data", data, "--epochs", "1", "--out", "pair.safetensors", "--json"];
    expect((await call(argv, { cwd: folder })).code).toBe(0);
    const { layers } = await prune(folder, "pair.safetensors", "--data", data);
    expect(layers).toHaveLength(2);
  });

  test("a format: files of its ending are written and read", async () => {
    const { folder, model, data } = await smallTask();
    const made = `{ endings: [".plain"],
      detects: (head) => new TextDecoder().decode(head.subarray(0, 6)) === "PLAIN\\n",
      encode: ({ tensors, metadata }) => new TextEncoder().encode("PLAIN\\n" + JSON.stringify({ metadata,
        tensors: tensors.map((t) => ({ ...t, data: Array.from(t.data) })) })),
      decode: (bytes) => {
        const { tensors, metadata } = JSON.parse(new TextDecoder().decode(bytes.subarray(6)));
        return { metadata, tensors: tensors.map((t) => ({ ...t, data: Float32Array.from(t.data) })) };
      } }`;
    await install(folder, { name: "secateur-plugin-plain", code: offering("format", "plain", made) });
    const { pruned } = await prune(folder, model, "--data", data, "--out", "net.plain");
    const evaluated = await call(["eval", "net.plain", "--data", data, "--json"], { cwd: folder });
    expect(JSON.parse(evaluated.stdout)).toMatchObject(pruned);
    const inspected = await call(["inspect", "net.plain", "--json"], { cwd: folder });
    expect(JSON.parse(inspected.stdout)).toMatchObject({ format: "plain", size: 45 });
    await writeFile(join(folder, "other.plain"), "something else");
    expect((await call(["inspect", "other.plain"], { cwd: folder })).code).toBe(2);
  });

  test("a task: --task measures by it, and what it trained remembers it", async () => {
    const { folder, model, data } = await smallTask();
    const made = `{ name: "norm", targetsFrom: "data", measures: [],
      loss: ({ outputs, delta }) => { const [[name, { data, shape }]] = Object.entries(outputs);
        data.forEach((z, i) => { if (delta) delta[name].data[i] = z; });
        return { sum: data.reduce((sum, z) => sum + z * z / 2, 0), count: shape[0] }; },
      outputFactor: ({ outputs }) => { const [[name, { data, shape }]] = Object.entries(outputs);
        const copy = (u, out) => out[name].data.set(u);
        return { columns: data.length / shape[0], times: copy, transposeTimes: (t, out) => out.set(t[name].data),
          draw: (rng, out) => copy(data.map(() => rng.normal()), out) }; } }`;
    const manifest = { keywords: ["secateur-plugin"] };
    await install(folder, { name: "secateur-plugin-norm", code: offering("task", "norm", made), manifest });
    const evaluated = async (...argv: readonly string[]) => {
      const { stdout, stderr } = await call(["eval", "t.safetensors", "--data", data, ...argv, "--json"], {
        cwd: folder,
      });
      const { task, loss } = JSON.parse(stdout) as { task: string; loss: number };
      return { task, loss, stderr };
    };
    const train = ["train", model, "--data", data, "--epochs", "1", "--out", "t.safetensors", "--task"];
    expect((await call([...train, "norm:2"], { cwd: folder })).stderr).toMatch(
      /task norm: found '2'; it has no options, leave that out.*ERR_OPTION/,
    );
    expect((await call([...train, "norm"], { cwd: folder })).code).toBe(0);
    const found = await evaluated();
    expect(found.stderr).toMatch(/was trained for the task 'norm', which is taken/);
    expect(found).toMatchObject({ task: "norm", loss: (await evaluated("--task", "norm")).loss });
    const pack = await call(["pack", "t.safetensors", "--data", data, "--out", "t.secateur", "--json"], {
      cwd: folder,
    });
    expect(JSON.parse(pack.stdout)).toMatchObject({ accuracy: { before: { task: "norm", loss: found.loss } } });
    // A file names tasks of plugins only, never packages to be loaded.
    await install(folder, { name: "secateur-plugin-norm", code: "throw new Error('was run')", manifest: {} });
    const without = await evaluated();
    expect(without.stderr).toMatch(/'norm', which no installed plugin has/);
    expect(without.task).toBe("classification");
  });

  test("a reporter: --report writes by it", async () => {
    const { folder, model, data } = await smallTask();
    const made = `{ endings: [".md"], report: ({ title, runs }) => "# " + title + "\\n" + runs[0].nonzeros }`;
    await install(folder, { name: "secateur-plugin-md", code: offering("reporter", "md", made) });
    await prune(folder, model, "--data", data, "--report", "report.md");
    expect(await readFile(join(folder, "report.md"), "utf8")).toMatch(/^# mlp:6-5-3:nobias pruned to 51.111 %\n22$/);
    await prune(folder, model, "--data", data, "--report", "report.json", "--force");
    expect(JSON.parse(await readFile(join(folder, "report.json"), "utf8"))).toMatchObject({ runs: [{ nonzeros: 22 }] });
    const argv = ["prune", model, "--data", data, "--solver", "magnitude", "--report", "report.txt"];
    expect((await call(argv, { cwd: folder })).stderr).toMatch(
      /report.txt must end in \.html or \.htm or \.json.*ERR_OUTPUT_FORMAT/,
    );
  });
});

describe("options of a curvature", () => {
  test("are set by --curvature-option, kept in the recipe, and judged by its schema", async () => {
    const { folder, model, data } = await smallTask();
    const base = ["prune", model, "--data", data, "--sparsity", "0.5", "--stages", "1", "--curvature"];
    const layout = (value: string) => ["--curvature-option", `layout=${value}`];
    const argv = [...base, "empirical-fisher", ...layout("dense"), "--out", join(folder, "a.safetensors"), "--json"];
    const { code, stdout } = await call(argv);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { recipe: object }).recipe).toMatchObject({ curvatureOptions: { layout: "dense" } });
    const wrong = await call([...base, "empirical-fisher", ...layout("flat")]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/empirical-fisher.*layout.*ERR_OPTION/);
    const none = await call(["prune", model, "--data", data, "--solver", "magnitude", ...layout("dense")]);
    expect(none.stderr).toMatch(/--curvature-option would change nothing: the solver magnitude takes no gradients/);
  });
});

describe("a plugin that offers a smaller rung", () => {
  /** Scores by magnitude, or by its opposite. */
  const rung = (kind: string, method: string): string => `
const options = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }),
  jsonSchema: { input: () => ({ type: "object", properties: {} }), output: () => ({}) } } };
export default { api: 2, name: "test", entries: [{ kind: "${kind}", name: "rung", summary: "a ${kind}", options,
  create: () => ({ needs: {}, ${method} }) }] };`;
  const score = "score: ({ w }) => w.data.map(Math.abs)";
  const select = "select: ({ w, constraint }) => constraint.select(w.data.map(Math.abs))";

  for (const [kind, method] of [
    ["saliency", score],
    ["selector", select],
  ] as const) {
    test(`is a solver by its name: a ${kind}`, async () => {
      const { folder, gradients, weights } = await smallProblem();
      await install(folder, { name: "secateur-plugin-rung", code: rung(kind, method) });
      const solve = async (...flags: readonly string[]) => {
        const argv = ["solve", "--gradients", gradients, "--weights", weights, "--keep", "3", "--json", ...flags];
        const { code, stdout, stderr } = await call(argv, { cwd: folder });
        expect(stderr).toBe("");
        expect(code).toBe(0);
        return (JSON.parse(stdout) as { objective: number }).objective;
      };
      expect(await solve("--solver", "rung")).toBe(await solve("--solver", "magnitude"));
      expect(await solve("--selector", "rung", "--updater", "bso")).toBe(await solve("--solver", "magnitude+bso"));
      const { stdout } = await call(["explain", "rung"], { cwd: folder });
      expect(stdout).toMatch(new RegExp(`A ${kind}: --solver rung .*--updater`));
      expect(stdout).toMatch(/Plan for sparsity 0\.9/);
    });
  }

  test("is no solver if it is an updater", async () => {
    const { folder, gradients, weights } = await smallProblem();
    await install(folder, { name: "secateur-plugin-rung", code: rung("updater", "update: ({ w }) => w") });
    const argv = ["solve", "--gradients", gradients, "--weights", weights, "--keep", "3", "--solver", "rung"];
    const { code, stderr } = await call(argv, { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toMatch(/there is no solver 'rung'/);
    expect((await call(["explain", "rung"], { cwd: folder })).stdout).toContain("--selector magnitude --updater rung");
  });
});

describe("a name that two packages have", () => {
  const manifest = { keywords: ["secateur-plugin"] };

  test("is ours first, and says how to reach the other", async () => {
    const { folder, gradients, weights } = await smallProblem();
    await install(folder, { name: "secateur-plugin-magnitude", code: pluginCode("magnitude"), manifest });
    const message =
      /'magnitude' is that of @secateur\/solvers-magnitude; 'secateur-plugin-magnitude' has the same name and is reached as secateur-plugin-magnitude:magnitude/;
    const base = ["solve", "--gradients", gradients, "--weights", weights, "--keep", "3", "--json", "--solver"];
    const own = await call([...base, "magnitude"], { cwd: folder });
    expect(own.code).toBe(0);
    expect(own.stderr).toMatch(message);
    expect((await call(["explain", "magnitude"], { cwd: folder })).stdout).toMatch(message);
    expect((await call(["plugins"], { cwd: folder })).stdout).toMatch(message);
    const theirs = await call([...base, "secateur-plugin-magnitude:magnitude"], { cwd: folder });
    expect(theirs.stderr).toBe("");
    expect((JSON.parse(theirs.stdout) as { iterations: number }).iterations).toBe(7);
  });

  test("is the conventional one's before that of a package of the very name", async () => {
    const folder = await temporaryFolder();
    await install(folder, { name: "secateur-plugin-twin", code: pluginCode("twin"), manifest });
    await install(folder, { name: "twin", code: "throw new Error('was run');", manifest });
    const { code, stdout } = await call(["explain", "twin"], { cwd: folder });
    expect(code).toBe(0);
    expect(stdout).toContain("From secateur-plugin-twin 1.2.3.");
    expect(stdout).toMatch(/'twin' has the same name and is reached as twin:twin/);
  });

  test("says nothing of packages that are no plugins", async () => {
    const folder = await temporaryFolder();
    await install(folder, { name: "secateur-plugin-magnitude", code: "throw new Error('was run');" });
    expect((await call(["explain", "magnitude"], { cwd: folder })).stdout).not.toContain("Note:");
  });
});

describe("npm create secateur-plugin", () => {
  test("takes no name that a built-in method has", async () => {
    for (const { load } of firstPartyPlugins) {
      for (const { name, kind } of (await load()).entries) {
        const made = pluginKinds.find((one) => one === (kind === "curvature" ? "solver" : kind));
        // Names of other kinds are no hindrance: a solver may be called as a dataset is.
        if (made === undefined) continue;
        const family = name.split(".")[0]!;
        expect(() => pluginName(family, made), family).toThrow(expect.objectContaining({ code: "ERR_NAME_TAKEN" }));
      }
    }
  });
});

describe("secateur plugins", () => {
  test("lists ours with what they offer, and installed ones without running them", async () => {
    const folder = await temporaryFolder();
    const manifest = { keywords: ["secateur-plugin"], description: "does much" };
    await install(folder, { name: "secateur-plugin-x", code: "throw new Error('was run');", manifest });
    await install(folder, { name: "@acme/y", code: "throw new Error('was run');", manifest });
    await install(folder, { name: "unrelated" });
    const { code, stdout } = await call(["plugins", "--json"], { cwd: folder });
    expect(code).toBe(0);
    const { plugins } = JSON.parse(stdout) as {
      plugins: { package: string; source: string; entries?: { name: string }[] }[];
    };
    const installed = plugins.filter(({ source }) => source === "installed");
    expect(installed.map((plugin) => plugin.package)).toEqual(["@acme/y", "secateur-plugin-x"]);
    expect(plugins.flatMap(({ entries = [] }) => entries.map(({ name }) => name))).toEqual(
      expect.arrayContaining(["chita", "magnitude", "empirical-fisher"]),
    );
    expect((await call(["plugins"], { cwd: folder })).stdout).toMatch(/secateur-plugin-x\s+1\.2\.3\s+does much/);
  });

  test("is not disturbed by a broken manifest", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "node_modules", "broken"), { recursive: true });
    await writeFile(join(folder, "node_modules", "broken", "package.json"), "{");
    expect((await call(["plugins"], { cwd: folder })).code).toBe(0);
  });
});
