import { type GradientBlock, type Mat, matrix } from "@secateur/core";

/** Gradient rows [rows, out * in] of a block, their factors multiplied out. */
export function denseRows(block: GradientBlock, rows: number): Mat {
  if (block.kind === "dense") return block.rows;
  const { delta, input, group } = block;
  const size = delta.cols * input.cols;
  const out = matrix(rows, size, delta.data instanceof Float64Array ? new Float64Array(rows * size) : undefined);
  for (let j = 0; j < rows * group; j++) {
    const row = Math.floor(j / group) * size;
    for (let o = 0; o < delta.cols; o++) {
      const scale = delta.data[j * delta.cols + o]!;
      for (let k = 0; k < input.cols; k++) {
        out.data[row + o * input.cols + k]! += scale * input.data[j * input.cols + k]!;
      }
    }
  }
  return out;
}
