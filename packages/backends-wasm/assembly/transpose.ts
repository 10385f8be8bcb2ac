// Transposition between two places in memory, by blocks of one vector a side.
import { lanes } from "./simd";

/** to[c, r] = from[r, c] for r < rows, c < cols. Strides are in bytes. */
export function transposeInto<T>(rows: u32, cols: u32, from: usize, fromStride: usize, to: usize, toStride: usize): void {
  const V = lanes<T>();
  let r: u32 = 0;
  for (; r + V <= rows; r += V) {
    let source = from + <usize>r * fromStride;
    let target = to + r * sizeof<T>();
    let c: u32 = 0;
    for (; c + V <= cols; c += V) {
      if (sizeof<T>() == 4) transpose4x4(source, fromStride, target, toStride);
      else transpose2x2(source, fromStride, target, toStride);
      source += 16;
      target += V * toStride;
    }
    for (; c < cols; c++) {
      for (let i: u32 = 0; i < V; i++) store<T>(target + i * sizeof<T>(), load<T>(source + i * fromStride));
      source += sizeof<T>();
      target += toStride;
    }
  }
  for (; r < rows; r++) {
    let source = from + <usize>r * fromStride;
    let target = to + r * sizeof<T>();
    for (let c: u32 = 0; c < cols; c++) {
      store<T>(target, load<T>(source));
      source += sizeof<T>();
      target += toStride;
    }
  }
}

// @ts-ignore: decorator
@inline
function transpose4x4(from: usize, fromStride: usize, to: usize, toStride: usize): void {
  const r0 = v128.load(from);
  const r1 = v128.load(from + fromStride);
  const r2 = v128.load(from + 2 * fromStride);
  const r3 = v128.load(from + 3 * fromStride);
  const p0 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
  const p1 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
  const p2 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
  const p3 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i64>(p0, p1, 0, 2));
  v128.store(to + toStride, v128.shuffle<i64>(p0, p1, 1, 3));
  v128.store(to + 2 * toStride, v128.shuffle<i64>(p2, p3, 0, 2));
  v128.store(to + 3 * toStride, v128.shuffle<i64>(p2, p3, 1, 3));
}

// @ts-ignore: decorator
@inline
function transpose2x2(from: usize, fromStride: usize, to: usize, toStride: usize): void {
  const r0 = v128.load(from);
  const r1 = v128.load(from + fromStride);
  v128.store(to, v128.shuffle<i64>(r0, r1, 0, 2));
  v128.store(to + toStride, v128.shuffle<i64>(r0, r1, 1, 3));
}
