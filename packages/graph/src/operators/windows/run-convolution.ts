/** A planned convolution on the kernels: forward, its adjoint, and the gradient of its weights. */
import { matrix, type Pool, type Vec, windowsShape } from "@secateur/core";
import type { WeightGradient, WeightInputs } from "../../operator.ts";
import type { ConvolutionView } from "../../run/joined-layers.ts";
import { padMove, runsOf, sliceMove } from "../moving/moves.ts";
import type { Plan } from "./convolution-plan.ts";

function gatherBlocks(source: Vec, from: Int32Array, block: number, out: Vec): Vec {
  for (let k = 0; k < from.length; k++) {
    const start = from[k]! * block;
    if (start < 0) out.fill(0, k * block, (k + 1) * block);
    else out.set(source.subarray(start, start + block), k * block);
  }
  return out;
}

function scatterBlocks(source: Vec, from: Int32Array, block: number, out: Vec): Vec {
  out.fill(0);
  for (let k = 0; k < from.length; k++) {
    const start = from[k]! * block;
    if (start >= 0) out.set(source.subarray(k * block, (k + 1) * block), start);
  }
  return out;
}

/** Images [batch, height, width, channels] and their padding, and positions and those that are kept. */
function around({ shape, windows, padded, computed, skip }: Plan) {
  const { batch, channels, outputs } = shape;
  const { image, before, after, positions } = windows;
  const pads = () =>
    padMove(
      [batch, image[0], image[1], channels],
      [
        [0, 0],
        [before[0], after[0]],
        [before[1], after[1]],
        [0, 0],
      ],
    );
  const kept = () =>
    sliceMove(
      [batch, computed[0], computed[1], outputs],
      [
        { start: 0, count: batch, step: 1 },
        { start: 0, count: positions[0], step: skip[0] },
        { start: 0, count: positions[1], step: skip[1] },
        { start: 0, count: outputs, step: 1 },
      ],
    );
  return {
    pads,
    kept,
    paddedLength: batch * padded[0] * padded[1] * channels,
    imageLength: batch * image[0] * image[1] * channels,
    computedLength: batch * computed[0] * computed[1] * outputs,
    keptLength: batch * positions[0] * positions[1] * outputs,
  };
}

/** What is moved around a plan, so that nothing has to be worked out while it runs. */
export function movedRuns(plan: Plan): Pick<ConvolutionView, "images" | "kept" | "length"> {
  const sizes = around(plan);
  return {
    length: sizes.computedLength,
    ...(plan.isPadded ? { images: { length: sizes.paddedLength, runs: runsOf(sizes.pads()) } } : {}),
    ...(plan.isSkipped ? { kept: { length: sizes.keptLength, runs: runsOf(sizes.kept()) } } : {}),
  };
}

/** y = x * w for images of any geometry; everything is owned by the caller. */
export function forward(
  plan: Plan,
  x: Vec,
  w: Vec,
  { pool, bias }: { pool: Pool; bias?: Vec },
): { y: Vec; images: Vec } {
  const sizes = around(plan);
  const { kernels } = pool;
  const images = plan.isPadded ? padImages(plan, x, pool) : x;
  const whole = pool.take(sizes.computedLength);
  kernels.convolve({ shape: plan.shape, images, weights: w, out: whole, ...(bias ? { bias } : {}) });
  if (!plan.isSkipped) return { y: whole, images };
  const { from, block } = sizes.kept();
  const y = gatherBlocks(whole, from, block, pool.take(sizes.keptLength));
  pool.give(whole);
  return { y, images };
}

export function padImages(plan: Plan, x: Vec, pool: Pool): Vec {
  const sizes = around(plan);
  const { from, block } = sizes.pads();
  return gatherBlocks(x, from, block, pool.take(sizes.paddedLength));
}

/** Deltas at all positions that the kernels compute; `delta` itself where all are kept. */
export function wholeDelta(plan: Plan, delta: Vec, pool: Pool): Vec {
  if (!plan.isSkipped) return delta;
  const sizes = around(plan);
  const { from, block } = sizes.kept();
  return scatterBlocks(delta, from, block, pool.take(sizes.computedLength));
}

/** The adjoint: dx for deltas at all positions. */
export function adjoint(plan: Plan, whole: Vec, w: Vec, pool: Pool): Vec {
  const sizes = around(plan);
  const padded = pool.take(sizes.paddedLength);
  pool.kernels.convolveBack({ shape: plan.shape, deltas: whole, weights: w, out: padded });
  if (!plan.isPadded) return padded;
  const { from, block } = sizes.pads();
  const out = scatterBlocks(padded, from, block, pool.take(sizes.imageLength));
  pool.give(padded);
  return out;
}

/** Gradient of the weights [outputs, channels / groups * taps] of a plan. */
export function convolutionGradient(plan: Plan, images: Vec, whole: Vec, pool: Pool): WeightGradient {
  const { shape } = plan;
  const { batch, groups, outputs } = shape;
  const positions = whole.length / Math.max(1, batch * outputs);
  return {
    ...imageInputs(plan, images, pool),
    rows: (group, out) => pool.kernels.convolutionGradients({ shape, images, deltas: whole, group, out }),
    deltaOf(group) {
      const all = matrix(batch * positions, outputs, whole);
      if (groups === 1) return all;
      const columns = Uint32Array.from({ length: outputs / groups }, (_, o) => (group * outputs) / groups + o);
      const out = matrix(all.rows, columns.length, pool.take(all.rows * columns.length));
      pool.kernels.gatherColumns(all, columns, out);
      return out;
    },
  };
}

/** The windows of a plan's images, an image at a time, at the positions that are kept. */
export function imageInputs(plan: Plan, images: Vec, pool: Pool): WeightInputs {
  const { shape, windows: geometry, skip, computed } = plan;
  const { batch, groups, channels, kernel } = shape;
  const [own, taps] = [channels / groups, kernel[0] * kernel[1]];
  const perImage = images.length / Math.max(1, batch);
  const [down, across] = geometry.positions;
  // Of one channel at a time windows would be read a number from every line of memory, for every channel anew: turned once, they lie together.
  const isTransposed = own === 1 && channels > 1;
  const pixels = perImage / channels;
  let planes: Vec | undefined;
  const imageOf = (i: number, group: number): Vec => {
    if (!isTransposed) return images.subarray(i * perImage, (i + 1) * perImage);
    if (!planes) {
      planes = images.slice();
      pool.kernels.transposeBlocks(images, { count: batch, rows: pixels, cols: channels }, planes);
    }
    const start = i * perImage + group * pixels;
    const plane = pool.take(pixels);
    plane.set(planes.subarray(start, start + pixels));
    return plane;
  };
  return {
    units: batch,
    groups,
    *inputs(group, [from, to]) {
      const part = isTransposed
        ? { ...shape, batch: 1, channels: 1 }
        : { ...shape, batch: 1, channelRange: [group * own, (group + 1) * own] as const };
      const { rows, cols } = windowsShape(part);
      const count = down * across;
      for (let i = from; i < to; i++) {
        const windows = matrix(rows, cols, pool.take(rows * cols));
        const image = imageOf(i, group);
        pool.kernels.gatherWindows({ shape: part, images: image, windows });
        if (isTransposed) pool.give(image);
        let data = windows.data;
        const replace = (next: Vec): void => {
          pool.give(data);
          data = next;
        };
        if (plan.isSkipped) {
          const kept = pool.take(count * cols);
          for (let y = 0, k = 0; y < down; y++) {
            for (let x = 0; x < across; x++, k++) {
              const row = (y * skip[0] * computed[1] + x * skip[1]) * cols;
              kept.set(data.subarray(row, row + cols), k * cols);
            }
          }
          replace(kept);
        }
        // (tap, channel) becomes (channel, tap), as weights have it; of one channel they are the same.
        if (own > 1) {
          const canonical = pool.take(count * cols);
          pool.kernels.transposeBlocks(data, { count, rows: taps, cols: own }, canonical);
          replace(canonical);
        }
        yield matrix(count, cols, data);
        pool.give(data);
      }
    },
  };
}
