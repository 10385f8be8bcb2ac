// Packed panels: the right-hand operand of a product, cut into blocks of `kc` rows and panels of two vectors of columns.
//
// Within a block of kb <= kc rows, panel j starts at j * (2V * kb) elements and holds kb steps of 2V consecutive columns
// (V, if at most V columns are left for the last one), padded with zeros. Blocks follow each other.
import { lanes } from "./simd";
import { TILE_VECTORS } from "./tile";
import { transposeInto } from "./transpose";

/** Panels that one unit of packing fills: enough to use up the cache lines of each source row it touches. */
const PANELS_PER_UNIT: u32 = 8;

/** Columns with padding. */
// @ts-ignore: decorator
@inline
export function paddedColumns<T>(n: u32): u32 {
  return (n + lanes<T>() - 1) / lanes<T>() * lanes<T>();
}

/**
 * Packs b [k, n] (or b [n, k], transposed). A unit is one block of rows by 8 panels; there are
 * ceil(k / kc) * ceil(n / (16 V)) units. `ldb` in elements.
 */
// @ts-ignore: decorator
@inline
export function packPanels<T>(
  begin: u32, end: u32, b: usize, ldb: u32, isTransposed: bool, k: u32, n: u32, kc: u32, packed: usize,
): void {
  const V = lanes<T>(), NR = TILE_VECTORS * V;
  const stride = <usize>ldb * sizeof<T>();
  const groupColumns = PANELS_PER_UNIT * NR;
  const groups = (n + groupColumns - 1) / groupColumns;
  for (let unit = begin; unit < end; unit++) {
    const p = unit / groups * kc;
    const kb = min(kc, k - p);
    const block = packed + <usize>p * paddedColumns<T>(n) * sizeof<T>();
    const from = unit % groups * groupColumns;
    const to = min(from + groupColumns, n);
    if (isTransposed) {
      for (let j = from; j < to; j += NR) {
        const valid = min(NR, to - j);
        const width = valid > V ? NR : V;
        const panel = block + <usize>j * kb * sizeof<T>();
        if (valid < width) memory.fill(panel, 0, <usize>width * kb * sizeof<T>());
        transposeInto<T>(valid, kb, b + <usize>j * stride + p * sizeof<T>(), stride, panel, width * sizeof<T>());
      }
    } else {
      packRows<T>(b + <usize>p * stride, stride, from, to, kb, block);
    }
  }
}

// @ts-ignore: decorator
@inline
function packRows<T>(b: usize, stride: usize, from: u32, to: u32, kb: u32, block: usize): void {
  const V = lanes<T>(), NR = TILE_VECTORS * V;
  const wholePanels = (to - from) / NR;
  const rest = from + wholePanels * NR;
  const panelBytes = <usize>NR * kb * sizeof<T>();
  let row = b + from * sizeof<T>();
  let target = block + <usize>from * kb * sizeof<T>();
  for (let step: u32 = 0; step < kb; step++) {
    let source = row, panel = target;
    for (let j: u32 = 0; j < wholePanels; j++) {
      v128.store(panel, v128.load(source));
      v128.store(panel, v128.load(source, 16), 16);
      source += 32;
      panel += panelBytes;
    }
    row += stride;
    target += 32;
  }
  if (rest == to) return;
  const valid = to - rest;
  const width = valid > V ? NR : V;
  row = b + rest * sizeof<T>();
  target = block + <usize>rest * kb * sizeof<T>();
  for (let step: u32 = 0; step < kb; step++) {
    let j: u32 = 0;
    for (; j < valid; j++) store<T>(target + j * sizeof<T>(), load<T>(row + j * sizeof<T>()));
    for (; j < width; j++) store<T>(target + j * sizeof<T>(), 0);
    row += stride;
    target += width * sizeof<T>();
  }
}

/** Writes packed panels of one block (kc = k) back to b [k, n]; a unit is one panel. */
// @ts-ignore: decorator
@inline
export function unpackPanels<T>(begin: u32, end: u32, b: usize, ldb: u32, k: u32, n: u32, packed: usize): void {
  const V = lanes<T>(), NR = TILE_VECTORS * V;
  for (let unit = begin; unit < end; unit++) {
    const j = unit * NR;
    const valid = min(NR, n - j);
    const width = valid > V ? NR : V;
    let source = packed + <usize>j * k * sizeof<T>();
    let target = b + j * sizeof<T>();
    for (let step: u32 = 0; step < k; step++) {
      for (let c: u32 = 0; c < valid; c++) store<T>(target + c * sizeof<T>(), load<T>(source + c * sizeof<T>()));
      source += width * sizeof<T>();
      target += <usize>ldb * sizeof<T>();
    }
  }
}
