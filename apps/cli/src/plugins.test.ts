import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { firstPartyPlugins } from "@secateur/run/node";
import { pluginName } from "create-secateur-plugin";
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
  const json = { name, version: "1.2.3", type: "module", exports: { ".": { import: "./index.js" } }, ...manifest };
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
  return { w: { ...problem.w, data }, mask, objective: 0, status: "exact", stats: { iterations: 7 } };
} });
export default { api: 1, name: "test", entries: ${JSON.stringify(names)}.map((name) => ({
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
      expect(stderr).toBe("");
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
  test("is not passed over: its own failure is shown with its cause", async () => {
    const folder = await temporaryFolder();
    await install(folder, { name: "secateur-plugin-broken", code: "import 'not-installed-anywhere';" });
    await install(folder, { name: "broken", code: pluginCode("broken") });
    const { code, stderr } = await call(["explain", "broken"], { cwd: folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /plugin 'secateur-plugin-broken' at .* failed to load: .*not-installed-anywhere.*ERR_PLUGIN_LOAD/,
    );
    expect(stderr).toMatch(/caused by/);
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
    expect(b.stderr).toMatch(/its package\.json does not name 'fft-of-something': tell its author/);
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

  const entry = "{ kind: 'solver', name: 'wrong', create() {}, options: { '~standard': { jsonSchema: {} } } }";
  const wrong: readonly [string, string, RegExp][] = [
    [
      "of a later interface",
      "export default { api: 2, entries: [] };",
      /found api 2, .*made for a later secateur: update/,
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
      "export default { default: { api: 1 } };",
      /another default export.*publish ES modules/,
    ],
    ["that is something else", "export default { colour: 'red' };", /found no api, .*not meant as a plugin/],
    ["without entries", "export default { api: 1 };", /no list of entries/],
    [
      "with half an entry",
      "export default { api: 1, entries: [{ kind: 'solver', name: 'wrong' }] };",
      /the entry "wrong" without kind, name, create, or options/,
    ],
    [
      "with an entry of an unknown kind",
      `export default { api: 1, entries: [{ ...${entry}, kind: 'allocator' }] };`,
      /the entry "wrong" of kind 'allocator', known are saliency, .*update secateur/,
    ],
    ["with a name twice", `export default { api: 1, entries: [${entry}, ${entry}] };`, /two entries 'solver wrong'/],
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

describe("a plugin that offers a smaller rung", () => {
  /** Scores by magnitude, or by its opposite. */
  const rung = (kind: string, method: string): string => `
const options = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }),
  jsonSchema: { input: () => ({ type: "object", properties: {} }), output: () => ({}) } } };
export default { api: 1, name: "test", entries: [{ kind: "${kind}", name: "rung", summary: "a ${kind}", options,
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
      /'magnitude' is that of @secateur\/solvers-magnitude; 'secateur-plugin-magnitude' has the same name and is reached by its package's name: secateur-plugin-magnitude/;
    const base = ["solve", "--gradients", gradients, "--weights", weights, "--keep", "3", "--json", "--solver"];
    const own = await call([...base, "magnitude"], { cwd: folder });
    expect(own.code).toBe(0);
    expect(own.stderr).toMatch(message);
    expect((await call(["explain", "magnitude"], { cwd: folder })).stdout).toMatch(message);
    expect((await call(["plugins"], { cwd: folder })).stdout).toMatch(message);
    const theirs = await call([...base, "secateur-plugin-magnitude"], { cwd: folder });
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
    expect(stdout).toMatch(/the package 'twin' has the same name and cannot be reached: uninstall one of the two/);
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
      for (const { name } of (await load()).entries) {
        const family = name.split(".")[0]!;
        expect(() => pluginName(family), family).toThrow(expect.objectContaining({ code: "ERR_NAME_TAKEN" }));
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
