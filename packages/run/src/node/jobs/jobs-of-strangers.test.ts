/** Whoever can write into a queue and its store names no file of the worker's machine, and brings no program. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeJson, type Json, openStore, type Store } from "@secateur/jobs";
import { expect, onTestFinished, test } from "vitest";
import { viewInputs } from "./input-files.ts";
import { jobHost } from "./job-host.ts";
import { checkNames } from "./kinds/check-names.ts";
import { jobKinds } from "./kinds/job-kinds.ts";

async function newStore(): Promise<{ store: Store; folder: string; files: string }> {
  const folder = await mkdtemp(join(tmpdir(), "secateur-strangers-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = await openStore(join(folder, "store"));
  const blob = await store.put(new TextEncoder().encode("globalThis.isRun = true; export default [];"));
  const files = await store.put(encodeJson({ "model/net.safetensors": blob, "data/0/evil.mjs": blob }));
  return { store, folder, files };
}

const own = { model: "model/net.safetensors", data: "mnist" };
const refused = { code: "ERR_JOB" };

test("files that were not brought, and modules, are refused", async () => {
  const { store, folder, files } = await newStore();
  await writeFile(join(folder, "X.npy"), "x");
  const other = join(folder, "X.npy");
  for (const more of [
    { model: "../net.safetensors" },
    { model: "model/../../net.safetensors" },
    { model: other },
    { data: "module:data/0/evil.mjs" },
    { data: "data/0/evil.mjs" },
    { data: `npy:${other}` },
    { data: other },
    { data: "npy:data/0/../../../X.npy" },
    { data: `npy:input=${other},data/0/Y.npy` },
    { data: `images:${folder}` },
    { data: `plugin:${other}` },
    { data: "plugin:../X.npy" },
    { preprocess: join(folder, "preprocessor_config.json") },
  ]) {
    await expect(viewInputs(store, { files, ...own, ...more }), JSON.stringify(more)).rejects.toMatchObject(refused);
  }
  expect((await viewInputs(store, { files, ...own })).data).toBe("mnist");
  expect((await viewInputs(store, { files, ...own, data: "plugin:some name" })).data).toBe("plugin:some name");
});

test("no kind opens them, nor takes settings that are none", async () => {
  const { store, files } = await newStore();
  const host = jobHost({ cwd: "." });
  onTestFinished(() => host.close());
  const kinds = jobKinds(host);
  const common = { ...own, data: "module:data/0/evil.mjs", seed: 0, kernels: "reference" };
  const run = (kind: string, settings: object, inputs: Record<string, string>): Promise<unknown> =>
    kinds[kind]!(
      { kind, settings: settings as Json, inputs, after: [], packages: {} },
      { store, signal: new AbortController().signal, onEvent: () => {} },
    );
  const good: Record<string, { settings: Record<string, unknown>; inputs: Record<string, string> }> = {
    prune: {
      settings: { setting: common, solver: "magnitude", options: {}, plan: {}, sparsity: 0.5 },
      inputs: { files },
    },
    layers: { settings: { scan: { ...common, solver: "obd" }, names: ["a"], keep: 1 }, inputs: { files } },
    "soup member": {
      settings: { training: { ...common, trainer: {}, inputs: {} }, epochs: 1, rng: "0" },
      inputs: { files, start: files, request: files },
    },
    solve: { settings: { solver: "obc", options: {}, seed: 0, kernels: "reference" }, inputs: { problem: files } },
    "gradient rows": {
      settings: {
        model: { model: "../net.safetensors" },
        taskName: "classification",
        params: [],
        batch: 1,
        kernels: "reference",
      },
      inputs: { files, state: files, examples: files },
    },
    "input moments": {
      settings: {
        model: { model: "../net.safetensors" },
        params: [],
        rowsPerInput: 128,
        first: 0,
        of: 2,
        kernels: "reference",
      },
      inputs: { files, state: files, examples: files },
    },
    trace: { settings: { rules: ["global"], seed: 0, kernels: "reference" }, inputs: { problem: files } },
  };
  for (const [kind, { settings, inputs }] of Object.entries(good)) {
    if (inputs["files"]) await expect(run(kind, settings, inputs), kind).rejects.toMatchObject(refused);
    for (const name of Object.keys(settings)) {
      await expect(run(kind, { ...settings, [name]: null }, inputs), `${kind} ${name}`).rejects.toMatchObject(refused);
    }
    await expect(run(kind, settings, {}), kind).rejects.toMatchObject(refused);
  }
  const rows = good["gradient rows"]!;
  for (const more of [
    { batch: 0 },
    { model: { model: own.model, arch: 3 } },
    { model: { model: own.model, inputs: { fix: "n" } } },
  ]) {
    await expect(run("gradient rows", { ...rows.settings, ...more }, rows.inputs)).rejects.toMatchObject(refused);
  }
  const moments = good["input moments"]!;
  for (const more of [{ of: 0 }, { first: 2 }, { rowsPerInput: 0 }]) {
    await expect(run("input moments", { ...moments.settings, ...more }, moments.inputs)).rejects.toMatchObject(refused);
  }
  await expect(run("trace", { ...good["trace"]!.settings, rules: ["x"] }, { problem: files })).rejects.toThrow();
  expect((globalThis as { isRun?: boolean }).isRun).toBeUndefined();
});

test("the package that would be loaded is asked whether it is a plugin, and no other of the name", async () => {
  const { folder } = await newStore();
  const install = async (name: string, keywords: readonly string[]): Promise<void> => {
    await mkdir(join(folder, "node_modules", name), { recursive: true });
    await writeFile(
      join(folder, "node_modules", name, "package.json"),
      JSON.stringify({ name, version: "1.0.0", keywords }),
    );
  };
  await install("secateur-plugin-debug", []);
  await install("debug", []);
  await install("csv", []);
  await install("mine", ["secateur-plugin"]);
  const what = "a job";
  // The plugin of the usual name comes first; one that says so in its manifest may have any name.
  await checkNames({ what, methods: ["debug", "magnitude", "mine", "mine:solver"] }, folder);
  await expect(checkNames({ what, methods: ["debug:x"] }, folder)).rejects.toThrow(
    /package 'debug', which is no plugin/,
  );
  // A reporter of ours is no solver of ours.
  await expect(checkNames({ what, methods: ["csv"] }, folder)).rejects.toThrow(/package 'csv', which is no plugin/);
});

test("a name that would load a package which is no plugin is refused, and the package is not loaded", async () => {
  const { store, folder, files } = await newStore();
  const evil = join(folder, "node_modules", "evil");
  await mkdir(evil, { recursive: true });
  await writeFile(
    join(evil, "package.json"),
    JSON.stringify({ name: "evil", version: "1.0.0", type: "module", main: "index.js" }),
  );
  await writeFile(join(evil, "index.js"), "globalThis.isRun = true; export default {};");
  const host = jobHost({ cwd: folder });
  onTestFinished(() => host.close());
  const kinds = jobKinds(host);
  const run = (kind: string, settings: object, inputs: Record<string, string>): Promise<unknown> =>
    kinds[kind]!(
      { kind, settings: settings as Json, inputs, after: [], packages: {} },
      { store, signal: new AbortController().signal, onEvent: () => {} },
    );
  const portable = { ...own, seed: 0, kernels: "reference" };
  const prune = { setting: portable, solver: "magnitude", options: {}, plan: {}, sparsity: 0.5 };
  const training = { ...portable, trainer: {}, inputs: {}, task: "evil:x" };
  for (const [kind, settings] of [
    ["prune", { ...prune, solver: "evil" }],
    ["prune", { ...prune, solver: "magnitude+evil:x" }],
    ["prune", { ...prune, plan: { curvature: "evil:x" } }],
    ["prune", { ...prune, setting: { ...portable, data: "evil:some" } }],
    ["layers", { scan: { ...portable, solver: "evil:x" }, names: ["a"], keep: 1 }],
    ["solve", { solver: "evil.x", options: {}, seed: 0, kernels: "reference" }],
    ["soup member", { training, epochs: 1, rng: "0" }],
    [
      "gradient rows",
      { model: { model: own.model }, task: "0.5*evil:x", taskName: "x", params: [], batch: 1, kernels: "reference" },
    ],
  ] as const) {
    const inputs = { files, start: files, request: files, problem: files, state: files, examples: files };
    const found = expect(run(kind, settings, inputs), JSON.stringify([kind, settings]));
    await found.rejects.toMatchObject({ code: "ERR_JOB", message: expect.stringContaining("no plugin") });
  }
  expect((globalThis as { isRun?: boolean }).isRun).toBeUndefined();
});
