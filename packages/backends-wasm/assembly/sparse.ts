// Products of a sparse matrix with panels of 32 columns, and the entries of a product of two such at chosen places.
// A panel's columns lie side by side, so that an entry of the sparse matrix meets whole vectors: 8 of them stay in registers. Entries come
// by blocks of rows whose lines fit the first cache, there by column: each line of the dense panel is read once a block, in order, which is
// what memory is fastest at; the panels of thousands of examples are far larger than any cache.
import { madd, sumOfLanes } from "./simd";

/** Columns of a panel. */
const WIDTH: u32 = 32;
/** Vectors that are summed at a time. */
const VECTORS: u32 = 8;

/**
 * Units are panels: out[p] = A b[p]. `starts` [groups + 1]: where the entries of each block and column begin; `lines` and `values` are those of
 * the entries. Every sum runs over the row's entries in order.
 */
// @ts-ignore: decorator
@inline
export function sparseTimes<T>(
  begin: u32, end: u32, starts: usize, lines: usize, values: usize, groups: u32, rows: u32, cols: u32, b: usize, out: usize,
): void {
  const line: usize = WIDTH * sizeof<T>(), step: usize = VECTORS * 16;
  for (let p = begin; p < end; p++) {
    const panel = b + <usize>p * cols * line;
    const target = out + <usize>p * rows * line;
    memory.fill(target, 0, <usize>rows * line);
    let col: u32 = 0;
    let to = load<u32>(starts);
    for (let g: u32 = 0; g < groups; g++) {
      const from = to;
      to = load<u32>(starts + (<usize>g << 2), 4);
      if (from != to) {
        for (let shift: usize = 0; shift < line; shift += step) {
          const x = panel + <usize>col * line + shift;
          const x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32), x3 = v128.load(x, 48);
          const x4 = v128.load(x, 64), x5 = v128.load(x, 80), x6 = v128.load(x, 96), x7 = v128.load(x, 112);
          for (let e = from; e < to; e++) {
            const at = target + <usize>load<u32>(lines + (<usize>e << 2)) * line + shift;
            const v = v128.load_splat<T>(values + <usize>e * sizeof<T>());
            v128.store(at, madd<T>(v, x0, v128.load(at))); v128.store(at, madd<T>(v, x1, v128.load(at, 16)), 16);
            v128.store(at, madd<T>(v, x2, v128.load(at, 32)), 32); v128.store(at, madd<T>(v, x3, v128.load(at, 48)), 48);
            v128.store(at, madd<T>(v, x4, v128.load(at, 64)), 64); v128.store(at, madd<T>(v, x5, v128.load(at, 80)), 80);
            v128.store(at, madd<T>(v, x6, v128.load(at, 96)), 96); v128.store(at, madd<T>(v, x7, v128.load(at, 112)), 112);
          }
        }
      }
      if (++col == cols) col = 0;
    }
  }
}

/**
 * Units are groups, a block of rows and a column each: out[place of e] = sum over panels and their columns of a[line of e] b[column of e].
 * `sums` has a vector for each entry.
 */
// @ts-ignore: decorator
@inline
export function panelProducts<T>(
  begin: u32, end: u32, starts: usize, lines: usize, places: usize, rows: u32, cols: u32, a: usize, b: usize, count: u32, sums: usize, out: usize,
): void {
  const line: usize = WIDTH * sizeof<T>(), step: usize = VECTORS * 16;
  const first = load<u32>(starts + (<usize>begin << 2)), last = load<u32>(starts + (<usize>end << 2));
  memory.fill(sums + (<usize>first << 4), 0, <usize>(last - first) << 4);
  for (let p: u32 = 0; p < count; p++) {
    const panel = b + <usize>p * cols * line;
    const slopes = a + <usize>p * rows * line;
    let col: u32 = begin % cols;
    let to = first;
    for (let g = begin; g < end; g++) {
      const from = to;
      to = load<u32>(starts + (<usize>g << 2), 4);
      if (from != to) {
        for (let shift: usize = 0; shift < line; shift += step) {
          const x = panel + <usize>col * line + shift;
          const x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32), x3 = v128.load(x, 48);
          const x4 = v128.load(x, 64), x5 = v128.load(x, 80), x6 = v128.load(x, 96), x7 = v128.load(x, 112);
          for (let e = from; e < to; e++) {
            const at = slopes + <usize>load<u32>(lines + (<usize>e << 2)) * line + shift;
            const place = sums + (<usize>e << 4);
            let even = madd<T>(v128.load(at), x0, v128.load(place));
            let odd = v128.mul<T>(v128.load(at, 16), x1);
            even = madd<T>(v128.load(at, 32), x2, even); odd = madd<T>(v128.load(at, 48), x3, odd);
            even = madd<T>(v128.load(at, 64), x4, even); odd = madd<T>(v128.load(at, 80), x5, odd);
            even = madd<T>(v128.load(at, 96), x6, even); odd = madd<T>(v128.load(at, 112), x7, odd);
            v128.store(place, v128.add<T>(even, odd));
          }
        }
      }
      if (++col == cols) col = 0;
    }
  }
  for (let e = first; e < last; e++) {
    const to = out + <usize>load<u32>(places + (<usize>e << 2)) * sizeof<T>();
    store<T>(to, <T>sumOfLanes<T>(v128.load(sums + (<usize>e << 4))));
  }
}
