/** Starts an engine of TensorFlow.js for a benchmark. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Engine, EngineName } from "../src/engines.ts";

const require = createRequire(import.meta.url);

/** The engine, with the .wasm files where this workspace has them. */
export async function startEngine(engine: EngineName): Promise<Engine> {
  const { openEngine } = await import("@secateur/backends-tfjs");
  return await openEngine({
    engine,
    load: (name) => import(name),
    wasmPath: join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm")), "/"),
  });
}
