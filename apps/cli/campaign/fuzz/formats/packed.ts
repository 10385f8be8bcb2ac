import { crc32 } from "node:zlib";
import { createNetwork, mlp } from "@secateur/nn";
import { decodePacked, load, type PackedOperator } from "@secateur/runtime";
import { encodePacked, lowerNetwork, type PackGraph } from "@secateur/runtime/pack";
import type { FuzzFormat } from "../fuzz-format.ts";
import { joined, oneOf } from "../mutate-bytes.ts";
import { mutateJson } from "../mutate-json.ts";

const PREFIX = 32;

/** A small network of masks and whole numbers, and one that is dense. */
async function wholeFiles(): Promise<readonly Uint8Array[]> {
  const network = createNetwork(mlp({ sizes: [6, 8, 3] }), { seed: 1 });
  const tensors = new Map(
    network.tensors().map(({ name, shape, data }) => {
      const pruned = Float32Array.from(data, (value, i) => (shape.length > 1 && i % 3 > 0 ? 0 : value));
      return [name, { dims: shape, data: pruned }];
    }),
  );
  const graph = lowerNetwork(network.spec, tensors);
  return [
    await encodePacked(graph),
    await encodePacked(graph, { values: "f16" }),
    await encodePacked(stepping, { values: "int8" }),
  ];
}

const steps = (
  op: string,
  inputs: readonly string[],
  output: string,
  rest: Partial<PackedOperator> = {},
): PackedOperator => ({
  ...{ op, name: output, inputs, tensors: [], output, attributes: {} },
  ...rest,
});

/** Tokens, a state, and the operators that walk along many indices: what a header says decides where they read and write. */
const stepping: PackGraph = {
  inputs: [
    { name: "t", dims: ["batch", 3], whole: true },
    { name: "h", dims: [1, 2, 3, 4] },
  ],
  outputs: [
    { name: "y", dims: ["batch", 3, 3] },
    { name: "n", dims: [1, 2, 3, 4] },
  ],
  states: [{ input: "h", output: "n" }],
  operators: [
    steps("Gather", ["t"], "e", { tensors: ["table"] }),
    steps("LayerNormalization", ["e"], "l"),
    steps("Transpose", ["l"], "r", { attributes: { perm: [0, 2, 1] } }),
    steps("MatMul", ["l", "r"], "m", { attributes: {} }),
    steps("Constant", [], "k", { tensors: ["mask"] }),
    steps("Sub", ["m", "k"], "s", { attributes: { activation: "HardSwish", scale: 2, shift: -1 } }),
    steps("ReduceMax", ["s"], "x"),
    steps("Expand", ["x"], "w", { attributes: { dims: [1, 3, 3] } }),
    steps("Keep", ["w", "s"], "y"),
    steps("Pad", ["h"], "p", { attributes: { pads: [0, 0, 1, 0, 0, 0, 0, 1], value: 1 } }),
    steps("Slice", ["p"], "c", { attributes: { axis: [2], start: [3], count: [3], step: [-1] } }),
    steps("Slice", ["c"], "d", { attributes: { axis: [3], start: [0], count: [4], step: [1] } }),
    steps("Mish", ["d"], "n"),
  ],
  tensors: new Map([
    ["table", { dims: [5, 4], data: Float32Array.from({ length: 20 }, (_, i) => Math.sin(i)) }],
    ["mask", { dims: [3, 3], data: Float32Array.from({ length: 9 }, (_, i) => i), exact: true }],
  ]),
};

/** The parts of a file, unpacked. */
async function partsOf(file: Uint8Array): Promise<{ header: unknown; streams: Uint8Array; sizes: readonly number[] }> {
  const view = new DataView(file.buffer, file.byteOffset);
  const sizes = [12, 16, 20].map((at) => view.getUint32(at, true));
  const stream = new Blob([new Uint8Array(file.subarray(PREFIX))])
    .stream()
    .pipeThrough(new DecompressionStream("gzip"));
  const raw = file[10] === 1 ? new Uint8Array(await new Response(stream).arrayBuffer()) : file.subarray(PREFIX);
  const header = JSON.parse(new TextDecoder().decode(raw.subarray(0, sizes[0]))) as unknown;
  return { header, streams: raw.subarray(sizes[0]), sizes };
}

/** Headers that say anything, with sizes and checksum that are true, and bytes changed; what is read is run. */
export async function packed(): Promise<FuzzFormat> {
  const corpus = await wholeFiles();
  const parts = await Promise.all(corpus.map(partsOf));
  return {
    name: "secateur",
    corpus,
    mutate: (rng) => {
      const at = rng.integer(corpus.length);
      const { header, streams, sizes } = parts[at]!;
      const text = new TextEncoder().encode(mutateJson(rng, header));
      const prefix = corpus[at]!.slice(0, PREFIX);
      const view = new DataView(prefix.buffer);
      prefix[10] = 0;
      const lie = rng.next() < 0.1 ? oneOf(rng, [1, 4, 2 ** 20]) : 0;
      const [, masks = 0, values = 0] = sizes;
      view.setUint32(12, text.length, true);
      view.setUint32(16, masks + lie, true);
      view.setUint32(20, values - lie > 0 ? values - lie : values, true);
      view.setUint32(24, text.length + streams.length, true);
      view.setUint32(28, crc32(text, crc32(prefix.subarray(0, 28))), true);
      return joined(prefix, text, streams);
    },
    async read(bytes) {
      const { tensors, inputs } = await decodePacked(bytes);
      const total = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
      const session = await load(bytes);
      try {
        const fed = inputs.map(({ name, dims }) => {
          const one = dims.map((extent) => (extent === "batch" ? 1 : extent));
          return [name, { dims: one, data: new Float32Array(one.reduce((product, extent) => product * extent, 1)) }];
        });
        await session.run(Object.fromEntries(fed));
      } finally {
        await session.close();
      }
      return total;
    },
  };
}
