// Cross-entropy of softmax in f64: loss = log(sum_j exp(z_j - z_max)) - (z_label - z_max), delta = softmax - onehot.
//
// exp and log are AssemblyScript's own (musl's, in f64): the same bytes on every machine, unlike the host's Math.

/** Columns whose exponentials fit in scratch (256 KiB); for wider rows they are computed a second time. */
const KEPT_COLUMNS: u32 = 32768;

/** A unit is one row; `delta` 0 leaves the gradient out, and may be `logits`. */
// @ts-ignore: decorator
@inline
export function softmaxRows<T>(
  begin: u32, end: u32, exponentials: usize, logits: usize, columns: u32, labels: usize, losses: usize, delta: usize,
): void {
  const isKept = columns <= KEPT_COLUMNS;
  for (let i = begin; i < end; i++) {
    const row = logits + <usize>i * columns * sizeof<T>();
    const label = load<u32>(labels + <usize>i * 4);
    let top: f64 = -Infinity;
    for (let j: u32 = 0; j < columns; j++) top = max<f64>(top, <f64>load<T>(row + j * sizeof<T>()));
    let sum: f64 = 0;
    for (let j: u32 = 0; j < columns; j++) {
      const value = NativeMath.exp(<f64>load<T>(row + j * sizeof<T>()) - top);
      if (isKept) store<f64>(exponentials + j * 8, value);
      sum += value;
    }
    store<f64>(losses + <usize>i * 8, NativeMath.log(sum) - (<f64>load<T>(row + label * sizeof<T>()) - top));
    if (delta == 0) continue;
    const to = delta + <usize>i * columns * sizeof<T>();
    for (let j: u32 = 0; j < columns; j++) {
      const at = j * sizeof<T>();
      const value = isKept ? load<f64>(exponentials + j * 8) : NativeMath.exp(<f64>load<T>(row + at) - top);
      store<T>(to + at, <T>(value / sum - (j == label ? 1 : 0)));
    }
  }
}
