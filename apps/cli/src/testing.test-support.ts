/** What the tests of the command line share: calls in this process, and small networks and data on disk. */
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { createRng } from "@secateur/core";
import { encodeNpy, encodeSafetensors, type NamedTensor } from "@secateur/formats";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { namedArchitecture } from "@secateur/run/node";
import { expect, onTestFinished } from "vitest";
import { main } from "./cli.ts";

/** What a call printed and returned. */
export interface CallResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Calls the command line in this process. */
export async function call(
  argv: readonly string[],
  options: { cwd?: string; signal?: AbortSignal; isTTY?: boolean } = {},
): Promise<CallResult> {
  const stdout = collector(false);
  const stderr = collector(options.isTTY ?? false);
  const code = await main(argv, {
    stdout: stdout.stream,
    stderr: stderr.stream,
    cwd: options.cwd ?? tmpdir(),
    signal: options.signal ?? new AbortController().signal,
  });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

function collector(isTTY: boolean): { stream: Writable & { isTTY: boolean }; text: () => string } {
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY }), text: () => text };
}

/** A new folder that is removed when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "secateur-cli-")));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The network of {@link smallTask}: 6 features, 3 classes, 6 * 5 + 5 * 3 = 45 weights. */
export const smallArch = "mlp:6-5-3:nobias";

/** A folder with a small network and its data. */
export interface SmallTask {
  readonly folder: string;
  /** net.safetensors, which names its architecture. */
  readonly model: string;
  /** The DATA argument: 60 examples. */
  readonly data: string;
}

/** Writes a small network with random weights, and examples labelled by a random linear rule. */
export async function smallTask(): Promise<SmallTask> {
  const folder = await temporaryFolder();
  const rng = createRng(7);
  const count = 60;
  const inputs = Float32Array.from({ length: count * 6 }, () => rng.normal());
  const labels = Float32Array.from({ length: count }, (_, i) => {
    const scores = [0, 1, 2].map((c) => inputs[i * 6 + c]! - inputs[i * 6 + c + 3]!);
    return scores.indexOf(Math.max(...scores));
  });
  await writeFile(join(folder, "X.npy"), encodeNpy({ shape: [count, 6], data: inputs }));
  await writeFile(join(folder, "Y.npy"), encodeNpy({ shape: [count], data: labels }));
  const model = join(folder, "net.safetensors");
  await writeFile(
    model,
    encodeSafetensors({ tensors: smallTensors(), metadata: { "secateur.architecture": smallArch } }),
  );
  return { folder, model, data: `npy:${join(folder, "X.npy")},${join(folder, "Y.npy")}` };
}

/** A task whose network has batch normalisation, in a checkpoint that describes itself; its statistics are those of no data. */
export async function normedTask(): Promise<SmallTask> {
  const task = await smallTask();
  const net: NetworkSpec = {
    ...{ name: "normed", inputShape: [6], classes: 3 },
    layers: [
      { kind: "dense", name: "fc1", in: 6, out: 5 },
      { kind: "batch-norm", name: "bn", channels: 5 },
      { kind: "relu" },
      { kind: "dense", name: "fc2", in: 5, out: 3 },
      { kind: "log-softmax" },
    ],
  };
  const tensors = createNetwork(net, { seed: 3 })
    .tensors()
    .map(({ name, shape, data }) => ({ name, shape, dtype: "f32" as const, data: Float32Array.from(data) }));
  const model = join(task.folder, "normed.safetensors");
  await writeFile(model, encodeSafetensors({ tensors, metadata: { "secateur.architecture": JSON.stringify(net) } }));
  return { ...task, model };
}

/** The tensors of the small network. */
export function smallTensors(): readonly NamedTensor<"f32">[] {
  const network = createNetwork(namedArchitecture(smallArch), { seed: 3 });
  return network
    .tensors()
    .map(({ name, shape, data }) => ({ name, shape, dtype: "f32", data: Float32Array.from(data) }));
}

/** Writes the problem of a small `solve`: 5 gradient rows over 8 weights. */
export async function smallProblem(): Promise<{
  folder: string;
  gradients: string;
  weights: string;
  G: Float32Array;
  w0: Float32Array;
}> {
  const folder = await temporaryFolder();
  const rng = createRng(11);
  const G = Float32Array.from({ length: 40 }, () => rng.normal());
  const w0 = Float32Array.from({ length: 8 }, () => rng.normal());
  const gradients = join(folder, "G.npy");
  const weights = join(folder, "w.npy");
  await writeFile(gradients, encodeNpy({ shape: [5, 8], data: G }));
  await writeFile(weights, encodeNpy({ shape: [8], data: w0 }));
  return { folder, gradients, weights, G, w0 };
}

/** Runs a call that must be refused; returns its one message. */
export async function refused(argv: readonly string[], cwd?: string): Promise<string> {
  const { code, stdout, stderr } = await call(argv, cwd === undefined ? {} : { cwd });
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(stdout).toBe("");
  expect(code).toBe(2);
  return stderr;
}

/** A prune of the small network by magnitude to half its weights. */
export function halving({ model, data }: SmallTask, ...more: readonly string[]): readonly string[] {
  return ["prune", model, "--data", data, "--solver", "magnitude", "--sparsity", "0.5", ...more];
}
