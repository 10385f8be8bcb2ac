import { type ConvolutionShape, type Dtype, type Kernels, matrix, type Vec, windowsShape } from "@secateur/core";
import { describe, expect, it } from "vitest";
import { supportedBuilds } from "./builds.ts";
import { createWasmKernels, type WasmKernelOptions } from "./create-wasm-kernels.ts";
import { bytesOf, Operands, type Residence, TINY_MEMORY } from "./kernels.test-support.ts";

/** Every kernel once, large enough for the work to be shared and for a tiny memory to cut it; returns all results. */
function everyKernel(kernels: Kernels, dtype: Dtype, residence: Residence): Map<string, Vec | Uint32Array> {
  const make = new Operands(kernels, dtype, residence);
  const results = new Map<string, Vec | Uint32Array>();
  const tall = make.real(1100, 301);
  const wide = make.real(301, 290);
  for (const [name, a, transposeA, b, transposeB] of [
    ["gemm", tall, false, wide, false],
    ["gemm with a'", wide, true, make.real(301, 45), false],
    ["gemm with b'", tall, false, make.real(7, 301), true],
    ["gemm with both", tall, true, make.real(19, 1100), true],
  ] as const) {
    const out = make.real(transposeA ? a.cols : a.rows, transposeB ? b.rows : b.cols);
    kernels.gemm({ a, transposeA, b, transposeB, out, alpha: 0.7, beta: 0.3 });
    results.set(name, out.data);
  }
  for (const transpose of [false, true]) {
    const n = transpose ? 301 : 1100;
    const square = make.filled(n, n, 0);
    kernels.gram({ a: tall, transpose, out: square });
    results.set(`gram ${transpose}`, square.data.slice());
    const out = make.realVector(n);
    kernels.gemv({ a: tall, transpose, x: make.realVector(1401 - n), out, alpha: 0.7, beta: 0.3 });
    results.set(`gemv ${transpose}`, out);
  }
  const long = make.real(3, 40_007);
  const longProduct = make.vector(3);
  kernels.gemv({ a: long, x: make.realVector(40_007), out: longProduct });
  results.set("gemv of long rows", longProduct);

  const spd = make.filled(301, 301, 0);
  kernels.gram({ a: tall, transpose: true, out: spd });
  expect(kernels.cholesky(spd)).toBe(-1);
  results.set("cholesky", spd.data);
  for (const transpose of [false, true]) {
    const b = make.real(301, 37);
    kernels.triangularSolve({ l: spd, transpose, b });
    results.set(`triangularSolve ${transpose}`, b.data);
  }
  // Of one right-hand side threads share the rows, from some 1,600 unknowns on in f32.
  const [n, large] = [2100, make.real(2100, 2100)];
  for (let i = 0; i < n; i++) large.data[i * n + i] = n;
  for (const transpose of [false, true]) {
    const b = make.real(n, 1);
    kernels.triangularSolve({ l: large, transpose, b });
    results.set(`triangularSolve of one ${transpose}`, b.data);
  }

  const other = make.real(1100, 301);
  results.set("dot", Float64Array.of(kernels.dot(tall.data, other.data)));
  const [dots, sums] = [make.realVector(1100), make.vector(301)];
  kernels.rowDots(tall, other, dots, 0.3);
  kernels.columnSums(tall, sums);
  results.set("rowDots", dots).set("columnSums", sums);
  kernels.axpy(0.7, tall.data, other.data);
  results.set("axpy", other.data.slice());
  kernels.multiply(tall.data, other.data, other.data);
  results.set("multiply", other.data.slice());
  kernels.scaleRows(other, dots, other);
  kernels.addRow(other, sums);
  results.set("scaleRows, addRow", other.data.slice());
  kernels.relu(other.data, other.data);
  results.set("relu", other.data.slice());
  kernels.reluBackward(tall.data, other.data, other.data);
  results.set("reluBackward", other.data.slice());
  const gathered = make.filled(1100, 60, 0);
  kernels.gatherColumns(
    tall,
    Uint32Array.from({ length: 60 }, (_, s) => (s * 37) % 301),
    gathered,
  );
  results.set("gatherColumns", gathered.data);

  const geometry = { batch: 9, height: 12, width: 12, kernel: [3, 3], stride: 1, padding: 1, dilation: 1 } as const;
  const ways: Readonly<Record<string, ConvolutionShape>> = {
    tiles: { ...geometry, channels: 4, outputs: 8, groups: 1 },
    windows: { ...geometry, stride: 2, channels: 4, outputs: 8, groups: 1 },
    groups: { ...geometry, channels: 8, outputs: 8, groups: 8 },
  };
  for (const [way, shape] of Object.entries(ways)) {
    const { rows } = windowsShape(shape);
    const images = make.realVector(9 * 144 * shape.channels);
    const weights = make.realVector((8 * shape.channels * 9) / shape.groups);
    const [out, back] = [make.vector(rows * 8), make.vector(images.length)];
    kernels.convolve({ shape, images, weights, bias: make.realVector(8), out });
    kernels.convolveBack({ shape, deltas: out, weights, out: back });
    const rowsOfGradients = make.filled(3, weights.length, 0);
    kernels.convolutionGradients({ shape, images, deltas: out, group: 4, out: rowsOfGradients });
    results.set(`convolve by ${way}`, out).set(`convolveBack by ${way}`, back);
    results.set(`convolutionGradients by ${way}`, rowsOfGradients.data);
  }
  const sparse = { ...geometry, batch: 3, stride: 2, channels: 4, outputs: 70, groups: 1 };
  const pattern = {
    ...{ rows: 70, cols: 36, starts: Uint32Array.from({ length: 71 }, (_, o) => o * 9) },
    columns: Uint32Array.from({ length: 630 }, (_, e) => 4 * (e % 9) + (e % 4)),
  };
  const [planes, values] = [make.realVector(3 * 144 * 4 * 32), make.realVector(630)];
  const [sparseOut, sparseBack] = [make.vector(3 * 36 * 70 * 32), make.vector(planes.length)];
  kernels.sparseConvolve!({
    shape: sparse,
    pattern,
    values,
    images: planes,
    bias: make.realVector(70),
    out: sparseOut,
  });
  kernels.sparseConvolveBack!({ shape: sparse, pattern, values, deltas: sparseOut, out: sparseBack });
  const slopes = make.vector(630);
  kernels.sparseGradients!({ shape: sparse, pattern, images: planes, deltas: sparseOut, out: slopes });
  results
    .set("sparseConvolve where there is room", sparseOut)
    .set("sparseConvolveBack where there is room", sparseBack);
  results.set("sparseGradients where there is room", slopes);
  const [count, classes] = [40, 5 * 32];
  const kept = { pattern, start: 0, inputs: make.realVector(count * 36 * 32), gate: make.realVector(count * 70 * 32) };
  const last = {
    rows: 5,
    cols: 70,
    starts: Uint32Array.of(0, 9, 9, 30, 30, 45),
    columns: pattern.columns.slice(0, 45),
  };
  const through = { pattern: last, start: 630, inputs: make.realVector(count * 70 * 32), weights: make.real(5, 70) };
  const chain = { count, size: 675, layers: [kept, through] };
  const [x, probabilities] = [make.realVector(675), make.realVector(count * classes).map(Math.abs) as Vec];
  const [tangents, curved] = [make.vector(count * classes), make.vector(675)];
  kernels.chainTimes!({ chain, x, out: tangents });
  kernels.chainTransposeTimes!({ chain, u: tangents, out: x });
  kernels.chainGram!({ chain, x, probabilities, out: curved });
  const squares = [make.vector(count * 70 * 32), make.vector(count * classes)];
  kernels.chainSquares!({ chain, probabilities, out: squares });
  results.set("chainTimes where there is room", tangents).set("chainTransposeTimes where there is room", x);
  results
    .set("chainGram where there is room", curved)
    .set("chainSquares where there is room", squares[0]!)
    .set("chainSquares of the last layer where there is room", squares[1]!);
  const steps = [
    ["sigmoid", 0],
    ["multiply", 0, 2],
    ["exp", 3],
  ] as const;
  const program = make.vector(tall.data.length);
  kernels.elementwise!({
    shape: [1100, 301],
    inputs: [{ data: tall.data, strides: [301, 1] }, 2],
    steps,
    out: program,
  });
  const likely = make.filled(1100, 301, 0);
  kernels.softmax!({ a: tall, out: likely, isLogarithm: false });
  results.set("elementwise where there is room", program).set("softmax where there is room", likely.data);
  results.set("largest", kernels.largest(tall.data, 33_000));
  const rounded = matrix(1100, 301, tall.data.map((value) => Math.round(value * 3)) as Vec);
  results.set("largest of ties", kernels.largest(rounded.data, 100_000));
  const loss = new Float64Array(1100);
  const labels = Uint32Array.from({ length: 1100 }, (_, i) => i % 301);
  const delta = make.filled(1100, 301, 0);
  results.set("total loss", Float64Array.of(kernels.softmaxCrossEntropy({ logits: tall, labels, loss, delta })));
  results.set("losses", loss).set("gradients of logits", delta.data);
  return results;
}

describe.each(["f32", "f64"] as const)("the same inputs give the same bytes, %s", (dtype) => {
  it.each(supportedBuilds())(
    "for 1, 2 and 3 threads, operands in either memory, and a memory cut to tiles, %s",
    async (build) => {
      const run = async (options: WasmKernelOptions, residence: Residence) => {
        const kernels = await createWasmKernels({ build, ...options });
        const results = everyKernel(kernels, dtype, residence);
        const bytes = new Map([...results].map(([name, vector]) => [name, bytesOf(vector)]));
        await kernels.close();
        return bytes;
      };
      const expected = await run({ threads: 1 }, "inside");
      expect(expected.size).toBeGreaterThan(20);
      for (const [options, residence] of [
        [{ threads: 1 }, "outside"],
        [{ threads: 2 }, "inside"],
        [{ threads: 3 }, "outside"],
        [{ threads: 1, maxMemoryBytes: TINY_MEMORY }, "outside"],
        [{ threads: 2, maxMemoryBytes: TINY_MEMORY }, "outside"],
      ] as const) {
        const found = await run(options, residence);
        const different = [...expected]
          // A small memory has no room for tiles or whole vectors: it takes windows and the reference, which round in another way.
          .filter(([name]) => !("maxMemoryBytes" in options && /by tiles|where there is room/.test(name)))
          .filter(([name, bytes]) => !found.get(name)?.equals(bytes))
          .map(([name]) => name);
        expect(different, `${JSON.stringify(options)} ${residence}`).toEqual([]);
      }
    },
  );
});
