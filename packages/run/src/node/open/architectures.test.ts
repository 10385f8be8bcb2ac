import { tmpdir } from "node:os";
import { architecture, paramSpecs } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { mapDataPaths } from "../../recipe/data-spec.ts";
import { namedArchitecture, resolveArchitecture } from "./architectures.ts";

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

  for (const name of ["mlp", "mlp:", "mlp:6", "mlp:6-0", "mlp:6--3", "mlp:6-3:bias", "mlp:6-3.5", "mlp:06-3"]) {
    test(`'${name}' is refused with the form to use`, () => {
      expect(() => namedArchitecture(name)).toThrow(/allowed is mlp:SIZES/);
    });
  }
});

describe("a checkpoint's network", () => {
  const tensors = paramSpecs(architecture("mlpnet"));
  const from = tmpdir();
  const base = { from, path: "net.safetensors", tensors, metadata: { "secateur.architecture": "lenet300" } };

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

  test("is not guessed from tensors in part", async () => {
    await expect(
      resolveArchitecture({ ...base, flag: undefined, metadata: {}, tensors: tensors.slice(1) }),
    ).rejects.toThrow(/fc2\.weight \[20, 40\].*--arch/);
  });
});

test("the paths of a data argument are changed, its name is not", () => {
  const upper = (path: string) => path.toUpperCase();
  expect(mapDataPaths("mnist", upper)).toBe("mnist");
  expect(mapDataPaths("mnist:dir", upper)).toBe("mnist:DIR");
  expect(mapDataPaths("npy:x.npy,y.npy", upper)).toBe("npy:X.NPY,Y.NPY");
  expect(mapDataPaths("npy:x.npy,", upper)).toBe("npy:X.NPY,");
});
