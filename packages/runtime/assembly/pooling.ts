// Windows of every plane: the largest entry or the mean; and the mean of whole planes. A unit is a plane.
import { normal, normalScalar } from "./simd";
import { word } from "./step";

/**
 * Words: 2 in and 3 out, at position (0, 0) of the first plane; 4, 5 from plane to plane; 6, 7 from row to row; 8, 9 height and width of
 * in; 10, 11 of out; 12, 13 of the window; 14, 15 strides; 16, 17 padding before; 18: 0 largest, 1 mean over the whole window, 2 mean over
 * what lies inside the image.
 */
export function poolUnits(step: usize, begin: u32, end: u32): void {
  const inRow = word(step, 6), outRow = word(step, 7);
  const height = <i32>word(step, 8), width = <i32>word(step, 9), outHeight = <i32>word(step, 10), outWidth = <i32>word(step, 11);
  const windowHeight = <i32>word(step, 12), windowWidth = <i32>word(step, 13);
  const strideY = <i32>word(step, 14), strideX = <i32>word(step, 15), top = <i32>word(step, 16), left = <i32>word(step, 17);
  const mode = word(step, 18);
  // Of vectors: where every window lies inside the row, and every or every second column begins one.
  const firstInside = (left + strideX - 1) / strideX, lastInside = strideX > 2 ? -1 : (width + left - windowWidth) / strideX;
  for (let plane = begin; plane < end; plane++) {
    const from = word(step, 2) + plane * word(step, 4), to = word(step, 3) + plane * word(step, 5);
    for (let oy = 0; oy < outHeight; oy++) {
      const y0 = max(0, oy * strideY - top), y1 = min(height, oy * strideY - top + windowHeight);
      const out = to + oy * outRow;
      for (let ox = 0; ox < outWidth; ox++) {
        if (ox >= firstInside && ox + 3 <= lastInside) {
          const corner = from + y0 * inRow + ((ox * strideX - left) << 2);
          const count = <f32>((mode == 1 ? windowHeight : y1 - y0) * windowWidth);
          let best = f32x4.splat(mode == 0 ? -Infinity : 0);
          for (let row = corner; row < corner + (y1 - y0) * inRow; row += inRow) {
            for (let at = row; at < row + (windowWidth << 2); at += 4) {
              const v = strideX == 1 ? v128.load(at) : v128.shuffle<f32>(v128.load(at), v128.load(at, 16), 0, 2, 4, 6);
              best = mode == 0 ? f32x4.max(best, v) : f32x4.add(best, v);
            }
          }
          if (mode != 0) best = f32x4.div(best, f32x4.splat(count));
          v128.store(out + (ox << 2), normal(best));
          ox += 3;
          continue;
        }
        const x0 = max(0, ox * strideX - left), x1 = min(width, ox * strideX - left + windowWidth);
        let value: f32 = mode == 0 ? -Infinity : 0;
        for (let y = y0; y < y1; y++) {
          const row = from + y * inRow;
          for (let x = x0; x < x1; x++) {
            const v = load<f32>(row + (x << 2));
            value = mode == 0 ? max(value, v) : value + v;
          }
        }
        if (mode == 1) value /= <f32>(windowHeight * windowWidth);
        if (mode == 2) value /= <f32>((y1 - y0) * (x1 - x0));
        store<f32>(out + (ox << 2), normalScalar(value));
      }
    }
  }
}

/** Means of whole planes; zeros between rows add nothing. Words: 2 in, 3 out, 4 and 5 from plane to plane, 6 vectors, 7 positions. */
export function meanUnits(step: usize, begin: u32, end: u32): void {
  const vectors = word(step, 6), positions = <f64>word(step, 7);
  for (let plane = begin; plane < end; plane++) {
    let from = word(step, 2) + plane * word(step, 4);
    let low = f64x2.splat(0), high = low;
    for (let v = vectors; v > 0; v--, from += 16) {
      const x = v128.load(from);
      low = f64x2.add(low, f64x2.promote_low_f32x4(x));
      high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 0, 1)));
    }
    const sum = f64x2.add(low, high);
    const mean = <f32>((f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)) / positions);
    store<f32>(word(step, 3) + plane * word(step, 5), normalScalar(mean));
  }
}
