/**
 * Single layers of MobileNetV2 (mbv2), ResNet20 (r20) and ResNet50 (r50), in -> out @ side, at several sparsities, by their sparse and their dense
 * kernels in turn: milliseconds of the dense one, then how many times faster the sparse one is. One thread, fastest of many runs, since
 * other work on the machine only ever lengthens a run. Then what loading a million weights takes.
 */
import { load } from "@secateur/runtime";
import { encodePacked, type PackGraph } from "@secateur/runtime/pack";

const shapes = [
  ["mbv2 96->24@56", 24, 96, 56, 1],
  ["mbv2 144->32@28", 32, 144, 28, 1],
  ["mbv2 64->384@14", 384, 64, 14, 1],
  ["mbv2 384->64@14", 64, 384, 14, 1],
  ["mbv2 160->960@7", 960, 160, 7, 1],
  ["r20 16@32", 16, 16, 32, 3],
  ["r20 64@8", 64, 64, 8, 3],
  ["r50 64@56", 64, 64, 56, 3],
  ["r50 128@28", 128, 128, 28, 3],
  ["r50 256@14", 256, 256, 14, 3],
  ["r50 1x1 256->64@56", 64, 256, 56, 1],
  ["r50 1x1 1024->256@14", 256, 1024, 14, 1],
] as const;
const sparsities = [0.5, 0.7, 0.8, 0.9, 0.95];
const rounds = 40;

function layer(spec: {
  outputs: number;
  inputs: number;
  side: number;
  size: number;
  sparsity: number;
  kernel: "dense" | "sparse";
}): PackGraph {
  const { outputs, inputs, side, size, sparsity, kernel } = spec;
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const data = Float32Array.from({ length: outputs * inputs * size * size }, () =>
    random() < sparsity ? 0 : random() - 0.5,
  );
  const pad = (size - 1) / 2;
  const attributes = { pads: [pad, pad, pad, pad] };
  return {
    inputs: [{ name: "x", dims: [1, inputs, side, side] }],
    outputs: [{ name: "y", dims: [1, outputs, side, side] }],
    operators: [
      // Takes the caller's numbers into planes, which is no part of a layer inside a network.
      { op: "Relu", name: "relu", inputs: ["x"], tensors: [], output: "r", attributes: {} },
      { op: "Conv", name: "conv", inputs: ["r"], tensors: ["w"], output: "y", attributes, kernel },
    ],
    tensors: new Map([["w", { dims: [outputs, inputs, size, size], data }]]),
  };
}

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
  const timers = [await timer(layer({ ...base, sparsity: 0, kernel: "dense" }))];
  for (const sparsity of sparsities) timers.push(await timer(layer({ ...base, sparsity, kernel: "sparse" })));
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
