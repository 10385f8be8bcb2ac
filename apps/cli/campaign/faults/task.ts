/** A small network and its data on disk, and the runs over them that a campaign disturbs. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRng } from "@secateur/core";
import { encodeNpy, encodeSafetensors, tensorOf } from "@secateur/formats";
import { createNetwork, mlp } from "@secateur/nn";

const ARCH = "mlp:12-24-16-4";

/** One command under test. */
export interface FaultScenario {
  readonly name: string;
  /** without the executable; paths are relative to the folder of the run */
  readonly argv: readonly string[];
  /** files that a finished run leaves, and whose bytes an interrupted and continued run must give again */
  readonly outputs: readonly string[];
  /** what is added to go on after an interrupt; nothing: the command begins anew */
  readonly resume: readonly string[];
  /** what of stdout must be the same again, where the result is printed; absent: nothing */
  readonly result?: (stdout: string) => string;
}

const pruned = ["net.pruned.safetensors", "net.pruned.recipe.json"];
const data = ["--data", "npy:X.npy,Y.npy"];
const prune = ["prune", "net.safetensors", ...data, "--out", pruned[0]!];

/** Runs of about a second each, most of it between the files that they write. */
export const scenarios: readonly FaultScenario[] = [
  {
    name: "prune",
    argv: [...prune, "--solver", "chita", "--sparsity", "0.9", "--stages", "6"],
    outputs: pruned,
    resume: ["--resume"],
  },
  {
    name: "retrain",
    argv: [
      ...prune,
      "--solver",
      "magnitude",
      "--sparsity",
      "0.8",
      "--retrain",
      "llr",
      "--retrain-epochs",
      "6",
      "--phases",
      "3",
    ],
    outputs: pruned,
    resume: ["--resume"],
  },
  {
    name: "train",
    argv: ["train", "--arch", ARCH, ...data, "--epochs", "60", "--out", "trained.safetensors"],
    outputs: ["trained.safetensors"],
    resume: ["--resume"],
  },
  {
    name: "compare",
    argv: [
      "compare",
      "net.safetensors",
      ...data,
      "--solvers",
      "magnitude,cbs",
      "--sparsities",
      "0.5,0.8",
      "--report",
      "report.html",
      "--json",
    ],
    outputs: [],
    resume: ["--resume"],
    result: withoutTimes("runs"),
  },
  {
    name: "sensitivity",
    argv: [
      "sensitivity",
      "net.safetensors",
      ...data,
      "--sparsities",
      "0.5,0.8",
      "--report",
      "report.html",
      "--force",
      "--json",
    ],
    outputs: [],
    resume: [],
    result: withoutTimes("layers"),
  },
];

/** What a document's list holds without times, and without which gradients were taken together. @param list - its key */
function withoutTimes(list: string): (stdout: string) => string {
  return (stdout) => {
    const document = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
    return JSON.stringify(document[list], (key, value: unknown) =>
      /^(timing|sharesGradients|.*Ms)$/.test(key) ? undefined : value,
    );
  };
}

/** Writes the network and its data into a new folder. The same bytes every time. */
export function writeTask(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const rng = createRng(5);
  const count = 400;
  const inputs = Float32Array.from({ length: count * 12 }, () => rng.normal());
  const labels = Float32Array.from({ length: count }, (_, i) => {
    const scores = [0, 1, 2, 3].map((k) => inputs[12 * i + k]! - inputs[12 * i + k + 4]!);
    return scores.indexOf(Math.max(...scores));
  });
  writeFileSync(join(folder, "X.npy"), encodeNpy({ shape: [count, 12], data: inputs }));
  writeFileSync(join(folder, "Y.npy"), encodeNpy({ shape: [count], data: labels }));
  const network = createNetwork(mlp({ sizes: [12, 24, 16, 4] }), { seed: 2 });
  const tensors = network.tensors().map(({ name, shape, data: values }) => {
    return { ...tensorOf(values, { shape, dtype: "f32" }), name };
  });
  writeFileSync(
    join(folder, "net.safetensors"),
    encodeSafetensors({ tensors, metadata: { "secateur.architecture": ARCH } }),
  );
}
