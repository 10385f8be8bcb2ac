/** The sums behind one layer's second moments, taken while passes go by; see layer-moments.ts. */
import { type Kernels, type LayerMoments, type Mat, matrix, momentExamples } from "@secateur/core";
import type { Canonical } from "../canonical.ts";
import type { ModelWeight } from "../weights.ts";
import type { HostUse } from "./captured-rows.ts";
import type { ConvGeometry } from "./conv-geometry.ts";

/** Sums of one layer. */
export interface LayerSums {
  /** Takes the only use in a pass of `batch` examples, of which the first `count` are meant. */
  add(pass: HostUse & { readonly batch: number; readonly count: number }): void;
  /** The moments, of a depthwise convolution one entry a channel of its input. */
  moments(of: { param: string; centred: boolean }): readonly LayerMoments[];
}

/** Numbers of windows written at a time. */
const chunkNumbers = 256 * 1024;

/** Empty sums. @param spec.examples - how many there will be */
export function layerSums(spec: {
  weight: ModelWeight;
  canonical: Canonical;
  examples: number;
  kernels: Kernels;
}): LayerSums {
  const { weight, canonical, kernels } = spec;
  const { cols: inputs } = canonical;
  const taps = weight.role === "conv" ? product(weight.shape.slice(0, -2)) : 1;
  const groups = weight.role === "depthwise" ? weight.shape[weight.shape.length - 2]! : 1;
  const outputs = canonical.rows / groups;
  const sums = Array.from({ length: groups }, () => ({
    A: square(inputs),
    B: square(outputs),
    total: new Float64Array(inputs),
  }));
  let [windows, slopes, seen] = [0, 0, 0];
  return {
    add({ use, input, delta, batch, count }) {
      const positions = delta.length / canonical.rows / batch;
      slopes += count * positions;
      const wanted = momentExamples({ examples: spec.examples, inputs, positions });
      const taken = Math.max(0, Math.min(count, wanted - seen));
      seen += taken;
      windows += taken * positions;
      sums.forEach(({ A, B, total }, group) => {
        const own = columnsOf(delta, { rows: count * positions, of: canonical.rows, from: group * outputs, outputs });
        addGram(own, B, kernels);
        const add = (x: Mat): void => {
          addGram(x, A, kernels);
          const columns = new Float32Array(x.cols);
          kernels.columnSums(x, columns);
          for (let j = 0; j < columns.length; j++) total[j] = total[j]! + columns[j]!;
        };
        if (use.kind === "matmul") {
          const rows = taken * positions;
          if (rows > 0) add(matrix(rows, inputs, input.subarray(0, rows * inputs)));
          return;
        }
        eachWindows({ geometry: use.geometry, images: input, count: taken, group, groups }, add);
      });
    },
    moments: ({ param, centred }) =>
      sums.map(({ A, B, total }, group): LayerMoments => {
        const mean = centred && windows > 0 ? total.map((sum) => sum / windows) : undefined;
        return {
          param,
          firstRow: group * outputs,
          inputs: inputMoment({ A, mean, seen: Math.max(1, seen), windows, taps }),
          deltas: matrix(
            outputs,
            outputs,
            B.data.map((value: number) => value / Math.max(1, slopes)),
          ),
        };
      }),
  };
}

function product(extents: readonly number[]): number {
  return extents.reduce((whole, extent) => whole * extent, 1);
}

function square(size: number): Mat {
  return matrix(size, size, new Float64Array(size * size));
}

/** out += a'a, summed in f32 a part at a time and in f64 over the parts. */
function addGram(a: Mat, out: Mat, kernels: Kernels): void {
  const part = matrix(out.rows, out.cols, kernels.alloc(out.data.length, "f32"));
  kernels.gram({ a, transpose: true, out: part });
  for (let i = 0; i < part.data.length; i++) out.data[i] = out.data[i]! + part.data[i]!;
  kernels.free(part.data);
}

/** Columns [from, from + outputs) of the first rows of a matrix of `of` columns. */
function columnsOf(data: Float32Array, spec: { rows: number; of: number; from: number; outputs: number }): Mat {
  const { rows, of, from, outputs } = spec;
  if (outputs === of) return matrix(rows, of, data.subarray(0, rows * of));
  const own = matrix(rows, outputs);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outputs; o++) own.data[r * outputs + o] = data[r * of + from + o]!;
  }
  return own;
}

/** Visits the windows [positions, (tap, channel)] of the channels of one group, some images at a time. */
function eachWindows(
  spec: { geometry: ConvGeometry; images: Float32Array; count: number; group: number; groups: number },
  visit: (windows: Mat) => void,
): void {
  const { geometry, images, count, group, groups } = spec;
  const { inHeight, inWidth, inChannels, outHeight, outWidth, filterHeight, filterWidth } = geometry;
  const { strideHeight, strideWidth, dilationHeight, dilationWidth, padTop, padLeft } = geometry;
  const channels = inChannels / groups;
  const cols = filterHeight * filterWidth * channels;
  const step = Math.max(1, Math.floor(chunkNumbers / (outHeight * outWidth * cols)));
  for (let from = 0; from < count; from += step) {
    const to = Math.min(from + step, count);
    const windows = matrix((to - from) * outHeight * outWidth, cols);
    let place = 0;
    for (let image = from; image < to; image++) {
      for (let oy = 0; oy < outHeight; oy++) {
        for (let ox = 0; ox < outWidth; ox++) {
          for (let ky = 0; ky < filterHeight; ky++) {
            const y = oy * strideHeight + ky * dilationHeight - padTop;
            for (let kx = 0; kx < filterWidth; kx++, place += channels) {
              const x = ox * strideWidth + kx * dilationWidth - padLeft;
              if (y < 0 || y >= inHeight || x < 0 || x >= inWidth) continue;
              const start = ((image * inHeight + y) * inWidth + x) * inChannels + group * channels;
              for (let c = 0; c < channels; c++) windows.data[place + c] = images[start + c]!;
            }
          }
        }
      }
    }
    visit(windows);
  }
}

/** A / seen, less windows mean mean' / seen, in canonical order (channel, tap). */
function inputMoment(spec: {
  A: Mat;
  mean: Float64Array | undefined;
  seen: number;
  windows: number;
  taps: number;
}): Mat {
  const { A, mean, seen, windows, taps } = spec;
  const size = A.rows;
  const channels = size / taps;
  const place = (i: number): number => (i % channels) * taps + Math.floor(i / channels);
  const out = square(size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const common = mean ? windows * mean[i]! * mean[j]! : 0;
      out.data[place(i) * size + place(j)] = (A.data[i * size + j]! - common) / seen;
    }
  }
  return out;
}
