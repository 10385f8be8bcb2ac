import { tmpdir } from "node:os";
import { isPruneError } from "@secateur/core";
import type { ShapedName } from "@secateur/formats";
import { architecture, architectureNames, paramSpecs, tensorSpecs } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { mapDataPaths } from "../../../recipe/data-spec.ts";
import { namedArchitecture } from "./described-architecture.ts";
import { resolveArchitecture } from "./resolve-architecture.ts";

const layers = (list: string) => `{"inputShape":[4],"classes":2,"layers":[${list}]}`;

describe("--arch", () => {
  test("describes perceptrons by their sizes", () => {
    const shapes = (name: string) => paramSpecs(namedArchitecture(name)).map((param) => [param.name, param.shape]);
    expect(shapes("mlp:6-5-3")).toEqual([
      ["fc1.weight", [5, 6]],
      ["fc1.bias", [5]],
      ["fc2.weight", [3, 5]],
      ["fc2.bias", [3]],
    ]);
    expect(shapes("mlp:6-3:nobias")).toEqual([["fc1.weight", [3, 6]]]);
  });

  test.each(architectureNames)("takes the layers of %s as data", (name) => {
    expect(namedArchitecture(JSON.stringify(architecture(name)))).toEqual(architecture(name));
  });

  for (const name of ["mlp", "mlp:", "mlp:6", "mlp:6-0", "mlp:6--3", "mlp:6-3:bias", "mlp:6-3.5", "mlp:06-3"]) {
    test(`'${name}' is refused with the form to use`, () => {
      expect(() => namedArchitecture(name)).toThrow(/allowed is mlp:SIZES/);
    });
  }
});

describe("a checkpoint's network", () => {
  const tensors = paramSpecs(architecture("mlpnet"));
  const base = { path: "net.safetensors", tensors, metadata: { "secateur.architecture": "lenet300" }, from: tmpdir() };

  test("is what the flag says, before what the file says, before what its tensors look like", async () => {
    expect(await resolveArchitecture({ ...base, flag: "mlp:2-2" })).toMatchObject({ name: "mlp:2-2", source: "flag" });
    expect(await resolveArchitecture({ ...base, flag: undefined })).toMatchObject({
      name: "lenet300",
      source: "metadata",
    });
    expect(await resolveArchitecture({ ...base, flag: undefined, metadata: {} })).toMatchObject({
      name: "mlpnet",
      source: "shapes",
    });
  });

  const told = (list: readonly ShapedName[]) =>
    resolveArchitecture({ ...base, metadata: {}, flag: undefined, tensors: list });
  const renamed = (name: string, from: RegExp, to: string): readonly ShapedName[] =>
    tensorSpecs(architecture(name)).map((tensor) => ({ ...tensor, name: tensor.name.replace(from, to) }));

  test("is not guessed from tensors in part", async () => {
    await expect(told(paramSpecs(architecture("lenet5")).slice(1))).rejects.toThrow(
      /conv1\.bias \[6\].*--arch.*net\.json/,
    );
  });

  test.each([
    ["resnet20a", /^fc\./, "linear."],
    ["resnet56a", /^fc\./, "linear."],
    ["resnet32", /^/, "body."],
    ["lenet300", /^fc/, "layers."],
  ])("%s is told from shapes under other names (%s is '%s')", async (name, from, to) => {
    expect(await told(renamed(name, from, to))).toMatchObject({ name, source: "shapes" });
  });

  test("of dense layers alone is told whatever their names", async () => {
    const layers = [
      { name: "hidden.weight", shape: [7, 5] },
      { name: "out.weight", shape: [2, 7] },
    ];
    expect((await told(layers)).name).toBe("mlp:5-7-2:nobias");
  });

  test("is a description as data, with names of its own", async () => {
    const text = JSON.stringify({
      inputShape: [1, 4, 4],
      classes: 3,
      layers: [{ kind: "flatten" }, { kind: "dense", name: "d", in: 16, out: 3, bias: true }, { kind: "log-softmax" }],
      map: { head: "d" },
    });
    const resolved = await resolveArchitecture({ ...base, flag: text });
    expect(paramSpecs(resolved.spec).map(({ name }) => name)).toEqual(["d.weight", "d.bias"]);
    expect(resolved.map).toEqual([["head", "d"]]);
  });

  test("is kept with the names that the user gave, so that it opens again", async () => {
    const flag = JSON.stringify({ map: { a: "fc1" } });
    const { name } = await resolveArchitecture({ ...base, flag });
    expect(JSON.parse(name)).toEqual({ arch: "lenet300", map: { a: "fc1" } });
    expect(await resolveArchitecture({ ...base, flag: name })).toMatchObject({ map: [["a", "fc1"]], source: "flag" });
  });

  test.each([
    ["{", /describes no network/],
    ["{}", /describes no network/],
    ['{"map":{"a":1}}', /describes no network/],
    ['{"inputShape":[0],"classes":2,"layers":[]}', /describes no network/],
    [layers('{"kind":"dense"}'), /layers\[0\]: its name is missing; dense takes name, \[inputs\], in, out, \[bias\]/],
    [layers('{"kind":"sparkle"}'), /layers\[0\]: its kind is "sparkle"; known kinds are dense, conv2d/],
    [layers('{"kind":"flatten"},7'), /layers\[1\]: found 7; give \{ "kind"/],
    [layers('{"kind":"relu","slope":1}'), /layers\[0\]: relu has no "slope"; relu takes \[name\]/],
    [layers('{"kind":"dense","name":"f","in":4,"out":"2"}'), /its out is "2"; give a whole number of at least 1/],
    ["mlp:784-100000000-10", /has 79500000010 parameters, allowed are at most 268435456/],
  ])("is not %s", async (flag, message) => {
    const error = await errorOf(resolveArchitecture({ ...base, flag }));
    expect(isPruneError(error)).toBe(true);
    expect((error as Error).message).toMatch(message);
  });

  test("that a file's metadata gets wrong is not blamed on --arch", async () => {
    const metadata = { "secateur.architecture": "\u001b[2Jmlpnett" };
    const error = (await errorOf(resolveArchitecture({ ...base, flag: undefined, metadata }))) as Error;
    expect(error.message).toMatch(/^net\.safetensors: its metadata secateur\.architecture: there is no network/);
    expect(error.message).not.toContain("\u001b");
  });
});

test("the paths of a data argument are changed, its name is not", () => {
  const upper = (path: string) => path.toUpperCase();
  expect(mapDataPaths("mnist", upper)).toBe("mnist");
  expect(mapDataPaths("mnist:dir", upper)).toBe("mnist:DIR");
  expect(mapDataPaths("a.npy", upper)).toBe("npy:A.NPY");
  expect(mapDataPaths("x.npy,y.npy", upper)).toBe("npy:X.NPY,Y.NPY");
  expect(mapDataPaths("npy:x.npy,y.npy", upper)).toBe("npy:X.NPY,Y.NPY");
  expect(mapDataPaths("npy:x.npy,", upper)).toBe("npy:X.NPY,");
});

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return await work.catch((error: unknown) => error);
}
