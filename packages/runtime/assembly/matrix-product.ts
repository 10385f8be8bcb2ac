// Products of two computed matrices, many of them: out[n, i, j] = sum over k of a[n, i, k] b[n, k, j], all row-major.
//
// Words: 2 a, 3 b, 4 out, 5 rows, 6 inner, 7 columns, 8 and 9 extents of n = [outer, inner index], 10 and 11 distances in a, 12 and 13 in b.
// A unit is four rows of one n. Each number is one sum from the first k to the last, whichever rows and columns are taken together.
import { madd, normal, normalScalar } from "./simd";
import { word } from "./step";

export function matrixUnits(step: usize, begin: u32, end: u32): void {
  const rows = word(step, 5), inner = word(step, 6), columns = word(step, 7), second = word(step, 9);
  const perMatrix = (rows + 3) >> 2;
  for (let unit = begin; unit < end; unit++) {
    const n = unit / perMatrix, first = (unit % perMatrix) << 2;
    const i = n / second, j = n % second;
    const a: usize = word(step, 2) + i * word(step, 10) + j * word(step, 11) + first * (inner << 2);
    const b: usize = word(step, 3) + i * word(step, 12) + j * word(step, 13);
    const out: usize = word(step, 4) + (n * rows + first) * (columns << 2);
    const held = min(4, rows - first);
    if (held == 4) fourRows(a, b, out, inner, columns);
    else for (let r: u32 = 0; r < held; r++) oneRow(a + r * (inner << 2), b, out + r * (columns << 2), inner, columns);
  }
}

function fourRows(a: usize, b: usize, out: usize, inner: u32, columns: u32): void {
  const row = inner << 2, line = columns << 2;
  let j: u32 = 0;
  for (; j + 8 <= columns; j += 8) {
    let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, d0 = c0, d1 = c0, d2 = c0, d3 = c0;
    let x = a, y = b + (j << 2);
    for (let k = inner; k > 0; k--, x += 4, y += line) {
      const u = v128.load(y), v = v128.load(y, 16);
      let t = v128.load32_splat(x);
      c0 = madd(u, t, c0); d0 = madd(v, t, d0);
      t = v128.load32_splat(x + row);
      c1 = madd(u, t, c1); d1 = madd(v, t, d1);
      t = v128.load32_splat(x + 2 * row);
      c2 = madd(u, t, c2); d2 = madd(v, t, d2);
      t = v128.load32_splat(x + 3 * row);
      c3 = madd(u, t, c3); d3 = madd(v, t, d3);
    }
    const to = out + (j << 2);
    v128.store(to, normal(c0)); v128.store(to, normal(d0), 16);
    v128.store(to + line, normal(c1)); v128.store(to + line, normal(d1), 16);
    v128.store(to + 2 * line, normal(c2)); v128.store(to + 2 * line, normal(d2), 16);
    v128.store(to + 3 * line, normal(c3)); v128.store(to + 3 * line, normal(d3), 16);
  }
  if (j < columns) for (let r: u32 = 0; r < 4; r++) columnsFrom(j, a + r * row, b, out + r * line, inner, columns);
}

function oneRow(a: usize, b: usize, out: usize, inner: u32, columns: u32): void {
  const line = columns << 2;
  let j: u32 = 0;
  for (; j + 16 <= columns; j += 16) {
    let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
    let x = a, y = b + (j << 2);
    for (let k = inner; k > 0; k--, x += 4, y += line) {
      const t = v128.load32_splat(x);
      c0 = madd(v128.load(y), t, c0); c1 = madd(v128.load(y, 16), t, c1);
      c2 = madd(v128.load(y, 32), t, c2); c3 = madd(v128.load(y, 48), t, c3);
    }
    const to = out + (j << 2);
    v128.store(to, normal(c0)); v128.store(to, normal(c1), 16);
    v128.store(to, normal(c2), 32); v128.store(to, normal(c3), 48);
  }
  columnsFrom(j, a, b, out, inner, columns);
}

/** What is left of a row: vectors while they fit, then number by number, rounded as the vectors are. */
function columnsFrom(from: u32, a: usize, b: usize, out: usize, inner: u32, columns: u32): void {
  const line = columns << 2;
  let j = from;
  for (; j + 4 <= columns; j += 4) {
    let c = f32x4.splat(0), x = a, y = b + (j << 2);
    for (let k = inner; k > 0; k--, x += 4, y += line) c = madd(v128.load(y), v128.load32_splat(x), c);
    v128.store(out + (j << 2), normal(c));
  }
  for (; j < columns; j++) {
    let c = f32x4.splat(0), x = a, y = b + (j << 2);
    for (let k = inner; k > 0; k--, x += 4, y += line) c = madd(v128.load32_splat(y), v128.load32_splat(x), c);
    store<f32>(out + (j << 2), normalScalar(f32x4.extract_lane(c, 0)));
  }
}
