// One pass over vectors or rows. Never fused, so that both builds give the same bytes.
import { lanes, promoteHigh } from "./simd";

/** Entries of one unit of the flat kernels. */
const UNIT: u32 = 4096;

/** y += alpha x */
// @ts-ignore: decorator
@inline
export function axpy<T>(begin: u32, end: u32, alpha: T, x: usize, y: usize, n: u32): void {
  const from = begin * UNIT, to = min(end * UNIT, n);
  x += <usize>from * sizeof<T>();
  y += <usize>from * sizeof<T>();
  const scale = v128.splat<T>(alpha);
  let left = to - from;
  for (; left >= lanes<T>(); left -= lanes<T>()) {
    v128.store(y, v128.add<T>(v128.load(y), v128.mul<T>(scale, v128.load(x))));
    x += 16; y += 16;
  }
  for (; left > 0; left--) {
    store<T>(y, load<T>(y) + alpha * load<T>(x));
    x += sizeof<T>(); y += sizeof<T>();
  }
}

/** out = a .* b */
// @ts-ignore: decorator
@inline
export function multiply<T>(begin: u32, end: u32, a: usize, b: usize, out: usize, n: u32): void {
  const from = begin * UNIT, to = min(end * UNIT, n);
  const shift = <usize>from * sizeof<T>();
  a += shift; b += shift; out += shift;
  let left = to - from;
  for (; left >= lanes<T>(); left -= lanes<T>()) {
    v128.store(out, v128.mul<T>(v128.load(a), v128.load(b)));
    a += 16; b += 16; out += 16;
  }
  for (; left > 0; left--) {
    store<T>(out, load<T>(a) * load<T>(b));
    a += sizeof<T>(); b += sizeof<T>(); out += sizeof<T>();
  }
}

/** out = max(x, 0); NaN stays NaN */
// @ts-ignore: decorator
@inline
export function relu<T>(begin: u32, end: u32, x: usize, out: usize, n: u32): void {
  const from = begin * UNIT, to = min(end * UNIT, n);
  const shift = <usize>from * sizeof<T>();
  x += shift; out += shift;
  const zero = i32x4.splat(0);
  let left = to - from;
  for (; left >= lanes<T>(); left -= lanes<T>()) {
    v128.store(out, v128.max<T>(v128.load(x), zero));
    x += 16; out += 16;
  }
  for (; left > 0; left--) {
    store<T>(out, max<T>(load<T>(x), 0));
    x += sizeof<T>(); out += sizeof<T>();
  }
}

/** out = activation > 0 ? gradient : 0 */
// @ts-ignore: decorator
@inline
export function reluBackward<T>(begin: u32, end: u32, activation: usize, gradient: usize, out: usize, n: u32): void {
  const from = begin * UNIT, to = min(end * UNIT, n);
  const shift = <usize>from * sizeof<T>();
  activation += shift; gradient += shift; out += shift;
  const zero = i32x4.splat(0);
  let left = to - from;
  for (; left >= lanes<T>(); left -= lanes<T>()) {
    v128.store(out, v128.and(v128.gt<T>(v128.load(activation), zero), v128.load(gradient)));
    activation += 16; gradient += 16; out += 16;
  }
  for (; left > 0; left--) {
    store<T>(out, load<T>(activation) > 0 ? load<T>(gradient) : 0);
    activation += sizeof<T>(); gradient += sizeof<T>(); out += sizeof<T>();
  }
}

/** v = momentum v + (g + decay w), then w -= rate v, in f64 and rounded where it is stored, as TypeScript does it. */
// @ts-ignore: decorator
@inline
export function momentumStep<T>(
  begin: u32, end: u32, w: usize, v: usize, g: usize, n: u32, momentum: f64, decay: f64, rate: f64,
): void {
  const from = begin * UNIT, to = min(end * UNIT, n);
  const shift = <usize>from * sizeof<T>();
  w += shift; v += shift; g += shift;
  let left = to - from;
  if (sizeof<T>() == 4) {
    const m = v128.splat<f64>(momentum), d = v128.splat<f64>(decay), r = v128.splat<f64>(rate);
    for (; left >= 4; left -= 4) {
      const before = v128.load(w), velocity = v128.load(v), slope = v128.load(g);
      const low = f64x2.promote_low_f32x4(before), high = promoteHigh(before);
      const next = joined(
        moved(m, f64x2.promote_low_f32x4(velocity), f64x2.promote_low_f32x4(slope), d, low),
        moved(m, promoteHigh(velocity), promoteHigh(slope), d, high),
      );
      v128.store(v, next);
      v128.store(w, joined(
        v128.sub<f64>(low, v128.mul<f64>(r, f64x2.promote_low_f32x4(next))),
        v128.sub<f64>(high, v128.mul<f64>(r, promoteHigh(next))),
      ));
      w += 16; v += 16; g += 16;
    }
  }
  for (; left > 0; left--) {
    const before = <f64>load<T>(w);
    const next = <T>(momentum * <f64>load<T>(v) + (<f64>load<T>(g) + decay * before));
    store<T>(v, next);
    store<T>(w, <T>(before - rate * <f64>next));
    w += sizeof<T>(); v += sizeof<T>(); g += sizeof<T>();
  }
}

/** momentum v + (g + decay w) of two entries. */
// @ts-ignore: decorator
@inline
function moved(momentum: v128, v: v128, g: v128, decay: v128, w: v128): v128 {
  return v128.add<f64>(v128.mul<f64>(momentum, v), v128.add<f64>(g, v128.mul<f64>(decay, w)));
}

/** Two and two entries, rounded to f32. */
// @ts-ignore: decorator
@inline
function joined(low: v128, high: v128): v128 {
  return v128.shuffle<i32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}

/** out[i, :] = scales[i] * a[i, :]. A unit is one row. */
// @ts-ignore: decorator
@inline
export function scaleRows<T>(
  begin: u32, end: u32, a: usize, lda: u32, cols: u32, scales: usize, out: usize, ldo: u32,
): void {
  for (let i = begin; i < end; i++) {
    const scale = load<T>(scales + <usize>i * sizeof<T>());
    const scaleVector = v128.splat<T>(scale);
    let x = a + <usize>i * lda * sizeof<T>(), y = out + <usize>i * ldo * sizeof<T>();
    let left = cols;
    for (; left >= lanes<T>(); left -= lanes<T>()) {
      v128.store(y, v128.mul<T>(scaleVector, v128.load(x)));
      x += 16; y += 16;
    }
    for (; left > 0; left--) {
      store<T>(y, scale * load<T>(x));
      x += sizeof<T>(); y += sizeof<T>();
    }
  }
}

/** a[i, :] += row. A unit is one row. */
// @ts-ignore: decorator
@inline
export function addRow<T>(begin: u32, end: u32, a: usize, lda: u32, cols: u32, row: usize): void {
  for (let i = begin; i < end; i++) {
    let x = row, y = a + <usize>i * lda * sizeof<T>();
    let left = cols;
    for (; left >= lanes<T>(); left -= lanes<T>()) {
      v128.store(y, v128.add<T>(v128.load(y), v128.load(x)));
      x += 16; y += 16;
    }
    for (; left > 0; left--) {
      store<T>(y, load<T>(y) + load<T>(x));
      x += sizeof<T>(); y += sizeof<T>();
    }
  }
}

/** out[i, s] = a[i, columns[s]]. A unit is one row. */
// @ts-ignore: decorator
@inline
export function gatherColumns<T>(
  begin: u32, end: u32, a: usize, lda: u32, columns: usize, count: u32, out: usize, ldo: u32,
): void {
  for (let i = begin; i < end; i++) {
    const row = a + <usize>i * lda * sizeof<T>();
    let to = out + <usize>i * ldo * sizeof<T>();
    const stop = columns + <usize>count * 4;
    for (let at = columns; at < stop; at += 4) {
      store<T>(to, load<T>(row + <usize>load<u32>(at) * sizeof<T>()));
      to += sizeof<T>();
    }
  }
}

/** out[i, j] = alpha[j] a[i, j] (+ beta[j] b[i, j] when hasB) + gamma[j]. A unit is one row. */
// @ts-ignore: decorator
@inline
export function affineColumns<T>(
  begin: u32, end: u32, a: usize, alpha: usize, b: usize, beta: usize, gamma: usize, out: usize, cols: u32, hasB: bool,
): void {
  const row = <usize>cols * sizeof<T>();
  for (let i = begin; i < end; i++) {
    const x = a + i * row, y = b + i * row, to = out + i * row;
    let j: usize = 0;
    let left = cols;
    for (; left >= lanes<T>(); left -= lanes<T>()) {
      let value = v128.mul<T>(v128.load(alpha + j), v128.load(x + j));
      if (hasB) value = v128.add<T>(value, v128.mul<T>(v128.load(beta + j), v128.load(y + j)));
      v128.store(to + j, v128.add<T>(value, v128.load(gamma + j)));
      j += 16;
    }
    for (; left > 0; left--) {
      let value = load<T>(alpha + j) * load<T>(x + j);
      if (hasB) value += load<T>(beta + j) * load<T>(y + j);
      store<T>(to + j, value + load<T>(gamma + j));
      j += sizeof<T>();
    }
  }
}
