/** Other runtimes of ONNX models, where the user has them installed: found from the user's folder, needed by nothing here. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { InputTensor } from "@secateur/runtime";

/** A runtime that has loaded a model. */
export interface StockEngine {
  readonly engine: string;
  readonly threads: number;
  readonly loadMs: number;
  /** One run on the given inputs. */
  run(): Promise<unknown>;
  close(): Promise<void>;
}

/** Packages that run ONNX models. */
const packages = ["onnxruntime-web", "onnxruntime-node"] as const;

/** What both packages offer. */
interface OnnxRuntime {
  readonly InferenceSession: {
    create(
      bytes: Uint8Array,
      options: object,
    ): Promise<{ run(inputs: object): Promise<unknown>; release(): Promise<void> }>;
  };
  readonly Tensor: new (type: string, data: InputTensor["data"], dims: readonly number[]) => object;
  readonly env: { readonly wasm?: { numThreads?: number } };
}

/**
 * Loads a model in every such package that is installed.
 *
 * @param spec.inputs - by name
 * @param spec.cwd - where packages are looked for
 */
export async function openOnnxEngines(spec: {
  /** The model; asked for only where a package is installed. */
  readonly bytes: () => Uint8Array;
  readonly inputs: Readonly<Record<string, InputTensor>>;
  /** Element types of the model's inputs by name; f32 where it names none. */
  readonly types: ReadonlyMap<string, { readonly dtype: string }>;
  readonly threads: number;
  readonly cwd: string;
}): Promise<readonly StockEngine[]> {
  const { bytes, inputs, types, threads, cwd } = spec;
  const found: StockEngine[] = [];
  let model: Uint8Array | undefined;
  for (const name of packages) {
    const runtime = await findRuntime(name, cwd);
    if (!runtime) continue;
    if (runtime.env.wasm) runtime.env.wasm.numThreads = threads;
    model ??= bytes();
    const before = performance.now();
    const options = {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      ...(name === "onnxruntime-web" ? { executionProviders: ["wasm"] } : {}),
    };
    const session = await runtime.InferenceSession.create(model, options);
    const loadMs = performance.now() - before;
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([input, { data, dims }]) => {
        const [type, numbers] = ofType(data, types.get(input)?.dtype);
        return [input, new runtime.Tensor(type, numbers, dims)];
      }),
    );
    found.push({ engine: name, threads, loadMs, run: () => session.run(feeds), close: () => session.release() });
  }
  return found;
}

/** Numbers as the model takes them. */
function ofType(data: InputTensor["data"], dtype: string | undefined): readonly [string, InputTensor["data"]] {
  if (dtype === "i64") return ["int64", BigInt64Array.from(data as ArrayLike<number>, BigInt)];
  return dtype === "i32" ? ["int32", Int32Array.from(data as ArrayLike<number>)] : ["float32", data];
}

async function findRuntime(name: string, cwd: string): Promise<OnnxRuntime | undefined> {
  let path: string;
  try {
    path = createRequire(join(cwd, "package.json")).resolve(name);
  } catch {
    return undefined;
  }
  const module: unknown = await import(pathToFileURL(path).href);
  const inner = (module as { default?: unknown }).default;
  return (typeof inner === "object" && inner !== null && "InferenceSession" in inner ? inner : module) as OnnxRuntime;
}
