/**
 * Single layers at several sparsities by their sparse and their dense kernels in turn: milliseconds of the dense one, then how many times faster the sparse one is. One thread, fastest of many runs, since
 * other work on the machine only ever lengthens a run. Then what loading a million weights takes.
 */
import { load } from "@secateur/runtime";
import { encodePacked, type PackGraph } from "@secateur/runtime/pack";
import { layerGraph, shapes, sparsities } from "./single-layers.ts";

const rounds = 40;

async function timer(graph: PackGraph): Promise<() => number> {
  const session = await load(await encodePacked(graph, { compression: "none" }));
  const dims = session.dims["x"]!;
  const size = dims.reduce((product, extent) => product * extent, 1);
  await session.run({ x: { data: Float32Array.from({ length: size }, (_, i) => Math.sin(i)), dims } });
  return () => session.profile({ runs: 1 })[1]!.ms;
}

process.stdout.write(`${"layer".padEnd(22)}dense ms  ${sparsities.map((s) => `${100 * s} %`.padStart(7)).join("")}\n`);
for (const [name, outputs, inputs, side, size] of shapes) {
  const base = { outputs, inputs, side, size };
  const timers = [await timer(layerGraph({ ...base, sparsity: 0, kernel: "dense" }))];
  for (const sparsity of sparsities) timers.push(await timer(layerGraph({ ...base, sparsity, kernel: "sparse" })));
  const best = timers.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++)
    for (const [t, time] of timers.entries()) best[t] = Math.min(best[t]!, time());
  const [dense, ...sparse] = best as [number, ...number[]];
  process.stdout.write(
    `${name.padEnd(22)}${dense.toFixed(3).padStart(8)}  ${sparse.map((ms) => `${(dense / ms).toFixed(1)} x`.padStart(7)).join("")}\n`,
  );
}

const million: PackGraph = {
  inputs: [{ name: "x", dims: [1, 1000] }],
  outputs: [{ name: "y", dims: [1, 1000] }],
  operators: [{ op: "Gemm", name: "fc", inputs: ["x"], tensors: ["w"], output: "y", attributes: {} }],
  tensors: new Map([
    ["w", { dims: [1000, 1000], data: Float32Array.from({ length: 1e6 }, (_, i) => (i % 10 ? 0 : Math.sin(i))) }],
  ]),
};
const bytes = await encodePacked(million, { values: "int8" });
const times: number[] = [];
for (let i = 0; i < 9; i++) {
  const before = performance.now();
  await (await load(bytes)).close();
  times.push(performance.now() - before);
}
process.stdout.write(
  `a million weights, 90 % pruned, ${bytes.length} bytes: loaded in ${Math.min(...times).toFixed(1)} ms (fastest of ${times.length})\n`,
);
