/** TensorFlow.js where the user has it: secateur itself depends on none of its packages. */
import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Engine, type EngineName, openEngine } from "@secateur/backends-tfjs";
import type { RunEvent } from "@secateur/core";

/** The values of --engine. */
export const engineChoices = ["auto", "node-gpu", "node", "webgpu", "wasm", "cpu"] as const;

/** One of {@link engineChoices}. */
export type EngineChoice = "auto" | EngineName;

/**
 * Starts TensorFlow.js on an engine.
 *
 * @param spec.folders - where its packages are looked for, each with the folders above it; beside secateur itself last
 * @throws ERR_TFJS_ENGINE with the line that installs what is missing
 */
export async function startTensorflow(spec: {
  engine: EngineChoice;
  folders: readonly string[];
  onEvent: (event: RunEvent) => void;
}): Promise<Engine> {
  const { engine, onEvent } = spec;
  const here = dirname(fileURLToPath(import.meta.url));
  const folders = [...spec.folders, here];
  const wasmPackage = resolved("@tensorflow/tfjs-backend-wasm", folders);
  const started = await openEngine({
    engine,
    load: async (name) => {
      const file = resolved(name, folders);
      if (file === undefined) return undefined;
      const module: unknown = await import(pathToFileURL(file).href);
      enableProdMode(module);
      return module;
    },
    wasmPath: wasmPackage === undefined ? undefined : dirname(wasmPackage) + sep,
    onSkipped: (name, reason) => {
      const message = `TensorFlow.js: the engine ${name} is installed and does not start (${reason})`;
      onEvent({ type: "note", level: "warn", code: "engine", message });
    },
  });
  const message = `TensorFlow.js ${started.tf.version.tfjs} on the engine ${started.name}`;
  onEvent({ type: "note", level: "info", code: "engine", message });
  return started;
}

/** The file that a package's name means, seen from the first folder that has it. */
function resolved(name: string, folders: readonly string[]): string | undefined {
  for (const folder of folders) {
    try {
      return createRequire(join(folder, "_")).resolve(name);
    } catch {
      // not to be found from there
    }
  }
  return undefined;
}

/** TensorFlow.js would print advice on its engines to stderr. */
function enableProdMode(module: unknown): void {
  const { default: inner } = module as { default?: { enableProdMode?: () => void } };
  inner?.enableProdMode?.();
}
