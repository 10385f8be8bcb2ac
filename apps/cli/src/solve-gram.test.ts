import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRng } from "@secateur/core";
import { decodeNpy, encodeNpy } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { call, refused, smallProblem, temporaryFolder } from "./testing.test-support.ts";

const [out, inputs, examples] = [3, 8, 40];

/** H = X'X of some inputs and weights of three outputs, in files. */
async function smallLayer(change: (H: Float64Array) => void = () => {}) {
  const folder = await temporaryFolder();
  const rng = createRng(5);
  const X = Float64Array.from({ length: examples * inputs }, () => rng.normal());
  const H = new Float64Array(inputs * inputs);
  for (let e = 0; e < examples; e++) {
    for (let i = 0; i < inputs; i++) {
      for (let j = 0; j < inputs; j++) H[i * inputs + j]! += X[e * inputs + i]! * X[e * inputs + j]!;
    }
  }
  change(H);
  const W = Float32Array.from({ length: out * inputs }, () => rng.normal());
  const gram = join(folder, "H.npy");
  const weights = join(folder, "W.npy");
  await writeFile(gram, encodeNpy({ shape: [inputs, inputs], data: H }));
  await writeFile(weights, encodeNpy({ shape: [out, inputs], data: W }));
  return { folder, gram, weights, H, W };
}

/** tr(D H D') */
function energyOf(D: Float64Array, H: Float64Array): number {
  let sum = 0;
  for (let r = 0; r < out; r++) {
    for (let i = 0; i < inputs; i++) {
      for (let j = 0; j < inputs; j++) sum += D[r * inputs + i]! * H[i * inputs + j]! * D[r * inputs + j]!;
    }
  }
  return sum;
}

describe("solve --gram", () => {
  test("writes weights of the relative error and the objective that it says", async () => {
    for (const solver of ["layerwise", "obc", "alps", "sparsegpt", "wanda", "sparseswaps"]) {
      const { folder, gram, weights, H, W } = await smallLayer();
      const to = join(folder, `${solver}.npy`);
      const argv = ["solve", "--gram", gram, "--weights", weights, "--solver", solver, "--sparsity", "0.5"];
      const { code, stdout, stderr } = await call([...argv, "--out", to, "--json"]);
      expect([code, stderr]).toEqual([0, ""]);
      const document = JSON.parse(stdout) as Record<string, number>;
      const written = decodeNpy(await readFile(to));
      expect([written.dtype, written.shape]).toEqual(["f32", [out, inputs]]);
      const change = Float64Array.from(written.data as Float32Array, (value, i) => value - W[i]!);
      const energy = energyOf(Float64Array.from(W), H);
      // The same sums in another order.
      expect(document["relativeError"]).toBeCloseTo(energyOf(change, H) / energy, 12);
      expect(document["objective"]! / energy).toBeCloseTo(energyOf(change, H) / 2 / energy, 12);
      expect(document["nonzeros"]).toBe(12);
    }
  });

  test("takes layerwise by default, meets patterns in every row, and does not depend on the scale of H", async () => {
    const plain = await smallLayer();
    const scaled = await smallLayer((H) => {
      H.forEach((value, i) => {
        H[i] = 1024 * value;
      });
    });
    const written: Float32Array[] = [];
    for (const { folder, gram, weights } of [plain, scaled]) {
      const to = join(folder, "out.npy");
      const argv = ["solve", "--gram", gram, "--weights", weights, "--units", "of-every:1/4", "--out", to, "--json"];
      const { stdout } = await call(argv);
      expect(JSON.parse(stdout)).toMatchObject({ solver: "layerwise", nonzeros: 6 });
      written.push(decodeNpy(await readFile(to)).data as Float32Array);
    }
    const [w, same] = written;
    for (let group = 0; group < 6; group++) {
      expect(w!.subarray(4 * group, 4 * group + 4).filter((value) => value !== 0)).toHaveLength(1);
    }
    expect(same).toEqual(w);
  });

  test("refuses an H that does not belong to the weights or is no second moment", async () => {
    const { gram, weights, folder } = await smallLayer();
    const narrow = join(folder, "narrow.npy");
    await writeFile(narrow, encodeNpy({ shape: [4, 6], data: new Float32Array(24).fill(1) }));
    const solve = (...more: string[]) => refused(["solve", ...more]);
    expect(await solve("--gram", gram, "--weights", narrow, "--sparsity", "0.5")).toMatch(/expected \[6, 6\]/);
    const lopsided = await smallLayer((H) => {
      H[1] = 1000;
    });
    const negative = await smallLayer((H) => {
      H[1] = H[8] = 1000;
    });
    const at = (layer: { gram: string; weights: string }) => ["--gram", layer.gram, "--weights", layer.weights];
    expect(await solve(...at(lopsided), "--sparsity", "0.5")).toMatch(/H\[1, 0\].*ERR_NOT_SYMMETRIC/);
    expect(await solve(...at(negative), "--sparsity", "0.5")).toMatch(/ERR_NOT_SEMIDEFINITE/);
    expect(await solve("--gram", gram, "--weights", weights)).toMatch(/--sparsity/);
    expect(await solve("--gram", gram, "--weights", weights, "--units", "2:4")).toMatch(/of-every:KEEP\/OF/);
    const both = ["--gram", gram, "--gradients", gram, "--weights", weights, "--sparsity", "0.5"];
    expect(await solve(...both)).toMatch(/give one of them/);
    const rows = await smallProblem();
    const units = ["--gradients", rows.gradients, "--weights", rows.weights, "--units", "of-every:2/4"];
    expect(await solve(...units)).toMatch(/--units would change nothing/);
  });
});
