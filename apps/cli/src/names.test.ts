import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeSafetensors, encodeSafetensors, tensorOf } from "@secateur/formats";
import { createNetwork } from "@secateur/nn";
import { namedArchitecture } from "@secateur/run/node";
import { describe, expect, test } from "vitest";
import { call, halving, refused, type SmallTask, smallArch, smallTask, smallTensors } from "./testing.test-support.ts";

/** The small network under other names, without metadata. */
async function renamed(rename: (name: string) => string): Promise<SmallTask> {
  const task = await smallTask();
  const tensors = smallTensors().map((tensor) => ({ ...tensor, name: rename(tensor.name) }));
  await writeFile(task.model, encodeSafetensors({ tensors }));
  return task;
}

const names = async (path: string): Promise<readonly string[]> =>
  decodeSafetensors(await readFile(path))
    .tensors.map(({ name }) => name)
    .sort();

describe("a network whose tensors have other names", () => {
  test("is pruned without --arch, and what is written has the names of the file", async () => {
    const task = await renamed((name) => name.replace("fc1", "hidden").replace("fc2", "module.out"));
    const out = join(task.folder, "out.safetensors");
    const { code, stderr } = await call(halving(task, "--out", out));
    expect(code).toBe(0);
    expect(stderr).toContain("dropped 'module.' from 1 of 2 names");
    expect(stderr).toContain("found by shape and order: hidden is fc1, out is fc2");
    expect(await names(out)).toEqual(["hidden.weight", "out.weight"]);
    // What was written opens as it is.
    expect((await call(["eval", out, "--data", task.data])).code).toBe(0);
  });

  test("is refused with what was left undone where a mask is none", async () => {
    const task = await smallTask();
    const half = { ...tensorOf(new Float32Array(30).fill(0.5), { shape: [5, 6], dtype: "f32" }), name: "fc1.mask" };
    await writeFile(task.model, encodeSafetensors({ tensors: [...smallTensors(), half] }));
    expect(await refused([...halving(task), "--arch", smallArch])).toMatch(
      /not part of it: fc1\.mask.*in reading the file: not applied: 'fc1\.mask', a mask must .* hold only 0 and 1/,
    );
  });

  test("of equal shapes asks which is which, and takes the answer into the recipe", async () => {
    const task = await smallTask();
    const tensors = ["enc", "dec"].map((name) => {
      const data = Float32Array.from({ length: 36 }, (_, i) => Math.sin(i + name.length));
      return { name: `${name}.weight`, dtype: "f32", shape: [6, 6], data } as const;
    });
    await writeFile(task.model, encodeSafetensors({ tensors }));
    const arch = ["--arch", "mlp:6-6-6:nobias"];
    const message = await refused([...halving(task), ...arch]);
    expect(message).toMatch(/'fc1' may be 'dec' or 'enc'.*--map 'dec=fc1' \[ERR_TENSOR_NAMES\]/);
    const out = join(task.folder, "out.safetensors");
    const mapped = [...arch, "--map", "enc=fc1", "--map", "dec=fc2", "--out", out];
    expect((await call([...halving(task), ...mapped])).code).toBe(0);
    expect(await names(out)).toEqual(["dec.weight", "enc.weight"]);
    const before = await readFile(out);
    const recipe = join(task.folder, "out.recipe.json");
    expect((await call(["prune", "--recipe", recipe, "--force"])).code).toBe(0);
    expect(await readFile(out)).toEqual(before);
  });

  test("and layers of its own is described by a file", async () => {
    const task = await renamed((name) => name.replace("fc", "block."));
    const layers = [
      { kind: "dense", name: "a", in: 6, out: 5, bias: false },
      { kind: "silu" },
      { kind: "dense", name: "b", in: 5, out: 3, bias: false },
      { kind: "log-softmax" },
    ];
    await writeFile(join(task.folder, "net.json"), JSON.stringify({ inputShape: [6], classes: 3, layers }));
    const argv = ["eval", task.model, "--data", task.data, "--arch", "net.json", "--json"];
    const { code, stdout, stderr } = await call(argv, { cwd: task.folder });
    expect(stderr).toContain("block.1 is a, block.2 is b");
    expect(code).toBe(0);
    // Another activation gives other numbers than ReLU.
    const plain = await call(["eval", task.model, "--data", task.data, "--arch", smallArch, "--json"]);
    expect((JSON.parse(stdout) as { loss: number }).loss).not.toBe((JSON.parse(plain.stdout) as { loss: number }).loss);
  });
});

describe("the types of a file's tensors", () => {
  test.each(["f16", "bf16", "f64"] as const)("%s are written again, and a note says so", async (dtype) => {
    const task = await smallTask();
    const tensors = smallTensors().map((tensor) => ({
      name: tensor.name,
      ...tensorOf(tensor.data, { ...tensor, dtype }),
    }));
    await writeFile(task.model, encodeSafetensors({ tensors, metadata: { "secateur.architecture": smallArch } }));
    const out = join(task.folder, "out.safetensors");
    const { stderr } = await call(halving(task, "--out", out));
    expect(stderr).toContain(
      `holds ${dtype}; it is computed in f32, and what is written has the types of the file again`,
    );
    const written = decodeSafetensors(await readFile(out));
    expect(written.tensors.map((tensor) => tensor.dtype)).toEqual([dtype, dtype]);
    const zeros = written.tensors.flatMap(({ data }) => Array.from(data, Number)).filter((value) => value === 0);
    expect(zeros).toHaveLength(45 - 22);
  });

  test("of whole numbers are no weights: their scale is not in the file", async () => {
    const task = await smallTask();
    const tensors = smallTensors().map(({ name, shape, data }) => {
      return { name, shape, dtype: "i8", data: Int8Array.from(data, (x) => Math.round(50 * x)) } as const;
    });
    await writeFile(task.model, encodeSafetensors({ tensors }));
    expect(await refused([...halving(task), "--arch", smallArch])).toMatch(/holds i8 numbers where weights belong/);
  });
});

describe("training goes on from a pruned network", () => {
  test("with its zeros, says so, and the file says what is true of it", async () => {
    const task = await smallTask();
    const pruned = join(task.folder, "pruned.safetensors");
    await call(halving(task, "--out", pruned));
    const out = join(task.folder, "trained.safetensors");
    const train = ["train", pruned, "--data", task.data, "--epochs", "1", "--out", out, "--force"];
    const { stderr, code } = await call(train);
    expect(code).toBe(0);
    expect(stderr).toContain("its zeros stay zero, since it is pruned; --no-keep-zeros trains them too");
    const zeros = async (): Promise<number> => {
      const { tensors } = decodeSafetensors(await readFile(out));
      return tensors.flatMap(({ data }) => Array.from(data, Number)).filter((value) => value === 0).length;
    };
    expect(await zeros()).toBe(45 - 22);
    expect(decodeSafetensors(await readFile(out)).metadata).toMatchObject({ "secateur.solver": "magnitude" });
    expect((await call([...train, "--no-keep-zeros"])).code).toBe(0);
    expect(await zeros()).toBeLessThan(5);
    expect(decodeSafetensors(await readFile(out)).metadata).not.toHaveProperty("secateur.solver");
  });
});

describe("weights that are one tensor", () => {
  test("are pruned as one, count once, stay equal, and the file that is written says so", async () => {
    const { folder, data } = await smallTask();
    const network = createNetwork(namedArchitecture("mlp:6-5-5-5-3:nobias"), { seed: 4 });
    const tensors = network.tensors().map(({ name, shape, data: values }) => {
      const shared = name === "fc3.weight" ? network.weights.get("fc2.weight")!.data : values;
      return { name, shape, dtype: "f32", data: Float32Array.from(shared) } as const;
    });
    const model = join(folder, "tied.safetensors");
    const tied = JSON.stringify([["fc2.weight", "fc3.weight"]]);
    await writeFile(model, encodeSafetensors({ tensors, metadata: { "secateur.tied": tied } }));
    for (const flags of [
      ["--solver", "magnitude"],
      ["--solver", "woodfisher", "--examples", "30"],
    ]) {
      const out = join(folder, "out.safetensors");
      const argv = ["prune", model, "--data", data, ...flags, "--sparsity", "0.5", "--out", out, "--force"];
      const { code, stdout, stderr } = await call([...argv, "--json"]);
      expect([code, stderr]).toEqual([0, expect.stringMatching(/fc2\.weight, fc3\.weight are one tensor.*stay equal/)]);
      expect(JSON.parse(stdout)).toMatchObject({ prunable: 30 + 25 + 15, nonzeros: 35 });
      const written = decodeSafetensors(await readFile(out));
      const values = (name: string) => written.tensors.find((tensor) => tensor.name === name)!.data;
      expect(values("fc3.weight")).toEqual(values("fc2.weight"));
      expect(written.metadata["secateur.tied"]).toBe(tied);
      expect((await call(["eval", out, "--data", data])).stderr).toMatch(/are one tensor/);
    }
    const retrained = [
      "prune",
      model,
      "--data",
      data,
      "--solver",
      "magnitude",
      "--retrain",
      "llr",
      "--retrain-epochs",
      "1",
    ];
    expect((await call(retrained)).stderr).toMatch(/warning: .*are one tensor.*come apart/);
  });

  test("are not taken for one where they differ, or the entry makes no sense", async () => {
    const { model, data, folder } = await smallTask();
    for (const tied of ['[["fc1.weight","fc2.weight"]]', "[[1]]", "{", '[["fc1.weight"]]', '[["x","y"]]']) {
      const metadata = { "secateur.architecture": smallArch, "secateur.tied": tied };
      await writeFile(model, encodeSafetensors({ tensors: smallTensors(), metadata }));
      const out = join(folder, "o.safetensors");
      const { code, stderr } = await call([
        "prune",
        model,
        "--data",
        data,
        "--solver",
        "magnitude",
        "--out",
        out,
        "--force",
      ]);
      expect([code, stderr]).toEqual([0, expect.not.stringContaining("one tensor")]);
    }
  });
});
