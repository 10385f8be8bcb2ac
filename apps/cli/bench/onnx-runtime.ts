/** Installed onnxruntimes, and inputs for them and for our graphs. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Batch, createRng, type Tensor } from "@secateur/core";
import type { OnnxModel } from "@secateur/formats";
import { withExamplesFirst } from "@secateur/graph";

/** What onnxruntime-node and onnxruntime-web have in common. */
export interface Runtime {
  readonly InferenceSession: {
    create(
      model: Uint8Array | string,
      options: object,
    ): Promise<{
      readonly inputNames: readonly string[];
      run(feeds: object): Promise<Readonly<Record<string, RuntimeTensor>>>;
    }>;
  };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => object;
  readonly env: { readonly wasm: { numThreads?: number } };
}

/** What a runtime computes. */
export interface RuntimeTensor {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number | bigint>;
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
  /** Axes of inputs that count examples, where they are not the first. */
  readonly axes: ReadonlyMap<string, number>;
}

/**
 * Numbers in [-1, 1) and whole ones below 8 for every input, the same every time, but for constants: `feeds` as the model has them, `batch` with examples
 * first, as our graphs take them.
 */
export function inputsOf(model: OnnxModel, runtime: Runtime, { shapes = {}, fixed = new Map(), axes }: InputsSpec) {
  const rng = createRng(1);
  const feeds: Record<string, object> = {};
  const inputs: Record<string, Tensor> = {};
  let size = 1;
  for (const { name, dtype, shape = [] } of model.graph.inputs) {
    const own = shapes[name] ?? shape.map((extent, i) => (typeof extent === "number" ? extent : i === 0 ? 2 : 64));
    const length = own.reduce((product, extent) => product * extent, 1);
    const constant = fixed.get(name);
    const isReal = dtype === "f32";
    const data = Float32Array.from({ length }, () => constant ?? (isReal ? 2 * rng.next() - 1 : rng.integer(8)));
    const turned = withExamplesFirst({ shape: own, data }, axes.get(name) ?? 0);
    inputs[name] = { shape: turned.shape, data: isReal ? turned.data : Int32Array.from(turned.data) };
    if (constant === undefined) size = turned.shape[0] ?? 1;
    if (isReal) feeds[name] = new runtime.Tensor("float32", data, own);
    else if (dtype === "i64")
      feeds[name] = new runtime.Tensor(
        "int64",
        BigInt64Array.from(data, (x) => BigInt(x)),
        own,
      );
    else feeds[name] = new runtime.Tensor("int32", Int32Array.from(data), own);
  }
  const batch: Batch = { size, inputs };
  return { batch, feeds };
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
