import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeNpy, encodeOnnx } from "@secateur/formats";
import { load } from "@secateur/runtime";
import { describe, expect, test } from "vitest";
import { call, smallTask } from "./testing.test-support.ts";

async function packedTask(...flags: readonly string[]) {
  const task = await smallTask();
  const pruned = join(task.folder, "pruned.safetensors");
  const out = join(task.folder, "net.secateur");
  const args = [
    "prune",
    task.model,
    "--solver",
    "magnitude",
    "--sparsity",
    "0.6",
    "--data",
    task.data,
    "--out",
    pruned,
  ];
  expect((await call(args)).code).toBe(0);
  const result = await call(["pack", pruned, "--out", out, "--data", task.data, "--json", ...flags]);
  return { ...task, pruned, out, result };
}

describe("secateur pack", () => {
  test("writes a file that the runtime runs with the accuracy it says", async () => {
    const { out, data, result } = await packedTask("--values", "f32");
    expect(result).toMatchObject({ code: 0, stderr: "" });
    const document = JSON.parse(result.stdout);
    expect(document).toMatchObject({ file: out, values: "f32", weights: 45, nonzeros: 18 });
    expect(Object.keys(document.bytes).sort()).toEqual(["brotli", "denseF32", "denseInt8Brotli", "gzip", "raw"]);
    expect(document.bytes.denseF32).toBe(180);
    expect(document.bytes.gzip).toBe((await stat(out)).size);
    expect(document.layers.map(({ name }: { name: string }) => name)).toEqual(["fc1", "fc2"]);
    // f32 values are the model's own.
    expect(document.accuracy.after.accuracy).toBe(document.accuracy.before.accuracy);
    const session = await load(await readFile(out));
    expect(session.metadata).toMatchObject({ "secateur.architecture": "mlp:6-5-3:nobias" });
    expect(session.metadata["accuracy"]).toMatchObject({ accuracy: document.accuracy.after.accuracy });
    // eval, inspect and prune read it like any checkpoint.
    const evaluated = JSON.parse((await call(["eval", out, "--data", data, "--json"])).stdout);
    expect(evaluated.accuracy).toBe(document.accuracy.after.accuracy);
    expect(JSON.parse((await call(["inspect", out, "--json"])).stdout)).toMatchObject({
      format: "secateur",
      zeros: 27,
    });
  });

  test("says so where the file is larger than 8-bit weights with their zeros in place", async () => {
    const { folder, data } = await smallTask();
    const train = ["train", "--arch", "mlp:6-500-20-3", "--data", data, "--epochs", "0", "--out", "dense.safetensors"];
    expect((await call(train, { cwd: folder })).code).toBe(0);
    const pack = ["pack", "dense.safetensors", "--values", "f16", "--out", "dense.secateur", "--json"];
    const { stdout, stderr } = await call(pack, { cwd: folder });
    const { gzip, denseInt8Brotli } = JSON.parse(stdout).bytes;
    expect(gzip).toBeGreaterThan(denseInt8Brotli);
    expect(stderr).toContain(`its ${gzip} bytes are more than the ${denseInt8Brotli} of 8-bit weights`);
  });

  test("counts weights that several layers share once", async () => {
    const { folder } = await smallTask();
    const node = (from: string, to: string) => ({
      ...{ name: to, op: "MatMul", domain: "", inputs: [from, "w"], outputs: [to], attributes: {} },
    });
    const graph = {
      ...{ name: "steps", nodes: [node("x", "a"), node("a", "b"), node("b", "y")] },
      initializers: [
        { name: "w", dtype: "f32" as const, shape: [4, 4], data: Float32Array.from({ length: 16 }, (_, i) => i % 2) },
      ],
      inputs: [{ name: "x", dtype: "f32" as const, shape: [1, 4] }],
      outputs: [{ name: "y", dtype: "f32" as const, shape: [1, 4] }],
    };
    await writeFile(join(folder, "steps.onnx"), encodeOnnx({ opsets: { "": 17 }, metadata: {}, graph }));
    const { stdout } = await call(["pack", "steps.onnx", "--out", "steps.secateur", "--json"], { cwd: folder });
    expect(JSON.parse(stdout)).toMatchObject({ weights: 16, nonzeros: 8, layers: [{ weights: 16 }, {}, {}] });
  });

  test("and unpack give back the same tensors", async () => {
    const { folder, pruned, out } = await packedTask("--values", "f32");
    const back = join(folder, "back.safetensors");
    expect((await call(["unpack", out, "--out", back])).code).toBe(0);
    const tensorsOf = async (path: string) => JSON.parse((await call(["inspect", path, "--json"])).stdout).tensors;
    expect(await tensorsOf(back)).toEqual(await tensorsOf(pruned));
  });

  test("refuses to lose more accuracy than --max-loss, and then writes nothing", async () => {
    const { folder, model, data } = await smallTask();
    const out = join(folder, "net.secateur");
    const tried = await call(["pack", model, "--out", out, "--values", "int4", "--data", data, "--max-loss", "0"]);
    expect(tried).toMatchObject({ code: 2, stderr: expect.stringContaining("ERR_PACK_LOSS") });
    await expect(stat(out)).rejects.toThrow("ENOENT");
    const allowed = await call(["pack", model, "--out", out, "--values", "int4", "--data", data, "--max-loss", "100"]);
    expect(allowed.code).toBe(0);
  });

  test("measures what --task says, and refuses --max-loss where that has no accuracy", async () => {
    const { folder, model } = await smallTask();
    const targets = Float32Array.from({ length: 180 }, (_, i) => 3 * Math.sin(i));
    await writeFile(join(folder, "V.npy"), encodeNpy({ shape: [60, 3], data: targets }));
    const pack = (...flags: readonly string[]) =>
      call(["pack", model, "--out", "net.secateur", "--data", "npy:X.npy,V.npy", "--json", ...flags], { cwd: folder });
    const refused = await pack("--max-loss", "1");
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("the task regression has none") });
    await expect(stat(join(folder, "net.secateur"))).rejects.toThrow("ENOENT");
    const lossOf = async (...flags: readonly string[]) => {
      const { code, stdout, stderr } = await pack("--force", ...flags);
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout).accuracy.after.loss;
    };
    // Huber's loss is below half the squared error wherever errors are beyond its bound.
    expect(await lossOf("--task", "regression:huber=0.1")).toBeLessThan(await lossOf());
  });

  test("measures without labels how far the packed network agrees with the one that is packed, or with --dense", async () => {
    const { folder, model } = await smallTask();
    const agreement = async (...flags: readonly string[]) => {
      const argv = ["pack", model, "--out", "net.secateur", "--data", "npy:X.npy", "--json", "--force", ...flags];
      const { code, stdout, stderr } = await call(argv, { cwd: folder });
      expect(code, stderr).toBe(0);
      const { before, after, teacher } = JSON.parse(stdout).accuracy;
      expect(teacher).toBe(flags.includes("--dense") ? "dense" : "model");
      expect([before.task, after.task, after.examples]).toEqual(["distillation", "distillation", 60]);
      return [before.measures[0].value, after.measures[0].value];
    };
    expect(await agreement("--values", "f32")).toEqual([100, 100]);
    const [exact, rounded] = await agreement("--values", "int4");
    expect(exact).toBe(100);
    expect(rounded).toBeLessThanOrEqual(100);
    const other = ["train", model, "--data", "npy:X.npy,Y.npy", "--epochs", "30", "--out", "t.safetensors"];
    expect((await call(other, { cwd: folder })).code).toBe(0);
    expect((await agreement("--dense", join(folder, "t.safetensors")))[0]).toBeLessThan(100);
  });

  test("says so where --dense has more zeros than the model", async () => {
    const { folder, model, pruned } = await packedTask();
    const swapped = ["pack", model, "--dense", pruned, "--out", join(folder, "swapped.secateur")];
    expect((await call(swapped)).stderr).toMatch(/--dense .* has more zeros than .*MODEL is that one/);
  });

  test("never replaces what it reads, also not with --force", async () => {
    const { folder, pruned, out } = await packedTask();
    const before = await readFile(out);
    const over = ["pack", pruned, "--dense", out, "--out", out, "--force"];
    expect(await call(over)).toMatchObject({ code: 2, stderr: expect.stringContaining("ERR_OUTPUT_IS_INPUT") });
    const disguised = join(folder, "packed.safetensors");
    await writeFile(disguised, before);
    const onto = await call(["unpack", disguised, "--out", disguised, "--force"]);
    expect(onto).toMatchObject({ code: 2, stderr: expect.stringContaining("ERR_OUTPUT_IS_INPUT") });
    expect(await readFile(out)).toEqual(before);
    expect(await readFile(disguised)).toEqual(before);
  });

  test.each([
    [["--values", "int9"], "allowed is f32, f16, int8, int6, int5, int4"],
    [["--max-loss", "0.1"], "--max-loss needs --data"],
    [["--costs", "net.safetensors"], "is no table of costs"],
    [["--out", "net.packed"], "has to end in .secateur"],
  ])("refuses %j in one line", async (flags, message) => {
    const { folder, model } = await smallTask();
    const { code, stderr } = await call(["pack", model, "--out", "net.secateur", ...flags], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    await expect(stat(join(folder, "net.secateur"))).rejects.toThrow("ENOENT");
  });

  test("a checkpoint is no packed network", async () => {
    const { folder, model } = await smallTask();
    const { code, stderr } = await call(["unpack", model, "--out", join(folder, "x.safetensors")]);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("is no packed network") });
  });
});

test("secateur bench times the packed and the dense network, and a checkpoint in other runtimes that are installed", async () => {
  const { out, pruned } = await packedTask();
  const { code, stdout, stderr: said } = await call(["bench", out, pruned, "--json"]);
  expect(code, said).toBe(0);
  const results: { model: string; engine: string; medianMs: number; fastestMs: number }[] = JSON.parse(stdout);
  const own = ["secateur", "secateur-dense"];
  expect(results.map(({ engine }) => engine)).toEqual([...own, ...own, "tfjs-wasm"]);
  expect(results.map(({ model }) => model)).toEqual([out, out, pruned, pruned, pruned]);
  for (const result of results) {
    expect(result).toMatchObject({ threads: 1, runs: expect.any(Number) });
    expect(result.fastestMs).toBeLessThanOrEqual(result.medianMs);
  }
  const { code: tooMany, stderr } = await call(["bench", out, "--threads", "65"]);
  expect(tooMany).toBe(2);
  expect(stderr).toMatch(/--threads.*64/);
});

test("secateur bench --calibrate gives what pack --costs takes", async () => {
  const { folder, model } = await smallTask();
  const { code, stdout } = await call(["bench", "--calibrate", "--json"]);
  expect(code).toBe(0);
  await writeFile(join(folder, "costs.json"), stdout);
  expect((await call(["pack", model, "--out", "net.secateur", "--costs", "costs.json"], { cwd: folder })).code).toBe(0);
});
