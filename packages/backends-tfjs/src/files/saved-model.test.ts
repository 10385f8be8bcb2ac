import { createRunContext, inputRows, isPruneError, prune } from "@secateur/core";
import { magnitude } from "@secateur/solvers-magnitude";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test, vi } from "vitest";
import {
  all,
  type Files,
  filesOf,
  graphFiles,
  randomData,
  reader,
  savedFiles,
  seeded,
  smallModels,
  useEngine,
} from "../testing.test-support.ts";
import { type ModelJson, readModelFiles, type WeightSpec } from "./model-files.ts";
import { loadModel } from "./saved-model.ts";
import { decodeWeight, encodeWeight, floatToHalf, halfToFloat } from "./weight-bytes.ts";

beforeAll(() => useEngine("wasm"));

describe("a model goes from files to files", () => {
  for (const [what, [shape, make]] of Object.entries(smallModels)) {
    test(`with ${what}`, async () => {
      const original = seeded(make());
      await roundTrip(await savedFiles(original), shape, (files) =>
        tf.loadLayersModel({ load: async () => artifacts(files) }),
      );
      original.dispose();
    });
  }

  test("with a graph", async () => {
    const { files, shape } = graphFiles();
    await roundTrip(files, shape, (saved) => tf.loadGraphModel({ load: async () => artifacts(saved) }));
  });

  /** Prunes half of the weights and loads what was written in plain TensorFlow.js. */
  async function roundTrip(
    files: Files,
    shape: readonly number[],
    load: (files: ReadonlyMap<string, Uint8Array>) => Promise<tf.LayersModel | tf.GraphModel>,
  ): Promise<void> {
    const before = tf.memory().numTensors;
    const model = await loadModel({ tf, source: "net/model.json", read: reader(files) });
    const data = randomData(shape);
    expect(await model.encode()).toEqual(files); // nothing written: the same bytes
    const { sparsity } = await prune({ model, solver: magnitude(), sparsity: 0.5 });
    expect(sparsity).toBeCloseTo(0.5, 1);
    const saved = await model.encode();
    expect([...saved.keys()]).toEqual([...files.keys()]);
    expect(saved.get("model.json")).toEqual(files.get("model.json"));
    const plain = await load(saved);
    const inputs = inputRows(await data.batch(all(data)));
    const x = tf.tensor(inputs.data as Float32Array, [data.size, ...shape]);
    const found = tf.tidy(() => plain.predict(x) as tf.Tensor);
    const { accuracy, loss } = await model.evaluate(data, createRunContext());
    const outputs = found.arraySync() as number[][];
    const right = outputs.filter((row, i) => row.indexOf(Math.max(...row)) === i % 4).length;
    expect(accuracy).toBe(10 * right);
    expect(Number.isFinite(loss)).toBe(true);
    // What is saved is what is there.
    const again = await loadModel({ tf, source: "net/model.json", read: reader(saved) });
    for (const { name, prunable } of model.params()) {
      if (prunable) expect((await again.read(name)).data).toEqual((await model.read(name)).data);
    }
    for (const one of [model, again, plain]) one.dispose();
    tf.dispose([x, found]);
    if (!(files.get("model.json")!.length > 0 && isShared(files))) expect(tf.memory().numTensors).toBe(before);
  }
});

/** TensorFlow.js itself does not free a layer that is used twice. */
function isShared(files: Files): boolean {
  const text = new TextDecoder().decode(files.get("model.json"));
  return /"inbound_nodes":\[\[\[[^\]]*\]\],\[\[/.test(text);
}

function artifacts(files: ReadonlyMap<string, Uint8Array>): tf.io.ModelArtifacts {
  const { weightsManifest, ...json } = JSON.parse(new TextDecoder().decode(files.get("model.json"))) as ModelJson;
  const parts = weightsManifest.flatMap(({ paths }) => paths.map((path) => files.get(path)!));
  const weightData = new Uint8Array(parts.flatMap((part) => [...part])).buffer;
  const weightSpecs = weightsManifest.flatMap(({ weights }) => weights) as unknown as tf.io.WeightsManifestEntry[];
  return { ...json, weightSpecs, weightData } as tf.io.ModelArtifacts;
}

describe("quantised weights", () => {
  for (const dtype of ["uint8", "uint16", "float16"] as const) {
    test(`of ${dtype} stay so, with zeros that are zero, and what is evaluated is what is saved`, async () => {
      const [shape, make] = smallModels["dense layers"]!;
      const original = seeded(make());
      const files = quantised(await savedFiles(original), dtype);
      original.dispose();
      const model = await loadModel({ tf, source: "net/model.json", read: reader(files) });
      await prune({ model, solver: magnitude(), sparsity: 0.6 });
      const saved = await model.encode();
      for (const shard of ["a.bin", "b.bin"]) expect(saved.get(shard)!.length).toBe(files.get(shard)!.length);
      const again = await loadModel({ tf, source: "net/model.json", read: reader(saved) });
      const data = randomData(shape);
      const ctx = createRunContext();
      expect(await again.evaluate(data, ctx)).toEqual(await model.evaluate(data, ctx));
      let zeros = 0;
      for (const { name, prunable } of again.params()) {
        const { data: values } = await again.read(name);
        expect(values).toEqual((await model.read(name)).data);
        if (prunable) zeros += values.filter((value) => value === 0).length;
      }
      expect(zeros).toBeGreaterThanOrEqual(30); // 60 % of 50
      const plain = await tf.loadLayersModel({ load: async () => artifacts(saved) });
      expect(plain.weights[0]!.read().dataSync()).toEqual(await model.stored(plain.weights[0]!.originalName));
      for (const one of [model, again, plain]) one.dispose();
    });
  }

  test("are on a grid with zero and within half a step of what they were", () => {
    for (const range of [
      [-3, 5],
      [0.5, 2],
      [-7, -1],
      [0, 0],
    ] as const) {
      const values = Float32Array.from({ length: 40 }, (_, i) => range[0] + ((range[1] - range[0]) * i) / 39);
      values[3] = 0;
      for (const dtype of ["uint8", "uint16"]) {
        const { spec, bytes } = encodeWeight(
          { name: "w", shape: [40], dtype: "float32", quantization: { dtype } },
          values,
        );
        const decoded = decodeWeight(spec, bytes)!;
        expect(decoded[3]).toBe(0);
        values.forEach((value, i) => {
          // Zero on the grid may cost the last step at the far end.
          expect(Math.abs(decoded[i]! - value)).toBeLessThanOrEqual(1.01 * spec.quantization!.scale!);
        });
      }
    }
  });

  test("of half precision are the nearest halves", () => {
    for (let half = 0; half < 0x7c00; half++) {
      expect(floatToHalf(halfToFloat(half))).toBe(half);
      expect(floatToHalf(-halfToFloat(half))).toBe(half | 0x8000);
      const next = half + 1 < 0x7c00 ? halfToFloat(half + 1) : 65536;
      const middle = (halfToFloat(half) + next) / 2;
      expect(floatToHalf(middle)).toBe(half % 2 === 0 ? half : half + 1); // ties to even
    }
    expect(halfToFloat(floatToHalf(Number.NaN))).toBeNaN();
  });
});

/** The same model with its weights quantised, as tensorflowjs_converter would have done. */
function quantised(files: Files, dtype: "uint8" | "uint16" | "float16"): Files {
  const { weightSpecs, weightData, ...json } = artifacts(files);
  const specs: WeightSpec[] = [];
  const parts: number[] = [];
  let start = 0;
  for (const spec of weightSpecs as unknown as WeightSpec[]) {
    const size = spec.shape.reduce((product, extent) => product * extent, 1);
    const values = new Float32Array((weightData as ArrayBuffer).slice(start, start + 4 * size));
    start += 4 * size;
    const encoded = encodeWeight({ ...spec, quantization: { dtype } }, values);
    specs.push(encoded.spec);
    parts.push(...encoded.bytes);
  }
  return filesOf(json as unknown as ModelJson, specs, Uint8Array.from(parts));
}

describe("bad files are refused", () => {
  const cases: readonly (readonly [what: string, spoil: (files: Files) => void, code: string, message: RegExp])[] = [
    [
      "a missing shard",
      (files) => files.delete("b.bin"),
      "ERR_TFJS_SHARD",
      /weights file 'b\.bin' cannot be read .*beside model\.json/,
    ],
    [
      "a shard that is too short",
      (files) => files.set("b.bin", files.get("b.bin")!.slice(0, -3)),
      "ERR_TFJS_SHARD",
      /hold \d+ bytes and the manifest describes \d+/,
    ],
    [
      "a shard that is too long",
      (files) => files.set("a.bin", new Uint8Array(9999)),
      "ERR_TFJS_SHARD",
      /hold \d+ bytes and the manifest describes \d+/,
    ],
    [
      "an unknown dtype",
      (files) => edit(files, '"float32"', '"bfloat16"'),
      "ERR_TFJS_DTYPE",
      /dtype 'bfloat16'; known: float32/,
    ],
    [
      "no JSON",
      (files) => files.set("model.json", Uint8Array.of(123, 34)),
      "ERR_TFJS_MODEL",
      /expected JSON with modelTopology/,
    ],
    ["no topology", (files) => edit(files, "modelTopology", "topology"), "ERR_TFJS_MODEL", /found no modelTopology/],
    [
      "no manifest",
      (files) => edit(files, "weightsManifest", "weights_"),
      "ERR_TFJS_MODEL",
      /found no weightsManifest/,
    ],
    [
      "another format",
      (files) => edit(files, '"layers-model"', '"tflite"'),
      "ERR_TFJS_MODEL",
      /format 'tflite', expected layers-model or graph-model/,
    ],
    [
      "a format that is no text",
      (files) => edit(files, '"layers-model"', '{"toString":1}'),
      "ERR_TFJS_MODEL",
      /the format \{"toString":1\}, expected/,
    ],
    [
      "brackets nested too deep",
      (files) => edit(files, '"layers-model"', `"layers-model","x":${"[".repeat(1e5)}${"]".repeat(1e5)}`),
      "ERR_TFJS_MODEL",
      /nested deeper than 200, expected at most 200 levels/,
    ],
    [
      "one shard again and again",
      (files) => edit(files, '"a.bin"', '"a.bin","a.bin"'),
      "ERR_TFJS_MODEL",
      /the weights file 'a\.bin' twice, expected each file once/,
    ],
    [
      "too many shards",
      (files) => edit(files, '"a.bin"', Array.from({ length: 10_001 }, (_, i) => `"${i}.bin"`).join(",")),
      "ERR_TFJS_MODEL",
      /more than 10000 weights files, expected at most 10000/,
    ],
    [
      "a quantisation that is no number",
      (files) =>
        edit(files, '"dtype":"float32"', '"dtype":"float32","quantization":{"dtype":"uint8","min":{"toString":1}}'),
      "ERR_TFJS_MODEL",
      /expected a dtype, and finite numbers as scale and min/,
    ],
    [
      "a shape of the topology that is none",
      (files) => edit(files, '"batch_input_shape":[null', '"batch_input_shape":[""'),
      "ERR_TFJS_MODEL",
      /TensorFlow\.js does not load this model/,
    ],
    [
      "layers of Keras 3",
      (files) => {
        edit(files, "batch_input_shape", "batch_shape");
        edit(files, '"keras_version":"tfjs-layers 4.22.0"', '"keras_version":"3.3.3"');
      },
      "ERR_TFJS_MODEL",
      /exported by Keras 3\.3\.3.*TF_USE_LEGACY_KERAS=1/,
    ],
    [
      "a shard outside the folder",
      (files) => edit(files, '"a.bin"', '"../a.bin"'),
      "ERR_TFJS_MODEL",
      /'\.\.\/a\.bin', expected a name inside/,
    ],
    [
      "a damaged weight entry",
      (files) => edit(files, '"shape":[6,5]', '"shape":[6,-5]'),
      "ERR_TFJS_MODEL",
      /found the weight/,
    ],
    [
      "a layer that nobody knows",
      (files) => edit(files, '"class_name":"Dense"', '"class_name":"Sparkle"'),
      "ERR_TFJS_MODEL",
      /does not load this model: .*Sparkle/,
    ],
  ];
  for (const [what, spoil, code, message] of cases) {
    test(what, async () => {
      const [, make] = smallModels["dense layers"]!;
      const original = seeded(make());
      const files = await savedFiles(original);
      original.dispose();
      spoil(files);
      const error = await loadModel({ tf, source: "net/model.json", read: reader(files) }).catch(
        (caught: unknown) => caught,
      );
      if (!isPruneError(error)) throw error;
      expect(error.code).toBe(code);
      expect(error.message).toMatch(message);
      expect(error.message).toContain("net/model.json");
      expect(error.fault).toBe("input");
    });
  }

  test("what is not quantised by us is read as well: whole numbers, flags and texts", async () => {
    const text = Uint8Array.of(2, 0, 0, 0, 104, 105, 1, 0, 0, 0, 33);
    const specs: WeightSpec[] = [
      { name: "s", shape: [2], dtype: "string" },
      { name: "b", shape: [3], dtype: "bool" },
      { name: "i", shape: [], dtype: "int32" },
    ];
    const files = filesOf({ modelTopology: { node: [] } }, specs, Uint8Array.from([...text, 1, 0, 1, 7, 0, 0, 0]));
    const read = await readModelFiles({ source: "x", read: reader(files) });
    expect(read.kind).toBe("graph");
    expect(read.weights.map(({ offset, bytes }) => [offset, bytes])).toEqual([
      [0, 11],
      [11, 3],
      [14, 4],
    ]);
    expect(decodeWeight(specs[2]!, read.data.subarray(14, 18))).toEqual(Int32Array.of(7));
  });
});

describe("the default fetch stays in the model's folder:", () => {
  for (const path of ["%2e%2e/secret.bin", "sub/%2E%2e/%2e./secret.bin", "..%2f..\\\\secret.bin", "a.bin?x=1#y"]) {
    test(path, async () => {
      const [, make] = smallModels["dense layers"]!;
      const original = seeded(make());
      const files = await savedFiles(original);
      original.dispose();
      edit(files, '"a.bin"', `"${path}"`);
      const asked: string[] = [];
      vi.stubGlobal("fetch", async (url: string) => {
        asked.push(url);
        const bytes = files.get(url.slice(url.lastIndexOf("/") + 1));
        return bytes === undefined ? new Response(null, { status: 404 }) : new Response(bytes.slice());
      });
      const source = "https://example.com/models/net/model.json";
      const error = await loadModel({ tf, source }).catch((caught: unknown) => caught);
      vi.unstubAllGlobals();
      if (!isPruneError(error)) throw error;
      expect(error.message).toContain(source);
      expect(asked.every((url) => url.startsWith("https://example.com/models/net/"))).toBe(true);
    });
  }
});

function edit(files: Files, from: string, to: string): void {
  const text = new TextDecoder().decode(files.get("model.json"));
  expect(text).toContain(from);
  files.set("model.json", new TextEncoder().encode(text.replaceAll(from, to)));
}
