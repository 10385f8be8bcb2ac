/** Products of sparse matrices with panels, by their definition. */
import { type PanelProductsSpec, panelWidth, type SparsePattern, type SparseTimesSpec } from "./panel-specs.ts";

/** @throws RangeError for operands that do not fit */
export function checkSparseTimes({ pattern, values, count, b, out }: SparseTimesSpec): void {
  checkPattern("sparseTimes", pattern);
  const { rows, cols, columns } = pattern;
  const fits = values.length === columns.length && b.length === count * cols * panelWidth;
  if (!fits || out.length !== count * rows * panelWidth) throw new RangeError("sparseTimes: operands do not fit");
}

/** @throws RangeError for operands that do not fit */
export function checkPanelProducts({ pattern, count, a, b, out }: PanelProductsSpec): void {
  checkPattern("panelProducts", pattern);
  const { rows, cols, columns } = pattern;
  const fits = a.length === count * rows * panelWidth && b.length === count * cols * panelWidth;
  if (!fits || out.length !== columns.length) throw new RangeError("panelProducts: operands do not fit");
}

/** Patterns that were found whole: many products are taken with each, and looking takes as long as a product with one panel. */
const whole = new WeakSet<SparsePattern>();

/** @throws RangeError for a pattern whose places do not fit its matrix */
export function checkPattern(who: string, pattern: SparsePattern): void {
  if (whole.has(pattern)) return;
  const { rows, cols, starts, columns } = pattern;
  const isWhole = starts.length === rows + 1 && starts[0] === 0 && starts[rows] === columns.length;
  if (
    !isWhole ||
    starts.some((start, i) => i > 0 && start < starts[i - 1]!) ||
    columns.some((column) => column >= cols)
  ) {
    throw new RangeError(`${who}: starts or columns do not fit a matrix ${rows} x ${cols}`);
  }
  whole.add(pattern);
}

/** out = A b */
export function sparseTimes(spec: SparseTimesSpec): void {
  checkSparseTimes(spec);
  const { pattern, values, count, b, out } = spec;
  out.fill(0);
  for (let p = 0; p < count; p++) {
    for (let row = 0; row < pattern.rows; row++) {
      const to = (p * pattern.rows + row) * panelWidth;
      for (let e = pattern.starts[row]!; e < pattern.starts[row + 1]!; e++) {
        const from = (p * pattern.cols + pattern.columns[e]!) * panelWidth;
        for (let i = 0; i < panelWidth; i++) out[to + i]! += values[e]! * b[from + i]!;
      }
    }
  }
}

/** out[e] = <a[row of e], b[column of e]> */
export function panelProducts(spec: PanelProductsSpec): void {
  checkPanelProducts(spec);
  const { pattern, count, a, b, out } = spec;
  for (let row = 0; row < pattern.rows; row++) {
    for (let e = pattern.starts[row]!; e < pattern.starts[row + 1]!; e++) {
      let sum = 0;
      for (let p = 0; p < count; p++) {
        const [left, right] = [p * pattern.rows + row, p * pattern.cols + pattern.columns[e]!];
        for (let i = 0; i < panelWidth; i++) sum += a[left * panelWidth + i]! * b[right * panelWidth + i]!;
      }
      out[e] = sum;
    }
  }
}
