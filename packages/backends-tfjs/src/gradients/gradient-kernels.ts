/**
 * Gradients of convolutions by filters and by inputs in WebAssembly SIMD, an image at a time: with x padded so that no window
 * leaves it,
 *   dW[ky, kx, i, o] = sum over positions p of x[p s + k d, i] dy[p, o]            a matrix product for every tap
 *   depthwise: dW[ky, kx, c] = sum over p of x[p s + k d, c] dy[p, c],   dx[p s + k d, c] += dy[p, c] W[k, c]
 * Sums run over positions and images in a fixed order, so the same inputs give the same bytes.
 */

import { wasmBase64 } from "../generated/gradient-kernels.generated.ts";
import type { ConvGeometry } from "./conv-geometry.ts";

/** Called with the gradient of every run of images; the array is reused, so it must be copied. */
export type OnFilterGradient = (gradient: Float32Array, row: number) => void;

/** Images, the gradients at the outputs of their convolution, and how they belong together. */
export interface FilterGradientSpec {
  readonly geometry: ConvGeometry;
  /** [batch, inHeight, inWidth, inChannels] */
  readonly x: Float32Array;
  /** [batch, outHeight, outWidth, outChannels] */
  readonly dy: Float32Array;
  /** Consecutive images [from, to) that are summed into each gradient, in the order of the calls. */
  readonly runs: Iterable<readonly [from: number, to: number]>;
}

/** The kernels; each call is synchronous and runs on one thread. */
export interface GradientKernels {
  /** Gives [filterHeight, filterWidth, inChannels, outChannels] for every run. */
  filterGradient(spec: FilterGradientSpec, each: OnFilterGradient): void;
  /** The same of a depthwise convolution: [filterHeight, filterWidth, inChannels, multiplier]. */
  depthwiseFilterGradient(spec: FilterGradientSpec, each: OnFilterGradient): void;
  /** Writes the gradient at the images of a depthwise convolution to out [batch, inHeight, inWidth, inChannels]. */
  depthwiseInputGradient(spec: {
    geometry: ConvGeometry;
    dy: Float32Array;
    filter: Float32Array;
    out: Float32Array;
  }): void;
  /** out [segments, cols] = sums of the rows of x [rows, cols] by their id; ids out of range are left out. */
  segmentSum(spec: { x: Float32Array; ids: Int32Array; cols: number; out: Float32Array }): void;
}

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly [kernel: string]: unknown;
}

/** Compiles the module (2 KB, so at once everywhere) and lays out its memory afresh for every call. */
export function createGradientKernels(): GradientKernels {
  const binary = Uint8Array.from(atob(wasmBase64), (character) => character.charCodeAt(0));
  const exports = new WebAssembly.Instance(new WebAssembly.Module(binary), {}).exports as unknown as Exports;
  const run = (kernel: string, ...values: number[]): void =>
    (exports[kernel] as (...values: number[]) => void)(...values);
  const arena = createArena(exports.memory);
  return {
    filterGradient({ geometry, x, dy, runs }, each) {
      const { inChannels, outChannels, filterHeight, filterWidth, dilationWidth } = geometry;
      const plan = paddedPlan(geometry, 1, inChannels);
      // Without dilation the taps of a row lie together.
      const [pieces, length] = dilationWidth === 1 ? [1, filterWidth * inChannels] : [filterWidth, inChannels];
      const [runLength, outputs] = [roundUp(length, 4), roundUp(outChannels, 8)];
      const positions = geometry.outHeight * geometry.outWidth;
      arena.layOut({
        image: plan.imageNumbers,
        padded: plan.paddedNumbers + runLength,
        rawDelta: positions * outChannels,
        delta: positions * outputs,
        out: filterHeight * pieces * runLength * outputs,
      });
      const gradient = new Float32Array(filterHeight * filterWidth * inChannels * outChannels);
      arena.clear("padded");
      arena.clear("delta");
      let row = 0;
      for (const [from, to] of runs) {
        arena.clear("out");
        for (let image = from; image < to; image++) {
          stage(image, x, plan);
          stageDelta({ image, dy, positions, channels: outChannels, lanes: outputs });
          run(
            "filterGradient",
            ...[arena.at("padded"), arena.at("delta"), arena.at("out"), geometry.outHeight, geometry.outWidth],
            ...[filterHeight, pieces, runLength, outputs],
            ...[plan.tapRowStep, plan.tapColStep, plan.yStep, plan.xStep],
          );
        }
        const sums = arena.view("out");
        for (let r = 0; r < filterHeight * pieces; r++) {
          for (let j = 0; j < length; j++) {
            const source = (r * runLength + j) * outputs;
            gradient.set(sums.subarray(source, source + outChannels), (r * length + j) * outChannels);
          }
        }
        each(gradient, row++);
      }
    },
    depthwiseFilterGradient({ geometry, x, dy, runs }, each) {
      const { inChannels, outChannels, filterHeight, filterWidth } = geometry;
      const lanes = roundUp(outChannels, 4);
      const plan = paddedPlan(geometry, outChannels / inChannels, lanes);
      const positions = geometry.outHeight * geometry.outWidth;
      const taps = filterHeight * filterWidth;
      arena.layOut({
        image: plan.imageNumbers,
        padded: plan.paddedNumbers,
        rawDelta: positions * outChannels,
        delta: positions * lanes,
        out: taps * lanes,
      });
      const gradient = new Float32Array(taps * outChannels);
      arena.clear("padded");
      arena.clear("delta");
      let row = 0;
      for (const [from, to] of runs) {
        arena.clear("out");
        for (let image = from; image < to; image++) {
          stage(image, x, plan);
          stageDelta({ image, dy, positions, channels: outChannels, lanes });
          run(
            "depthwiseFilterGradient",
            ...[arena.at("padded"), arena.at("delta"), arena.at("out"), geometry.outHeight, geometry.outWidth],
            ...[filterHeight, filterWidth, lanes, plan.tapRowStep, plan.tapColStep, plan.yStep, plan.xStep],
          );
        }
        const sums = arena.view("out");
        for (let tap = 0; tap < taps; tap++) {
          gradient.set(sums.subarray(tap * lanes, tap * lanes + outChannels), tap * outChannels);
        }
        each(gradient, row++);
      }
    },
    depthwiseInputGradient({ geometry, dy, filter, out }) {
      const { batch, inHeight, inWidth, inChannels, outChannels, filterHeight, filterWidth } = geometry;
      const lanes = roundUp(outChannels, 4);
      const multiplier = outChannels / inChannels;
      const plan = paddedPlan(geometry, multiplier, lanes);
      const positions = geometry.outHeight * geometry.outWidth;
      const taps = filterHeight * filterWidth;
      arena.layOut({
        image: plan.imageNumbers,
        padded: plan.paddedNumbers,
        rawDelta: positions * outChannels,
        delta: positions * lanes,
        filter: taps * lanes,
      });
      arena.clear("delta");
      arena.clear("filter");
      const weights = arena.view("filter");
      for (let tap = 0; tap < taps; tap++) {
        weights.set(filter.subarray(tap * outChannels, (tap + 1) * outChannels), tap * lanes);
      }
      for (let image = 0; image < batch; image++) {
        arena.clear("padded");
        stageDelta({ image, dy, positions, channels: outChannels, lanes });
        run(
          "depthwiseInputGradient",
          ...[arena.at("delta"), arena.at("filter"), arena.at("padded"), geometry.outHeight, geometry.outWidth],
          ...[filterHeight, filterWidth, lanes, plan.tapRowStep, plan.tapColStep, plan.yStep, plan.xStep],
        );
        run(
          "cropImage",
          ...[arena.at("padded"), arena.at("image"), inHeight, inWidth, inChannels, multiplier, lanes],
          ...[plan.rowStep, plan.firstOffset],
        );
        out.set(arena.view("image").subarray(0, plan.imageNumbers), image * plan.imageNumbers);
      }
    },
    segmentSum({ x, ids, cols, out }) {
      if (cols === 0) return;
      const tile = Math.max(1, Math.min(ids.length, Math.floor(tileNumbers / cols)));
      arena.layOut({ x: tile * cols, ids: tile, out: out.length });
      arena.clear("out");
      for (let from = 0; from < ids.length; from += tile) {
        const to = Math.min(from + tile, ids.length);
        arena.view("x").set(x.subarray(from * cols, to * cols));
        new Int32Array(exports.memory.buffer, arena.at("ids"), tile).set(ids.subarray(from, to));
        run("segmentSum", arena.at("x"), arena.at("ids"), arena.at("out"), to - from, cols, out.length / cols);
      }
      out.set(arena.view("out"));
    },
  };

  /** Copies an image into the middle of the padded one. */
  function stage(image: number, x: Float32Array, plan: PaddedPlan): void {
    const { imageNumbers, height, width, channels, repeat, lanes, rowStep, firstOffset } = plan;
    arena.view("image").set(x.subarray(image * imageNumbers, (image + 1) * imageNumbers));
    const [from, to] = [arena.at("image"), arena.at("padded")];
    run("padImage", from, to, height, width, channels, repeat, lanes, rowStep, firstOffset);
  }

  /** Copies the gradient at an image's outputs, its channels filled up to `lanes`. */
  function stageDelta(spec: {
    image: number;
    dy: Float32Array;
    positions: number;
    channels: number;
    lanes: number;
  }): void {
    const { image, dy, positions, channels, lanes } = spec;
    const part = dy.subarray(image * positions * channels, (image + 1) * positions * channels);
    if (channels === lanes) {
      arena.view("delta").set(part);
      return;
    }
    arena.view("rawDelta").set(part);
    run("padImage", arena.at("rawDelta"), arena.at("delta"), 1, positions, channels, 1, lanes, 0, 0);
  }
}

/** Numbers of a tile that is copied in at a time: 4 MiB of f32. */
const tileNumbers = 1024 * 1024;

/** How an image lies in its padded copy; steps and offsets in bytes. */
interface PaddedPlan {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Copies of every channel, side by side. */
  readonly repeat: number;
  /** Numbers a pixel takes. */
  readonly lanes: number;
  readonly imageNumbers: number;
  readonly paddedNumbers: number;
  readonly rowStep: number;
  readonly firstOffset: number;
  readonly tapRowStep: number;
  readonly tapColStep: number;
  readonly yStep: number;
  readonly xStep: number;
}

function paddedPlan(geometry: ConvGeometry, repeat: number, lanes: number): PaddedPlan {
  const { inHeight: height, inWidth: width, inChannels: channels, padTop, padLeft } = geometry;
  const reach = (out: number, stride: number, taps: number, dilation: number) => {
    return (out - 1) * stride + (taps - 1) * dilation + 1;
  };
  const { outHeight, strideHeight, filterHeight, dilationHeight, outWidth, strideWidth, filterWidth, dilationWidth } =
    geometry;
  // Rows that no window reaches are copied too, and cost nothing else.
  const paddedHeight = Math.max(padTop + height, reach(outHeight, strideHeight, filterHeight, dilationHeight));
  const paddedWidth = Math.max(padLeft + width, reach(outWidth, strideWidth, filterWidth, dilationWidth));
  const pixel = 4 * lanes;
  const rowStep = paddedWidth * pixel;
  return {
    ...{ height, width, channels, repeat, lanes, rowStep },
    imageNumbers: height * width * channels,
    paddedNumbers: paddedHeight * paddedWidth * lanes,
    firstOffset: padTop * rowStep + padLeft * pixel,
    tapRowStep: dilationHeight * rowStep,
    tapColStep: dilationWidth * pixel,
    yStep: strideHeight * rowStep,
    xStep: strideWidth * pixel,
  };
}

/** Named regions of f32 in a module's memory, laid out one after the other. */
interface Arena {
  layOut(sizes: Readonly<Record<string, number>>): void;
  at(name: string): number;
  view(name: string): Float32Array;
  clear(name: string): void;
}

function createArena(memory: WebAssembly.Memory): Arena {
  const regions = new Map<string, { start: number; length: number }>();
  const region = (name: string): { start: number; length: number } => regions.get(name)!;
  const view = (name: string): Float32Array => {
    return new Float32Array(memory.buffer, region(name).start, region(name).length);
  };
  return {
    layOut(sizes) {
      regions.clear();
      let end = 1024; // the module's own data lies below
      for (const [name, length] of Object.entries(sizes)) {
        regions.set(name, { start: end, length });
        end = roundUp(end + 4 * length, 64);
      }
      const missing = end + 64 - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    },
    at: (name) => region(name).start,
    view,
    clear: (name) => view(name).fill(0),
  };
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
