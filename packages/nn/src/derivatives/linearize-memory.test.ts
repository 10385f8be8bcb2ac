import { createWasmKernels } from "@secateur/backends-wasm";
import { arrayDataset, createRng, createRunContext, type Dataset, matrix } from "@secateur/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import { createNetwork } from "../network.ts";

const rng = createRng("linearize");
const inputs = matrix(
  50,
  6,
  Float32Array.from({ length: 300 }, () => rng.normal()),
);
const data = arrayDataset({ inputs, labels: Array.from({ length: 50 }, (_, i) => i % 3), classes: 3 });
const examples = Uint32Array.from({ length: 40 }, (_, i) => (7 * i) % 50);
const network = createNetwork(mlp({ sizes: [6, 5, 3] }), { seed: 1 });
const params = ["fc1.weight", "fc2.weight"];

let kernels: Awaited<ReturnType<typeof createWasmKernels>>;
beforeAll(async () => {
  kernels = await createWasmKernels({ threads: 1 });
});
afterAll(() => kernels.close());
const linearize = (from: Dataset, names = params) =>
  network.linearize({ data: from, params: names, examples } as never, createRunContext({ kernels }));

test("the sample has its numbers until release, whatever else takes memory", async () => {
  const J = await linearize(data);
  const { inputs: expected } = await data.batch(examples);
  const others = Array.from({ length: 20 }, () => kernels.alloc(240, "f32").fill(Number.NaN));
  J.backward({ output: { shape: [40, 3], data: new Float32Array(120).fill(1) } }, new Float32Array(J.dim));
  const { inputs: found } = await J.sample.batch(Uint32Array.from({ length: 40 }, (_, i) => i));
  expect(found["input"]!.data).toEqual(expected["input"]!.data);
  for (const vector of others) kernels.free(vector);
  J.release();
});

test("what could not be linearised leaves no memory behind, and neither does room that a dataset does without", async () => {
  const before = kernels.usedBytes();
  const broken: Dataset = {
    ...data,
    batch(indices, room) {
      room!(6 * indices.length);
      throw new Error("planted");
    },
  };
  await expect(linearize(broken)).rejects.toThrow("planted");
  expect(kernels.usedBytes()).toBe(before);
  await expect(linearize(data, ["fc9.weight"])).rejects.toMatchObject({ code: "ERR_UNKNOWN_NAME" });
  expect(kernels.usedBytes()).toBe(before);
  const proud: Dataset = {
    ...data,
    batch(indices, room) {
      room!(1_000_000);
      return data.batch(indices);
    },
  };
  const J = await linearize(proud);
  expect(kernels.usedBytes() - before).toBeLessThan(1_000_000);
  J.release();
  expect(kernels.usedBytes()).toBe(before);
});
