// Convolutions over few weights, of images whose examples lie side by side in lines of 32: a kept weight is an offset and a number, and
// meets whole vectors. Which weights reach inside the image differs at the borders (and with strides on the way back), so rows and columns
// of positions have classes, and each pair of classes has its own list of entries for every output. The lists are made by
// src/convolution/sparse-lists.ts:
//   rows, columns  [positions] of (class, offset): offsets add up to where a position's entries count from
//   starts         [row classes * column classes * outputs + 1]: where each list begins
//   entries        (offset of the line that is read, 4 times the number of the weight)
// Offsets are in bytes and may be negative: addresses wrap around.
import { madd, sumOfLanes } from "./simd";

/** Bytes of a line: 32 numbers, 8 vectors. */
const LINE: usize = 128;

// @ts-ignore: decorator
@inline
function ofPosition(table: usize, position: u32): usize {
  return load<u32>(table + (<usize>position << 3), 4);
}

// @ts-ignore: decorator
@inline
function classOf(table: usize, position: u32): u32 {
  return load<u32>(table + (<usize>position << 3));
}

// @ts-ignore: decorator
@inline
function positive(sum: v128, isRectified: bool): v128 {
  return isRectified ? v128.max<f32>(sum, v128.splat<f32>(0)) : sum;
}

/** Units are blocks of outputs of a row of positions of a panel. Every sum begins at the bias and runs over the entries in order. */
export function sparseConvolve32(
  begin: u32, end: u32, scratch: usize, rows: usize, columns: usize, starts: usize, entries: usize, height: u32, width: u32, columnClasses: u32,
  outputs: u32, blockOutputs: u32, values: usize, bias: usize, images: usize, panelBytes: usize, out: usize, isRectified: bool,
): void {
  const blocks = (outputs + blockOutputs - 1) / blockOutputs;
  for (let unit = begin; unit < end; unit++) {
    const row = unit / blocks;
    const first = (unit - row * blocks) * blockOutputs;
    const last = min(outputs, first + blockOutputs);
    const panel = row / height, y = row - panel * height;
    const source = images + <usize>panel * panelBytes + ofPosition(rows, y);
    const rowLists = classOf(rows, y) * columnClasses;
    for (let x: u32 = 0; x < width; x++) {
      const base = source + ofPosition(columns, x);
      let list = starts + (<usize>((rowLists + classOf(columns, x)) * outputs + first) << 2);
      let target = out + <usize>((row * width + x) * outputs + first) * LINE;
      let entry = entries + (<usize>load<u32>(list) << 3);
      for (let o = first; o < last; o++) {
        list += 4;
        const stop = entries + (<usize>load<u32>(list) << 3);
        let s0 = bias ? v128.load_splat<f32>(bias + (<usize>o << 2)) : v128.splat<f32>(0);
        let s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
        for (; entry < stop; entry += 8) {
          const at = base + load<u32>(entry);
          const v = v128.load_splat<f32>(values + load<u32>(entry, 4));
          s0 = madd<f32>(v, v128.load(at), s0); s1 = madd<f32>(v, v128.load(at, 16), s1);
          s2 = madd<f32>(v, v128.load(at, 32), s2); s3 = madd<f32>(v, v128.load(at, 48), s3);
          s4 = madd<f32>(v, v128.load(at, 64), s4); s5 = madd<f32>(v, v128.load(at, 80), s5);
          s6 = madd<f32>(v, v128.load(at, 96), s6); s7 = madd<f32>(v, v128.load(at, 112), s7);
        }
        v128.store(target, positive(s0, isRectified)); v128.store(target, positive(s1, isRectified), 16);
        v128.store(target, positive(s2, isRectified), 32); v128.store(target, positive(s3, isRectified), 48);
        v128.store(target, positive(s4, isRectified), 64); v128.store(target, positive(s5, isRectified), 80);
        v128.store(target, positive(s6, isRectified), 96); v128.store(target, positive(s7, isRectified), 112);
        target += LINE;
      }
    }
  }
}

/**
 * Units are outputs: out[e] = the sum over panels and positions, in order, of what its line of the image and the output's line of slopes
 * make together. `weights` [outputs + 1]: the first weight of each output; `sums` has a vector for each weight.
 */
export function sparseGradients32(
  begin: u32, end: u32, scratch: usize, rows: usize, columns: usize, starts: usize, entries: usize, height: u32, width: u32, columnClasses: u32,
  outputs: u32, weights: usize, panels: u32, images: usize, panelBytes: usize, deltas: usize, sums: usize, out: usize,
): void {
  const first = load<u32>(weights + (<usize>begin << 2)), last = load<u32>(weights + (<usize>end << 2));
  memory.fill(sums + (<usize>first << 4), 0, <usize>(last - first) << 4);
  for (let row: u32 = 0; row < panels * height; row++) {
    const panel = row / height, y = row - panel * height;
    const source = images + <usize>panel * panelBytes + ofPosition(rows, y);
    const rowLists = classOf(rows, y) * columnClasses;
    for (let x: u32 = 0; x < width; x++) {
      const base = source + ofPosition(columns, x);
      let list = starts + (<usize>((rowLists + classOf(columns, x)) * outputs + begin) << 2);
      let slopes = deltas + <usize>((row * width + x) * outputs + begin) * LINE;
      let entry = entries + (<usize>load<u32>(list) << 3);
      for (let o = begin; o < end; o++) {
        list += 4;
        const stop = entries + (<usize>load<u32>(list) << 3);
        const d0 = v128.load(slopes), d1 = v128.load(slopes, 16), d2 = v128.load(slopes, 32), d3 = v128.load(slopes, 48);
        const d4 = v128.load(slopes, 64), d5 = v128.load(slopes, 80), d6 = v128.load(slopes, 96), d7 = v128.load(slopes, 112);
        for (; entry < stop; entry += 8) {
          const at = base + load<u32>(entry);
          const place = sums + (<usize>load<u32>(entry, 4) << 2);
          let even = madd<f32>(v128.load(at), d0, v128.load(place));
          let odd = v128.mul<f32>(v128.load(at, 16), d1);
          even = madd<f32>(v128.load(at, 32), d2, even); odd = madd<f32>(v128.load(at, 48), d3, odd);
          even = madd<f32>(v128.load(at, 64), d4, even); odd = madd<f32>(v128.load(at, 80), d5, odd);
          even = madd<f32>(v128.load(at, 96), d6, even); odd = madd<f32>(v128.load(at, 112), d7, odd);
          v128.store(place, v128.add<f32>(even, odd));
        }
        slopes += LINE;
      }
    }
  }
  for (let e = first; e < last; e++) store<f32>(out + (<usize>e << 2), <f32>sumOfLanes<f32>(v128.load(sums + (<usize>e << 4))));
}
