/** Calls of the sparse products, which a backend may leave out. */
import { type Kernels, panelWidth, referenceKernels, type SparsePattern } from "@secateur/core";
import { exact, type KernelCase } from "./kernel-case.ts";

/** Rows, columns, panels; every third entry is there, a row in the middle is empty. */
const shapes: readonly (readonly [rows: number, cols: number, count: number])[] = [
  [1, 1, 1],
  [3, 5, 2],
  [8, 17, 3],
  [5, 4, 0],
  [0, 4, 2],
  [70, 33, 4],
  // More rows than a backend may take at a time.
  [300, 7, 2],
];

/** A matrix of which every third entry is there, and none of the row in the middle. */
export function patternOf(rows: number, cols: number): SparsePattern {
  const starts = [0];
  const columns: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < cols; column++) {
      if (row !== Math.floor(rows / 2) && (row * cols + column) % 3 === 0) columns.push(column);
    }
    starts.push(columns.length);
  }
  return { rows, cols, starts: Uint32Array.from(starts), columns: Uint32Array.from(columns) };
}

const cases = (run: (shape: { pattern: SparsePattern; count: number }) => KernelCase["run"]): readonly KernelCase[] =>
  shapes.map(([rows, cols, count]) =>
    exact(`${rows} x ${cols}, ${count} panels`, run({ pattern: patternOf(rows, cols), count })),
  );

/** Cases of sparseTimes; a backend without it agrees. */
export const sparseTimesCases: readonly KernelCase[] = cases(({ pattern, count }) => (kernels: Kernels, make) => {
  const values = make.whole(pattern.columns.length);
  const b = make.whole(count * pattern.cols * panelWidth);
  const out = make.output(count * pattern.rows * panelWidth);
  (kernels.sparseTimes ?? referenceKernels.sparseTimes!)({ pattern, values, count, b, out });
  return [out];
});

/** Cases of panelProducts; a backend without it agrees. */
export const panelProductsCases: readonly KernelCase[] = cases(({ pattern, count }) => (kernels: Kernels, make) => {
  const a = make.whole(count * pattern.rows * panelWidth);
  const b = make.whole(count * pattern.cols * panelWidth);
  const out = make.output(pattern.columns.length);
  (kernels.panelProducts ?? referenceKernels.panelProducts!)({ pattern, count, a, b, out });
  return [out];
});
