/** Loads the network and the data once, and prunes from the trained weights at every request. */
import { createWasmKernels, type WasmKernels } from "@secateur/backends-wasm";
import { createRunContext, type Dataset, isPruneError, prune, type RunEvent } from "@secateur/core";
import { gaussNewton } from "@secateur/fisher";
import { decodeSafetensors, toFloat32 } from "@secateur/formats";
import { architecture, createNetwork, type Network, type WeightTensor } from "@secateur/nn";
import { chita } from "@secateur/solvers-chita";
import type { Answer, Request, Snapshot } from "./messages.ts";
import { fetchMnist } from "./mnist.ts";

/** The part of a worker's scope that is used; the types of windows and workers cannot be loaded together. */
interface WorkerScope {
  postMessage(message: Answer): void;
  onmessage: ((event: MessageEvent<Request>) => void) | null;
}
const scope = globalThis as unknown as WorkerScope;
const say = (answer: Answer) => scope.postMessage(answer);

/** What is loaded once. */
interface Task {
  readonly weights: readonly WeightTensor[];
  readonly train: Dataset;
  readonly test: Dataset;
  readonly kernels: WasmKernels;
}

let task: Task | undefined;
let stop = new AbortController();

scope.onmessage = async ({ data: request }) => {
  try {
    if (request.type === "stop") stop.abort();
    else if (request.type === "open") task = await load(request.data);
    else if (task) await pruneOnce(task, request.sparsity);
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_ABORTED") say({ type: "stopped" });
    else say({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  }
};

async function load(data: string): Promise<Task> {
  const [weights, train, test, kernels] = await Promise.all([
    fetchNetwork(`${data}mlpnet-mnist.safetensors`),
    fetchMnist(data, "train"),
    fetchMnist(data, "t10k"),
    createWasmKernels(),
  ]);
  const opened = { weights, train, test, kernels };
  say({ type: "ready", dense: await look(opened, open(opened), 0), backend: kernels.name, threads: kernels.threads });
  return opened;
}

async function fetchNetwork(address: string): Promise<readonly WeightTensor[]> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: the server answered ${response.status}`);
  const { tensors } = decodeSafetensors(new Uint8Array(await response.arrayBuffer()), address);
  return tensors.map((tensor) => ({ name: tensor.name, shape: tensor.shape, data: toFloat32(tensor) }));
}

/** The trained network, afresh. */
function open({ weights }: Task): Network {
  return createNetwork(architecture("mlpnet"), { weights });
}

async function look({ test, kernels }: Task, network: Network, sparsity: number): Promise<Snapshot> {
  const { accuracy } = await network.evaluate(test, createRunContext({ kernels }));
  const firstLayer = Float32Array.from((await network.read(network.params()[0]!.name)).data);
  return { sparsity, accuracy, firstLayer };
}

async function pruneOnce(task: Task, sparsity: number): Promise<void> {
  stop = new AbortController();
  const network = open(task);
  const started = performance.now();
  const result = await prune({
    ...{ model: network, data: task.train, solver: chita(), curvature: gaussNewton(), sparsity, kernels: task.kernels },
    signal: stop.signal,
    onEvent: tellProgress(),
    onState: async ({ weights, reports }) => {
      const shown = open(task);
      await write(shown, weights);
      say({ type: "stage", snapshot: await look(task, shown, reports[reports.length - 1]!.sparsity) });
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const snapshot = await look(task, network, result.sparsity);
  const { kept, prunable } = result;
  say({ type: "done", snapshot, kept, prunable, seconds, sha256: await hash(network) });
}

/** Puts the flat prunable weights back into a network. */
async function write(network: Network, flat: Float32Array): Promise<void> {
  let start = 0;
  for (const { name, rows, cols, prunable } of network.params()) {
    if (!prunable) continue;
    await network.write(name, { rows, cols, data: flat.slice(start, start + rows * cols) });
    start += rows * cols;
  }
}

/** Stages make the bar; inside a stage it stands still for a second at most. */
function tellProgress(): (event: RunEvent) => void {
  let stages = 1;
  return (event) => {
    if (event.type === "run:start") stages = event.stages;
    if (event.type !== "stage:start") return;
    const { index, sparsity } = event;
    const text = `stage ${index + 1} of ${stages}, to ${(100 * sparsity).toFixed(1)} %`;
    say({ type: "progress", fraction: index / stages, text });
  };
}

/** Of all prunable weights, in order. */
async function hash(network: Network): Promise<string> {
  const parts: BlobPart[] = [];
  for (const { name, prunable } of network.params()) {
    if (prunable) parts.push(Float32Array.from((await network.read(name)).data));
  }
  const digest = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
