/** One list of calls for each kernel: every variant, on shapes that fit no tile. */
import { type Kernels, type Mat, matrix, referenceKernels, type WindowShape, windowsShape } from "@secateur/core";
import { chainGramCases, chainSquaresCases, chainTimesCases, chainTransposeTimesCases } from "./chain-cases.ts";
import { convolutionGradientsCases, convolveBackCases, convolveCases } from "./convolution-cases.ts";
import { elementwiseCases, softmaxCases } from "./elementwise-cases.ts";
import { exact, type KernelCase, rounded } from "./kernel-case.ts";
import { panelProductsCases, sparseTimesCases } from "./sparse-cases.ts";
import { sparseConvolveBackCases, sparseConvolveCases, sparseGradientsCases } from "./sparse-convolution-cases.ts";

/** The kernels that have cases. */
export type CheckedKernel = Exclude<keyof Kernels, "name" | "threads" | "alloc" | "free" | "holds">;

const triples: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [2, 3, 5],
  [7, 9, 4],
  [16, 16, 16],
  [17, 33, 65],
  [64, 5, 130],
  [1, 70, 31],
  [0, 3, 4],
  [3, 0, 4],
  [3, 4, 0],
];
const pairs: readonly (readonly [number, number])[] = [
  [1, 1],
  [3, 5],
  [8, 8],
  [17, 65],
  [130, 7],
  [1, 131],
  [0, 4],
  [4, 0],
];
const lengths: readonly number[] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 130, 1027];
const bools = [false, true] as const;
const image = {
  batch: 2,
  height: 7,
  width: 6,
  channels: 5,
  kernel: [3, 3],
  stride: 1,
  padding: 1,
  dilation: 1,
} as const;
const windows: readonly WindowShape[] = [
  image,
  { ...image, stride: 2, channels: 4 },
  { ...image, kernel: [1, 1], stride: 2, padding: 0 },
  { ...image, kernel: [2, 3], padding: 2, dilation: 2 },
  { ...image, kernel: [5, 1], stride: 3, padding: 0 },
  { ...image, channelRange: [1, 4] },
  { ...image, batch: 0 },
];
/** Of stride and dilation 1, which a backend may sum up by displacements. */
const shifted: readonly WindowShape[] = [
  { ...image, batch: 5, channels: 8 },
  { ...image, channels: 12, channelRange: [4, 12] },
  { ...image, channels: 16, kernel: [5, 4], padding: 0 },
  { ...image, channels: 4, kernel: [2, 3], padding: 2 },
  { ...image, channels: 4, height: 2, width: 1 },
  { ...image, channels: 12, kernel: [1, 1], padding: 0 },
  { ...image, channels: 12, kernel: [1, 1], padding: 0, channelRange: [4, 8] },
  { ...image, channels: 68, kernel: [1, 1], padding: 0 },
  { ...image, channels: 8, kernel: [1, 1], padding: 1 },
  { ...image, channels: 20, height: 33, width: 34, batch: 3 },
];

const gemms = triples.flatMap(([m, k, n]) =>
  bools.flatMap((transposeA) =>
    bools.flatMap((transposeB) =>
      (
        [
          [1, 0],
          [-2, 1],
          [0.5, -1],
        ] as const
      ).map(([alpha, beta]) => {
        const label = `${m} x ${k} by ${k} x ${n}${transposeA ? ", a'" : ""}${transposeB ? ", b'" : ""}, alpha ${alpha}, beta ${beta}`;
        return exact(label, (kernels, make) => {
          const a = transposeA ? make.wholeMatrix(k, m) : make.wholeMatrix(m, k);
          const b = transposeB ? make.wholeMatrix(n, k) : make.wholeMatrix(k, n);
          // With beta 0, out is overwritten whatever it held.
          const out = beta === 0 ? make.outputMatrix(m, n) : matrix(m, n, make.changed(m * n));
          kernels.gemm({ a, b, out, transposeA, transposeB, alpha, beta });
          return [out.data];
        });
      }),
    ),
  ),
);

const sums = (name: "rowDots" | "columnDots" | "columnSums"): readonly KernelCase[] =>
  pairs.map(([rows, cols]) =>
    exact(`${rows} x ${cols}`, (kernels, make) => {
      const a = make.wholeMatrix(rows, cols);
      const b = make.wholeMatrix(rows, cols);
      const out = make.output(name === "rowDots" ? rows : cols);
      if (name === "columnSums") kernels.columnSums(a, out);
      else if (name === "columnDots") kernels.columnDots(a, b, out);
      else {
        kernels.rowDots(a, b, out, 0);
        kernels.rowDots(a, b, out, -2);
      }
      return [out];
    }),
  );

const imageSize = (shape: WindowShape): number => shape.batch * shape.height * shape.width * shape.channels;

/** All cases by kernel. */
export const kernelCases: Readonly<Record<CheckedKernel, readonly KernelCase[]>> = {
  gemm: [
    ...gemms,
    rounded("17 x 33 by 33 x 65, reals", (kernels, make) => {
      const out = make.outputMatrix(17, 65);
      kernels.gemm({ a: make.realMatrix(17, 33), b: make.realMatrix(33, 65), out });
      return [out.data];
    }),
  ],
  gemmEach: pairs.flatMap(([rows, cols]) =>
    [0, 1, 5].map((count) =>
      exact(`${count} products of ${rows} x ${cols} and ${cols} x 9`, (kernels, make) => {
        const [a, b] = [make.wholeMatrix(count * rows, cols), make.wholeMatrix(count * cols, 9)];
        const out = make.outputMatrix(count * rows, 9);
        // What a backend leaves out is done one by one.
        if (kernels.gemmEach) kernels.gemmEach({ count, a, b, out });
        else {
          const part = ({ cols: own, data }: Mat, i: number, n: number): Mat =>
            matrix(n, own, data.subarray(i * n * own, (i + 1) * n * own));
          for (let i = 0; i < count; i++) {
            kernels.gemm({ a: part(a, i, rows), b: part(b, i, cols), out: part(out, i, rows) });
          }
        }
        return [out.data];
      }),
    ),
  ),
  gram: pairs.flatMap(([rows, cols]) =>
    bools.map((transpose) =>
      exact(`${rows} x ${cols}${transpose ? ", a'a" : ", a a'"}`, (kernels, make) => {
        const a = make.wholeMatrix(rows, cols);
        const n = transpose ? cols : rows;
        const out = make.outputMatrix(n, n);
        kernels.gram({ a, transpose, out });
        // What is above the diagonal does not count.
        for (let i = 0; i < n; i++) out.data.fill(3, i * n + i + 1, (i + 1) * n);
        kernels.gram({ a, transpose, out, alpha: 2, beta: -1 });
        return [out.data];
      }),
    ),
  ),
  gemv: pairs.flatMap(([rows, cols]) => [
    ...bools.map((transpose) =>
      exact(`${rows} x ${cols}${transpose ? ", a'" : ""}`, (kernels, make) => {
        const a = make.wholeMatrix(rows, cols);
        const x = make.whole(transpose ? rows : cols);
        const out = make.output(transpose ? cols : rows);
        kernels.gemv({ a, transpose, x, out });
        kernels.gemv({ a, transpose, x, out, alpha: -2, beta: 3 });
        return [out];
      }),
    ),
    exact(`${rows} x ${cols}, a vector of f64 whatever the matrix is of`, (kernels, make) => {
      const a = make.wholeMatrix(rows, cols);
      // Beyond what f32 can hold: a product or a sum in f32 would differ.
      const x = Float64Array.from(make.whole(cols), (value) => value * (2 ** 30 + 1));
      const out = new Float64Array(rows).fill(1);
      kernels.gemv({ a, x, out, alpha: -2, beta: 3 });
      return [out];
    }),
  ]),
  cholesky: [0, 1, 2, 5, 17, 40].flatMap((n) => [
    rounded(`positive definite ${n} x ${n}`, (kernels, make) => {
      const a = make.positive(n);
      // What is above the diagonal does not count.
      for (let i = 0; i < n; i++) a.data.fill(3, i * n + i + 1, (i + 1) * n);
      const pivot = kernels.cholesky(a);
      return [pivot, a.data];
    }),
    ...(n < 2
      ? []
      : [
          exact(`${n} x ${n} that fails at pivot ${n - 1}`, (kernels, make) => {
            const a = make.positive(n);
            for (let j = 0; j < n; j++) a.data[(n - 1) * n + j] = j === n - 1 ? -1 : 0;
            return [kernels.cholesky(a)];
          }),
        ]),
  ]),
  triangularSolve: [0, 1, 2, 5, 17].flatMap((n) =>
    [0, 1, 3, 8].flatMap((m) =>
      bools.map((transpose) =>
        rounded(`${n} x ${n}${transpose ? ", L'" : ""}, ${m} right-hand sides`, (kernels, make) => {
          const l = make.positive(n);
          kernels.cholesky(l);
          const b = matrix(n, m, make.changed(n * m));
          kernels.triangularSolve({ l, transpose, b });
          return [b.data];
        }),
      ),
    ),
  ),
  dot: lengths.map((length) =>
    exact(`${length}`, (kernels, make) => [kernels.dot(make.whole(length), make.whole(length))]),
  ),
  axpy: lengths.map((length) =>
    exact(`${length}`, (kernels, make) => {
      const y = make.changed(length);
      kernels.axpy(-3, make.whole(length), y);
      return [y];
    }),
  ),
  // Whoever has it gives the same bytes: also of numbers that are rounded.
  momentumStep: lengths.map((length) =>
    exact(`${length}`, (kernels, make) => {
      const [w, velocity] = [make.changed(length), make.changed(length)];
      const step = kernels.momentumStep ?? referenceKernels.momentumStep!;
      const numbers = { momentum: 0.9, decay: 0.013, rate: 0.3 };
      for (let turn = 0; turn < 2; turn++) step({ w, velocity, gradient: make.real(length), ...numbers });
      return [w, velocity];
    }),
  ),
  multiply: lengths.map((length) =>
    exact(`${length}, also in place`, (kernels, make) => {
      const [b, out, same] = [make.whole(length), make.output(length), make.changed(length)];
      kernels.multiply(make.whole(length), b, out);
      kernels.multiply(same, b, same);
      return [out, same];
    }),
  ),
  scaleRows: pairs.map(([rows, cols]) =>
    exact(`${rows} x ${cols}, also in place`, (kernels, make) => {
      const scales = make.whole(rows);
      const [out, same] = [make.outputMatrix(rows, cols), matrix(rows, cols, make.changed(rows * cols))];
      kernels.scaleRows(make.wholeMatrix(rows, cols), scales, out);
      kernels.scaleRows(same, scales, same);
      return [out.data, same.data];
    }),
  ),
  rowDots: sums("rowDots"),
  columnSums: sums("columnSums"),
  columnDots: sums("columnDots"),
  addRow: pairs.map(([rows, cols]) =>
    exact(`${rows} x ${cols}`, (kernels, make) => {
      const a = matrix(rows, cols, make.changed(rows * cols));
      kernels.addRow(a, make.whole(cols));
      return [a.data];
    }),
  ),
  affineColumns: pairs.flatMap(([rows, cols]) =>
    [0, 1, 2, 3, 4, 5, 6, 7, 15].map((parts) =>
      exact(`${rows} x ${cols}, variant ${parts}`, (kernels, make) => {
        const out = make.outputMatrix(rows, cols);
        kernels.affineColumns({
          a: make.wholeMatrix(rows, cols),
          out,
          ...(parts & 1 ? { alpha: make.whole(cols) } : {}),
          ...(parts & 2 ? { b: make.wholeMatrix(rows, cols) } : {}),
          ...((parts & 10) === 10 ? { beta: make.whole(cols) } : {}),
          ...(parts & 4 ? { gamma: make.whole(cols) } : {}),
        });
        return [out.data];
      }),
    ),
  ),
  transposeBlocks: pairs.map(([rows, cols]) =>
    exact(`3 of ${rows} x ${cols}`, (kernels, make) => {
      const out = make.output(3 * rows * cols);
      kernels.transposeBlocks(make.whole(3 * rows * cols), { count: 3, rows, cols }, out);
      return [out];
    }),
  ),
  gatherWindows: windows.map((shape) =>
    exact(JSON.stringify(shape), (kernels, make) => {
      const { rows, cols } = windowsShape(shape);
      const out = make.outputMatrix(rows, cols);
      kernels.gatherWindows({ shape, images: make.whole(imageSize(shape)), windows: out });
      return [out.data];
    }),
  ),
  scatterWindows: windows.map((shape) =>
    exact(JSON.stringify(shape), (kernels, make) => {
      const { rows, cols } = windowsShape(shape);
      const images = make.changed(imageSize(shape));
      kernels.scatterWindows({ shape, images, windows: make.wholeMatrix(rows, cols) });
      return [images];
    }),
  ),
  maxWindows: windows
    .filter(({ channelRange }) => channelRange === undefined)
    .map((shape) =>
      exact(`${JSON.stringify(shape)}, many ties`, (kernels, make) => {
        const { rows } = windowsShape(shape);
        const out = make.output(rows * shape.channels);
        const taken = new Uint32Array(out.length);
        kernels.maxWindows({ shape, images: make.whole(imageSize(shape), 2), out, taken });
        return [out, taken];
      }),
    ),
  windowGram: [...windows, ...shifted].flatMap((shape) =>
    ([0, 1] as const).map((beta) =>
      exact(`${JSON.stringify(shape)}, beta ${beta}`, (kernels, make) => {
        const { cols } = windowsShape(shape);
        const [out, sums] = [make.outputMatrix(cols, cols), make.output(cols)];
        if (beta === 1) {
          out.data.fill(3);
          sums.fill(5);
        }
        // Whole numbers up to 4 keep sums of some thousand products exact in f32.
        const spec = { shape, images: make.whole(imageSize(shape), 4), beta };
        const run = kernels.windowGram ?? referenceKernels.windowGram!;
        run({ ...spec, out, sums });
        const alone = make.outputMatrix(cols, cols, 3);
        run({ ...spec, out: alone });
        return [out.data, sums, alone.data];
      }),
    ),
  ),
  convolve: convolveCases,
  convolveBack: convolveBackCases,
  convolutionGradients: convolutionGradientsCases,
  gatherColumns: pairs.map(([rows, cols]) =>
    exact(`${rows} x ${cols}`, (kernels, make) => {
      const columns = cols === 0 ? new Uint32Array(0) : make.indices(9, cols);
      const out = make.outputMatrix(rows, columns.length);
      kernels.gatherColumns(make.wholeMatrix(rows, cols), columns, out);
      return [out.data];
    }),
  ),
  sparseTimes: sparseTimesCases,
  panelProducts: panelProductsCases,
  chainTimes: chainTimesCases,
  chainTransposeTimes: chainTransposeTimesCases,
  chainGram: chainGramCases,
  chainSquares: chainSquaresCases,
  sparseConvolve: sparseConvolveCases,
  sparseConvolveBack: sparseConvolveBackCases,
  sparseGradients: sparseGradientsCases,
  elementwise: elementwiseCases,
  softmax: softmaxCases,
  largest: lengths
    .flatMap((length) =>
      [0, 1, Math.floor(length / 3), length].map((k) =>
        exact(`${k} of ${length}, many ties`, (kernels, make) => [
          kernels.largest(make.whole(length, 2), Math.min(k, length)),
        ]),
      ),
    )
    .concat(
      exact("NaN and infinities", (kernels, make) => {
        const scores = [Number.NaN, 1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, -0, 0, 1];
        return [0, 1, 2, 3, 4, 5, 6, 7, 8].map((k) => kernels.largest(make.given(scores), k));
      }),
    ),
  relu: lengths.map((length) =>
    exact(`${length}, also in place`, (kernels, make) => {
      const [out, same] = [make.output(length), make.changed(length)];
      kernels.relu(make.whole(length), out);
      if (length > 0) same[0] = Number.NaN;
      kernels.relu(same, same);
      return [out, same];
    }),
  ),
  reluBackward: lengths.map((length) =>
    exact(`${length}, also in place`, (kernels, make) => {
      const [activation, out, same] = [make.whole(length, 1), make.output(length), make.changed(length)];
      kernels.reluBackward(activation, make.whole(length), out);
      kernels.reluBackward(activation, same, same);
      return [out, same];
    }),
  ),
  softmaxCrossEntropy: (
    [
      [1, 2],
      [5, 10],
      [17, 3],
      [3, 1],
      [0, 4],
    ] as const
  ).flatMap(([batch, classes]) =>
    [1, 400].map((size) =>
      rounded(`${batch} examples of ${classes} classes, logits up to ${size}`, (kernels, make) => {
        const logits = make.wholeMatrix(batch, classes, size);
        const labels = make.indices(batch, classes);
        const loss = new Float64Array(batch);
        const delta = make.outputMatrix(batch, classes);
        const total = kernels.softmaxCrossEntropy({ logits, labels, loss, delta });
        return [total, loss, delta.data];
      }),
    ),
  ),
};
