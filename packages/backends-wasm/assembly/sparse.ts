// Products of a sparse matrix with panels of 32 columns, and the entries of a product of two such at chosen places.
// A panel's columns lie side by side, so that an entry of the sparse matrix meets whole vectors: 8 of them stay in registers.
import { madd, sumOfLanes } from "./simd";

/** Columns of a panel. */
const WIDTH: u32 = 32;
/** Vectors that are summed at a time. */
const VECTORS: u32 = 8;

/** Units are panels: out[p] = A b[p]. Every sum runs over the row's entries in order. */
// @ts-ignore: decorator
@inline
export function sparseTimes<T>(
  begin: u32, end: u32, starts: usize, columns: usize, values: usize, rows: u32, cols: u32, b: usize, out: usize,
): void {
  const line: usize = WIDTH * sizeof<T>(), step: usize = VECTORS * 16;
  for (let p = begin; p < end; p++) {
    const panel = b + <usize>p * cols * line;
    let target = out + <usize>p * rows * line;
    for (let r: u32 = 0; r < rows; r++) {
      const from = load<u32>(starts + (<usize>r << 2)), to = load<u32>(starts + (<usize>r << 2), 4);
      for (let shift: usize = 0; shift < line; shift += step) {
        let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
        for (let e = from; e < to; e++) {
          const at = panel + <usize>load<u32>(columns + (<usize>e << 2)) * line + shift;
          const x = v128.load_splat<T>(values + <usize>e * sizeof<T>());
          c0 = madd<T>(x, v128.load(at), c0); c1 = madd<T>(x, v128.load(at, 16), c1);
          c2 = madd<T>(x, v128.load(at, 32), c2); c3 = madd<T>(x, v128.load(at, 48), c3);
          c4 = madd<T>(x, v128.load(at, 64), c4); c5 = madd<T>(x, v128.load(at, 80), c5);
          c6 = madd<T>(x, v128.load(at, 96), c6); c7 = madd<T>(x, v128.load(at, 112), c7);
        }
        const to8 = target + shift;
        v128.store(to8, c0); v128.store(to8, c1, 16); v128.store(to8, c2, 32); v128.store(to8, c3, 48);
        v128.store(to8, c4, 64); v128.store(to8, c5, 80); v128.store(to8, c6, 96); v128.store(to8, c7, 112);
      }
      target += line;
    }
  }
}

/** Units are rows: out[e] = sum over panels and columns of a[row] b[column of e]. `sums` has a vector for each entry. */
// @ts-ignore: decorator
@inline
export function panelProducts<T>(
  begin: u32, end: u32, starts: usize, columns: usize, rows: u32, cols: u32, a: usize, b: usize, count: u32, sums: usize, out: usize,
): void {
  const line: usize = WIDTH * sizeof<T>(), step: usize = VECTORS * 16;
  const first = load<u32>(starts + (<usize>begin << 2)), last = load<u32>(starts + (<usize>end << 2));
  memory.fill(sums + (<usize>first << 4), 0, <usize>(last - first) << 4);
  for (let p: u32 = 0; p < count; p++) {
    const panel = b + <usize>p * cols * line;
    for (let r = begin; r < end; r++) {
      const from = load<u32>(starts + (<usize>r << 2)), to = load<u32>(starts + (<usize>r << 2), 4);
      for (let shift: usize = 0; shift < line; shift += step) {
        const row = a + (<usize>p * rows + r) * line + shift;
        const a0 = v128.load(row), a1 = v128.load(row, 16), a2 = v128.load(row, 32), a3 = v128.load(row, 48);
        const a4 = v128.load(row, 64), a5 = v128.load(row, 80), a6 = v128.load(row, 96), a7 = v128.load(row, 112);
        for (let e = from; e < to; e++) {
          const at = panel + <usize>load<u32>(columns + (<usize>e << 2)) * line + shift;
          const place = sums + (<usize>e << 4);
          let even = madd<T>(a0, v128.load(at), v128.load(place));
          let odd = v128.mul<T>(a1, v128.load(at, 16));
          even = madd<T>(a2, v128.load(at, 32), even); odd = madd<T>(a3, v128.load(at, 48), odd);
          even = madd<T>(a4, v128.load(at, 64), even); odd = madd<T>(a5, v128.load(at, 80), odd);
          even = madd<T>(a6, v128.load(at, 96), even); odd = madd<T>(a7, v128.load(at, 112), odd);
          v128.store(place, v128.add<T>(even, odd));
        }
      }
    }
  }
  for (let e = first; e < last; e++) {
    store<T>(out + <usize>e * sizeof<T>(), <T>sumOfLanes<T>(v128.load(sums + (<usize>e << 4))));
  }
}
