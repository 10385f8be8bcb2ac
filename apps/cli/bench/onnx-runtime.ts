/** Installed onnxruntimes, and inputs for them and for our graphs. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Batch, createRng, type Tensor } from "@secateur/core";
import type { OnnxModel } from "@secateur/formats";

/** What onnxruntime-node and onnxruntime-web have in common. */
export interface Runtime {
  readonly InferenceSession: {
    create(
      model: Uint8Array | string,
      options: object,
    ): Promise<{
      readonly inputNames: readonly string[];
      run(feeds: object): Promise<Readonly<Record<string, { readonly data: ArrayLike<number | bigint> }>>>;
    }>;
  };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => object;
  readonly env: { readonly wasm: { numThreads?: number } };
}

/** A runtime that a folder has installed. @throws where it has not */
export async function openRuntime(name: "onnxruntime-node" | "onnxruntime-web", folder: string): Promise<Runtime> {
  const path = createRequire(join(folder, "package.json")).resolve(name);
  const module = (await import(pathToFileURL(path).href)) as { readonly default?: Runtime } & Runtime;
  return module.default?.InferenceSession ? module.default : module;
}

/** Shapes of inputs by file and name. */
export type Shapes = ReadonlyMap<string, Readonly<Record<string, readonly number[]>>>;

/** Reads "FILE:INPUT=2x3,INPUT=4". */
export function readShapes(texts: readonly string[]): Shapes {
  return new Map(
    texts.map((text) => {
      const colon = text.indexOf(":");
      const entries = text
        .slice(colon + 1)
        .split(",")
        .map((one) => one.split("=") as [string, string]);
      const own = entries.map(([name, extents]) => [name, extents.split("x").filter(Boolean).map(Number)] as const);
      return [text.slice(0, colon), Object.fromEntries(own)] as const;
    }),
  );
}

/** Inputs that are constants, by file and name. */
export type Constants = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Reads "FILE:INPUT=16000,INPUT=0". */
export function readConstants(texts: readonly string[]): Constants {
  const read = [...readShapes(texts)].map(([file, entries]) => {
    return [file, new Map(Object.entries(entries).map(([name, [number = 0]]) => [name, number]))] as const;
  });
  return new Map(read);
}

/** What is said of the inputs of one file. */
export interface InputsSpec {
  readonly shapes?: Readonly<Record<string, readonly number[]>> | undefined;
  readonly fixed?: ReadonlyMap<string, number> | undefined;
}

/** Numbers in [-1, 1) and whole ones below 8 for every input, the same every time, but for constants. */
export function inputsOf(model: OnnxModel, runtime: Runtime, { shapes = {}, fixed = new Map() }: InputsSpec) {
  const rng = createRng(1);
  const feeds: Record<string, object> = {};
  const inputs: Record<string, Tensor> = {};
  let size = 1;
  for (const { name, dtype, shape = [] } of model.graph.inputs) {
    const own = shapes[name] ?? shape.map((extent, i) => (typeof extent === "number" ? extent : i === 0 ? 2 : 64));
    const length = own.reduce((product, extent) => product * extent, 1);
    const constant = fixed.get(name);
    if (constant === undefined) size = own[0] ?? 1;
    if (dtype === "f32") {
      const data = Float32Array.from({ length }, () => constant ?? 2 * rng.next() - 1);
      inputs[name] = { shape: own, data };
      feeds[name] = new runtime.Tensor("float32", data, own);
    } else {
      const data = Int32Array.from({ length }, () => constant ?? rng.integer(8));
      inputs[name] = { shape: own, data };
      feeds[name] =
        dtype === "i64"
          ? new runtime.Tensor("int64", BigInt64Array.from(data, BigInt), own)
          : new runtime.Tensor("int32", data, own);
    }
  }
  const batch: Batch = { size, inputs };
  return { batch, feeds, inputs };
}

/** The largest difference from what a runtime gives, as a share of its largest number, or of 1: its sigmoid is right to some 1e-7 only. */
export function differenceOf(found: ArrayLike<number>, wanted: ArrayLike<number | bigint>): number {
  let [worst, scale] = [0, 1];
  for (let i = 0; i < wanted.length; i++) {
    worst = Math.max(worst, Math.abs(found[i]! - Number(wanted[i])));
    scale = Math.max(scale, Math.abs(Number(wanted[i])));
  }
  return found.length === wanted.length ? worst / scale : Number.NaN;
}
