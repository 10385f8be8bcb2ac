// The two small steps of a blocked Cholesky factorisation A = L L' (right-looking; Golub and Van Loan, Matrix Computations,
// 4th ed., section 4.2.9): the factor of a diagonal block, and the rows below it, L21 = A21 L11'^-1. The third and large
// step, A22 -= L21 L21', is a product (gemm.ts) with the panels that the second one leaves packed.
import { lanes } from "./simd";
import { TILE_VECTORS } from "./tile";
import { transposeInto } from "./transpose";
import { forward1, forward2 } from "./triangular";

/** Factors a [n, n] in place (lower triangle). Returns -1 or the first pivot that is not positive and finite. `column` holds n entries. */
// @ts-ignore: decorator
@inline
export function factorBlock<T>(a: usize, lda: u32, n: u32, column: usize): i32 {
  const stride = <usize>lda * sizeof<T>();
  for (let j: u32 = 0; j < n; j++) {
    const top = a + j * stride + j * sizeof<T>();
    const pivot = load<T>(top);
    if (!(pivot > 0 && pivot < Infinity)) return j;
    const root = sqrt<T>(pivot);
    store<T>(top, root);
    let at = top;
    for (let i = j + 1; i < n; i++) {
      at += stride;
      const value = load<T>(at) / root;
      store<T>(at, value);
      store<T>(column + i * sizeof<T>(), value);
    }
    // row_i[j+1 .. i] -= L[i, j] * L[j+1 .. i, j]'; unfused, since the scalar end of a row has no fused form
    let row = top + stride + sizeof<T>();
    for (let i = j + 1; i < n; i++) {
      const value = load<T>(column + i * sizeof<T>());
      subtractScaled<T>(row, column + (j + 1) * sizeof<T>(), i - j, value);
      row += stride;
    }
  }
  return -1;
}

// @ts-ignore: decorator
@inline
function subtractScaled<T>(y: usize, x: usize, n: u32, alpha: T): void {
  const scale = v128.splat<T>(alpha);
  for (; n >= lanes<T>(); n -= lanes<T>()) {
    v128.store(y, v128.sub<T>(v128.load(y), v128.mul<T>(scale, v128.load(x))));
    x += 16;
    y += 16;
  }
  for (; n > 0; n--) {
    store<T>(y, load<T>(y) - alpha * load<T>(x));
    x += sizeof<T>();
    y += sizeof<T>();
  }
}

/**
 * rows [count, nb] := rows L^-T, for L [nb, nb] lower. A unit is one panel of two vectors of rows. The solved rows also stay in
 * `packed`, laid out as the packed right-hand operand rows' (pack.ts, kc = nb).
 */
// @ts-ignore: decorator
@inline
export function solveRows<T>(
  begin: u32, end: u32, l: usize, ldl: u32, nb: u32, rows: usize, ldr: u32, count: u32, packed: usize,
): void {
  const V = lanes<T>(), NR = TILE_VECTORS * V;
  const stride = <usize>ldr * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const i = unit * NR;
    const valid = min(NR, count - i);
    const width = valid > V ? NR : V;
    const panel = packed + <usize>i * nb * sizeof<T>();
    const source = rows + i * stride;
    if (valid < width) memory.fill(panel, 0, <usize>width * nb * sizeof<T>());
    transposeInto<T>(valid, nb, source, stride, panel, width * sizeof<T>());
    if (width == NR) forward2<T>(l, <usize>ldl * sizeof<T>(), nb, panel);
    else forward1<T>(l, <usize>ldl * sizeof<T>(), nb, panel);
    transposeInto<T>(nb, valid, panel, width * sizeof<T>(), source, stride);
  }
}

/** Zeros the strict upper triangle of a [n, n]. A unit is one row. */
// @ts-ignore: decorator
@inline
export function clearUpper<T>(begin: u32, end: u32, a: usize, n: u32): void {
  for (let i = begin; i < end; i++) {
    memory.fill(a + (<usize>i * n + i + 1) * sizeof<T>(), 0, <usize>(n - i - 1) * sizeof<T>());
  }
}
