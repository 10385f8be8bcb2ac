/** Every convolution of ResNet20, forward and both backward passes, beside the matrix product of the same sizes. */
import {
  type ConvolutionShape,
  createRng,
  type Kernels,
  type Mat,
  matrix,
  type Vec,
  windowsShape,
} from "@secateur/core";
import type { Calibration } from "./calibrate.ts";
import { decimals, printTable } from "./print.ts";
import { bestOf } from "./timing.ts";

/** Images of one call. */
const batch = 64;
/** Images of one gradient row. */
const group = 16;

/** Channels, outputs, height and width, stride, taps a side, and how often ResNet20 has it. */
const layers = [
  [3, 16, 32, 1, 3, 1],
  [16, 16, 32, 1, 3, 6],
  [16, 32, 32, 2, 3, 1],
  [32, 32, 16, 1, 3, 5],
  [32, 64, 16, 2, 3, 1],
  [64, 64, 8, 1, 3, 5],
] as const;

/** Prints GFLOPS, counted as the multiplications and additions of the definition, whatever way they are saved. */
export async function printLayers(kernels: Kernels, calibration: Calibration): Promise<void> {
  const rows: (string | undefined)[][] = [];
  for (const [channels, outputs, size, stride, taps, count] of layers) {
    const padding = (taps - 1) / 2;
    const geometry = { batch, height: size, width: size, channels, stride, padding, dilation: 1 };
    const shape: ConvolutionShape = { ...geometry, kernel: [taps, taps], outputs, groups: 1 };
    const sizes = windowsShape(shape);
    const operands = createOperands(kernels);
    const images = operands.vector(batch * size * size * channels);
    const weights = operands.vector(outputs * sizes.cols);
    const windows = operands.mat(sizes.rows, sizes.cols);
    const out = operands.mat(sizes.rows, outputs);
    const gradients = operands.mat(Math.ceil(batch / group), outputs * sizes.cols);
    const w = matrix(outputs, sizes.cols, weights);
    const flops = 2 * sizes.rows * sizes.cols * outputs;
    const rate = async (work: () => void): Promise<number> => flops / (await bestOf(8, calibration, work)).ms / 1e6;
    const measured = {
      gemm: await rate(() => kernels.gemm({ a: windows, b: w, transposeB: true, out })),
      forward: await rate(() => kernels.convolve({ shape, images, weights, out: out.data })),
      data: await rate(() => kernels.convolveBack({ shape, deltas: out.data, weights, out: images })),
      weight: await rate(() =>
        kernels.convolutionGradients({ shape, images, deltas: out.data, group, out: gradients }),
      ),
    };
    operands.free();
    rows.push([
      `${channels} -> ${outputs}, ${size} x ${size}${stride > 1 ? `, stride ${stride}` : ""}`,
      `${count}`,
      decimals(measured.gemm, 1),
      ...[measured.forward, measured.data, measured.weight].flatMap((found) => [
        decimals(found, 1),
        decimals(found / measured.gemm, 2),
      ]),
    ]);
  }
  printTable(
    ["convolution, 3 x 3", "layers", "gemm", "forward", "/ gemm", "to images", "/ gemm", "to weights", "/ gemm"],
    rows,
  );
}

interface Operands {
  vector(length: number): Vec;
  mat(rows: number, cols: number): Mat;
  free(): void;
}

/** Random f32 operands in kernel memory. */
function createOperands(kernels: Kernels): Operands {
  const rng = createRng("convolutions");
  const all: Vec[] = [];
  const vector = (length: number): Vec => {
    const made = kernels.alloc(length, "f32");
    for (let i = 0; i < length; i++) made[i] = rng.next() - 0.5;
    all.push(made);
    return made;
  };
  return {
    vector,
    mat: (rows, cols) => matrix(rows, cols, vector(rows * cols)),
    free() {
      for (const made of all) kernels.free(made);
    },
  };
}
