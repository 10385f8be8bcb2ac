/** The engines of TensorFlow.js: which are installed, which is fastest, how each is started. */
import { badSetting, engineFailed, engineMissing } from "./errors.ts";
import { registerGradientKernels } from "./gradients/register-kernels.ts";
import type { Tf } from "./tf.ts";

/** Engines by name, the fastest first. */
export const engineNames = ["node-gpu", "node", "webgpu", "wasm", "cpu"] as const;

/** One of {@link engineNames}. */
export type EngineName = (typeof engineNames)[number];

/** An engine that runs. */
export interface Engine {
  readonly name: EngineName;
  readonly tf: Tf;
}

/** How engines are found. */
export interface EngineOptions {
  /** Default: the fastest that is installed and starts. */
  readonly engine?: EngineName | "auto";
  /**
   * Imports a package of TensorFlow.js from where the user has it; undefined when it is not there. What else goes wrong is
   * thrown.
   */
  readonly load: (packageName: string) => Promise<unknown>;
  /** The folder or URL of tfjs-backend-wasm's .wasm files, ending in a slash; default: where that package finds them itself. */
  readonly wasmPath?: string | undefined;
  /** Told of engines that are installed and do not start, when another one is taken. */
  readonly onSkipped?: (engine: EngineName, reason: string) => void;
}

/** The packages an engine needs. */
const packages: Readonly<Record<EngineName, readonly string[]>> = {
  "node-gpu": ["@tensorflow/tfjs-node-gpu"],
  node: ["@tensorflow/tfjs-node"],
  webgpu: ["@tensorflow/tfjs", "@tensorflow/tfjs-backend-webgpu"],
  wasm: ["@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm"],
  cpu: ["@tensorflow/tfjs"],
};

/** What TensorFlow.js itself calls the engine. */
const backends: Readonly<Record<EngineName, string>> = {
  "node-gpu": "tensorflow",
  node: "tensorflow",
  webgpu: "webgpu",
  wasm: "wasm",
  cpu: "cpu",
};

/**
 * Starts an engine of TensorFlow.js. On wasm, the gradient kernels that it lacks are registered.
 *
 * @throws ERR_TFJS_ENGINE with the line that installs what is missing, or with what keeps an engine from starting; ERR_OPTION
 * @example
 * const { tf } = await openEngine({ load: (name) => import(name).catch(() => undefined) });
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { engine = "auto", onSkipped } = options;
  if (engine === "auto") return await fastest(options, onSkipped ?? (() => {}));
  if (!engineNames.includes(engine))
    throw badSetting({ what: "engine", found: engine, known: [...engineNames, "auto"] });
  const { modules, missing } = await loadPackages(engine, options);
  if (missing.length > 0) {
    const found = await installedEngines(options);
    throw engineMissing({ wanted: `the engine ${engine}`, packages: packages[engine], found });
  }
  try {
    return await start(engine, modules, options);
  } catch (cause) {
    throw engineFailed({ engine, cause });
  }
}

async function fastest(
  options: EngineOptions,
  onSkipped: (engine: EngineName, reason: string) => void,
): Promise<Engine> {
  let failure: { engine: string; cause: unknown } | undefined;
  for (const engine of engineNames) {
    const { modules, missing } = await loadPackages(engine, options);
    if (missing.length > 0) continue;
    try {
      return await start(engine, modules, options);
    } catch (cause) {
      failure = { engine, cause };
      onSkipped(engine, cause instanceof Error ? cause.message : String(cause));
    }
  }
  if (failure) throw engineFailed(failure);
  throw engineMissing({ wanted: "one of its engines", packages: packages.wasm, found: [] });
}

/** The engines whose packages are there. */
async function installedEngines(options: EngineOptions): Promise<readonly EngineName[]> {
  const found: EngineName[] = [];
  for (const engine of engineNames) {
    if ((await loadPackages(engine, options)).missing.length === 0) found.push(engine);
  }
  return found;
}

async function loadPackages(
  engine: EngineName,
  { load }: EngineOptions,
): Promise<{ modules: readonly unknown[]; missing: readonly string[] }> {
  const modules: unknown[] = [];
  const missing: string[] = [];
  for (const name of packages[engine]) {
    const module = await load(name).catch((cause: unknown) => {
      throw engineFailed({ engine, cause });
    });
    if (module === undefined) missing.push(name);
    else modules.push(module);
  }
  return { modules, missing };
}

async function start(engine: EngineName, modules: readonly unknown[], { wasmPath }: EngineOptions): Promise<Engine> {
  const tf = namespaceOf<Tf>(modules[0]);
  if (engine === "wasm" && wasmPath !== undefined) {
    namespaceOf<{ setWasmPaths(path: string): void }>(modules[1]).setWasmPaths(wasmPath);
  }
  const isReady = await tf.setBackend(backends[engine]);
  if (!isReady) throw new Error(`tf.setBackend("${backends[engine]}") gives false`);
  await tf.ready();
  if (engine === "wasm") registerGradientKernels(tf);
  return { name: engine, tf };
}

/** Packages of CommonJS are imported with their exports as the default one. */
function namespaceOf<T>(module: unknown): T {
  const { default: inner } = module as { default?: object };
  return ("setBackend" in (module as object) || "setWasmPaths" in (module as object) ? module : (inner ?? module)) as T;
}
