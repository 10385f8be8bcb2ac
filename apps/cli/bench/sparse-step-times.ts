/** What a step of training costs under each rule: processor time over that of plain training under masks of as many weights, in turn in one process; and what memory it takes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Kernels, Mask, TrainingRule } from "@secateur/core";
import { sampleIndices, subset } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import {
  acDc,
  admm,
  autoPrune,
  filters,
  gmp,
  granet,
  granetSt,
  issP,
  powerpropagation,
  rigl,
  set,
  tpp,
} from "@secateur/sparse-training";
import { quietSession } from "./bench-network.ts";
import { nodeRun } from "./memory.ts";
import { decimals, printTable } from "./print.ts";
import { trainNetwork } from "./sparse-methods.ts";

const sparsity = 0.9;
const [examples, epochs, turns] = [6400, 4, 3];

const rules: Readonly<Record<string, readonly TrainingRule[]>> = {
  gmp: [gmp({ sparsity })],
  set: [set({ sparsity })],
  rigl: [rigl({ sparsity })],
  granet: [granet({ sparsity })],
  "granet-st": [granetSt({ sparsity })],
  "ac-dc": [acDc({ sparsity })],
  admm: [admm({ sparsity })],
  "iss-p": [issP({ sparsity })],
  powerpropagation: [powerpropagation()],
  "auto-prune": [autoPrune()],
  filters: [filters({ sparsity })],
  tpp: [tpp({ sparsity })],
};
const takeNoSparsity = new Set(["powerpropagation", "auto-prune"]);

/** What `secateur train` takes for each rule; no rule at all first. */
const trained: Readonly<Record<string, readonly string[]>> = {
  dense: [],
  ...Object.fromEntries(
    Object.keys(rules).map((rule) => [
      rule,
      [`--rule=${rule}`, ...(takeNoSparsity.has(rule) ? [] : [`--sparsity=${sparsity}`])],
    ]),
  ),
};

/** Prints the peak memory of processes that train under one rule each, four epochs on the whole training split, one thread. */
export async function printPeakMemory({ data, arch }: { data: string; arch: string }): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "secateur-bench-"));
  const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
  const rows: string[][] = [];
  try {
    for (const [name, options] of Object.entries(trained)) {
      const train = ["train", `--arch=${arch}`, `--data=${data}`, "--epochs=4", "--threads=1", "--quiet", "--force"];
      const out = `--out=${join(folder, "net.safetensors")}`;
      const { peak } = await nodeRun([main, ...train, ...options, out], { quiet: true });
      rows.push([name, (peak / 1e6).toFixed(0)]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  printTable([`training at ${sparsity}`, "peak MB"], rows);
}

/** Prints the median over a few turns. */
export async function printStepTimes(spec: {
  spec: NetworkSpec;
  data: DatasetSplits;
  kernels: Kernels;
}): Promise<void> {
  const { data, kernels } = spec;
  const { rng } = quietSession(kernels, 0).context();
  const train = subset(data.train, sampleIndices(data.train.size, Math.min(examples, data.train.size), rng));
  const seconds = async (call: { rules?: readonly TrainingRule[]; masks?: ReadonlyMap<string, Mask> }) => {
    const network = createNetwork(spec.spec, { seed: 0 });
    const started = process.cpuUsage();
    await trainNetwork(network, { ...call, data: { ...data, train }, kernels, sparsity, epochs, seed: 0 });
    return process.cpuUsage(started).user / 1e6;
  };
  const masks = randomMasks(spec.spec, kernels);
  const times = new Map<string, number[]>(["masked", "dense", ...Object.keys(rules)].map((name) => [name, []]));
  // A first turn that does not count compiles everything.
  for (let turn = -1; turn < turns; turn++) {
    for (const [name, own] of times) {
      const found = await seconds(name === "masked" ? { masks } : { rules: rules[name] ?? [] });
      if (turn >= 0) own.push(found);
    }
  }
  const plain = median(times.get("masked")!);
  printTable(
    [`step at ${sparsity}`, "ms", "of masked"],
    [...times].map(([name, own]) => [
      name,
      decimals((1000 * median(own)) / (epochs * Math.ceil(train.size / 64)), 3),
      decimals(median(own) / plain, 2),
    ]),
  );
}

function randomMasks(spec: NetworkSpec, kernels: Kernels): ReadonlyMap<string, Mask> {
  const { rng } = quietSession(kernels, 1).context();
  return new Map(
    createNetwork(spec, { seed: 0 })
      .params()
      .filter(({ prunable }) => prunable)
      .map(({ name, rows, cols }) => [
        name,
        Uint8Array.from({ length: rows * cols }, () => Number(rng.next() < 1 - sparsity)),
      ]),
  );
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
