/**
 * Single layers by the runtime's sparse kernels beside those of another WebAssembly module, in turn in one process: how many times faster
 * the runtime is, and its milliseconds; the fastest of many runs counts, since other work on the machine only ever lengthens one.
 *
 *   node_modules/.bin/node packages/runtime/bench/beside-kernel.ts KERNEL.wasm [--build simd] [--threads 2] [--only NAME]
 *
 * The module exports `memory` and `spmm(positions, outputs, act, weights, offsets, counts, out)`: sums over the kept weights of every
 * output, `counts` of them each, one byte offset into zero-padded planes `act` a weight, positions a multiple of 32. It runs on one thread
 * whatever --threads says; a runtime on several is timed by the difference that more copies of the layer make.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type KernelBuild, load } from "@secateur/runtime";
import { encodePacked } from "@secateur/runtime/pack";
import { type LayerSpec, layerGraph, layerWeights, shapes, sparsities } from "./single-layers.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    build: { type: "string", default: "relaxed-simd" },
    threads: { type: "string", default: "1" },
    only: { type: "string", default: "" },
  },
});
const threads = Number(values.threads);
const build = values.build as KernelBuild;
const { instance } = await WebAssembly.instantiate(readFileSync(positionals[0]!), {});
const other = instance.exports as unknown as { memory: WebAssembly.Memory; spmm(...words: number[]): void };
/** Turns at least, and milliseconds that the turns of a layer take at least. */
const [leastTurns, leastMs] = [30, 400];
/** Copies by which a layer on several threads is told from what surrounds it. */
const more = 8;

const inputOf = ({ inputs, side }: LayerSpec): Float32Array =>
  Float32Array.from({ length: inputs * side * side }, (_, i) => Math.abs(Math.sin(i)));

/** The other module's layer: runs it, and reads what it gave, row-major. */
function otherLayer(spec: LayerSpec): { run(): void; result(): Float32Array } {
  const { outputs, inputs, side, size } = spec;
  const pad = (size - 1) / 2;
  const stride = side + 2 * pad;
  const positions = Math.ceil((side * stride) / 32) * 32;
  const plane = stride * stride + 64;
  let top = 1 << 20;
  const take = (bytes: number): number => {
    const at = top;
    top = (top + bytes + 63) & ~63;
    return at;
  };
  const { buffer } = other.memory;
  const weights = layerWeights(spec);
  const act = take(4 * (inputs * plane + positions));
  const planes = new Float32Array(buffer, act, inputs * plane + positions).fill(0);
  const x = inputOf(spec);
  for (let c = 0; c < inputs; c++)
    for (let y = 0; y < side; y++)
      planes.set(x.subarray((c * side + y) * side, (c * side + y + 1) * side), c * plane + (y + pad) * stride + pad);
  const kept: number[] = [];
  const offsets: number[] = [];
  const counts: number[] = [];
  const taps = inputs * size * size;
  for (let o = 0; o < outputs; o++) {
    const before = kept.length;
    for (let tap = 0; tap < taps; tap++) {
      const weight = weights[o * taps + tap]!;
      if (weight === 0) continue;
      kept.push(weight);
      const within = tap % (size * size);
      offsets.push(
        4 * (Math.floor(tap / (size * size)) * plane + Math.floor(within / size) * stride + (within % size)),
      );
    }
    counts.push(kept.length - before);
  }
  const places = [kept, offsets, counts].map(({ length }) => take(4 * length)) as [number, number, number];
  new Float32Array(buffer, places[0], kept.length).set(kept);
  new Uint32Array(buffer, places[1], offsets.length).set(offsets);
  new Uint32Array(buffer, places[2], counts.length).set(counts);
  const out = take(4 * outputs * positions);
  return {
    run: () => other.spmm(positions, outputs, act, ...places, out),
    result() {
      const rows = new Float32Array(buffer, out, outputs * positions);
      return Float32Array.from({ length: outputs * side * side }, (_, i) => {
        const [row, column] = [Math.floor(i / side), i % side];
        return rows[Math.floor(row / side) * positions + (row % side) * stride + column]!;
      });
    },
  };
}

interface OwnLayer {
  /** Milliseconds of the layer, once. */
  time(): Promise<number>;
  result(): Promise<Float32Array>;
  close(): Promise<void>;
}

async function ownLayer(spec: LayerSpec): Promise<OwnLayer> {
  const open = async (copies: number) =>
    load(await encodePacked(layerGraph({ ...spec, kernel: "sparse", copies }), { compression: "none" }), {
      threads,
      build,
    });
  const given = { x: { data: inputOf(spec), dims: [1, spec.inputs, spec.side, spec.side] } };
  const one = await open(1);
  const result = async (): Promise<Float32Array> => Object.values(await one.run(given))[0]!.data;
  if (threads === 1) {
    await one.run(given);
    return { time: async () => one.profile({ runs: 1 })[1]!.ms, result, close: () => one.close() };
  }
  const many = await open(1 + more);
  const timed = async (session: typeof one): Promise<number> => {
    const before = performance.now();
    await session.run(given);
    return performance.now() - before;
  };
  const best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  return {
    async time() {
      best[0] = Math.min(best[0], await timed(one));
      best[1] = Math.min(best[1], await timed(many));
      return (best[1] - best[0]) / more;
    },
    result,
    async close() {
      await one.close();
      await many.close();
    },
  };
}

process.stdout.write(
  `${threads} thread${threads > 1 ? "s" : ""}, ${build}: times faster than the other module's kernel on one thread (ms)\n`,
);
process.stdout.write(`${"layer".padEnd(22)}${sparsities.map((s) => `${100 * s} %`.padStart(16)).join("")}\n`);
for (const [name, outputs, inputs, side, size] of shapes.filter(([name]) => name.includes(values.only))) {
  process.stdout.write(name.padEnd(22));
  for (const sparsity of sparsities) {
    const spec = { outputs, inputs, side, size, sparsity };
    const theirs = otherLayer(spec);
    const ours = await ownLayer(spec);
    theirs.run();
    const [a, b] = [await ours.result(), theirs.result()];
    const difference = a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
    if (!(difference < 1e-3)) throw new RangeError(`${name}: results differ by ${difference}`);
    let [own, its] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const began = performance.now();
    for (let turn = 0; turn < leastTurns || performance.now() - began < leastMs; turn++) {
      const time = await ours.time();
      own = threads === 1 ? Math.min(own, time) : time;
      const before = performance.now();
      theirs.run();
      its = Math.min(its, performance.now() - before);
    }
    await ours.close();
    process.stdout.write(`${(its / own).toFixed(2)} x (${own.toFixed(3)})`.padStart(16));
  }
  process.stdout.write("\n");
}
process.exit(0);
