/** One layer of a Kronecker-factored curvature, and products with it: see kronecker-factor.ts. */
import { type Kernels, type Mat, matrix, type Vec } from "@secateur/core";

/** One layer's factors. */
export interface Block {
  readonly start: number;
  /** [out, in] is the shape of its weights. */
  readonly out: number;
  readonly in: number;
  /** f32, in kernel memory, as are the next two. */
  readonly LA: Mat;
  readonly LB: Mat;
  /** The damped factors themselves. */
  readonly singleA: Mat;
  readonly singleB: Mat;
  /** f64 */
  readonly A: Mat;
  readonly B: Mat;
  /** Diagonals of A and B. */
  readonly a: Float64Array;
  readonly b: Float64Array;
  /** A in panels, once products over few weights have asked for it; kernel memory. */
  panels?: Vec | undefined;
}

/** Multiply-adds of a product with a whole block. */
export function costOf(block: Block): number {
  return block.in * block.out * (block.in + block.out);
}

/** out[s, t] = B[o_s, o_t] A[i_s, i_t] for weights (o, i) of one layer, 0 for weights of two. */
export function writeColumnGram(blocks: readonly Block[], support: Uint32Array, out: Mat): void {
  out.data.fill(0);
  let first = 0;
  for (const { start, A, B } of blocks) {
    const end = start + A.rows * B.rows;
    let last = first;
    while (last < support.length && support[last]! < end) last++;
    for (let s = first; s < last; s++) {
      const [outRow, inRow] = [Math.floor((support[s]! - start) / A.rows), (support[s]! - start) % A.rows];
      for (let t = first; t < last; t++) {
        const [outCol, inCol] = [Math.floor((support[t]! - start) / A.rows), (support[t]! - start) % A.rows];
        out.data[s * out.cols + t] = B.data[outRow * B.cols + outCol]! * A.data[inRow * A.cols + inCol]!;
      }
    }
    first = last;
  }
}

/** out = L_B' X L_A for every layer's X; by G' L_B X L_A', by G'G B X A. */
export function multiply(spec: {
  blocks: readonly Block[];
  x: Vec;
  out: Vec;
  kernels: Kernels;
  by: "G" | "G'" | "G'G";
}): void {
  const { blocks, x, out, kernels, by } = spec;
  const source = x instanceof Float32Array ? x : Float32Array.from(x);
  const most = Math.max(0, ...blocks.map((block) => block.in * block.out));
  const [left, result] = [kernels.alloc(most, "f32"), kernels.alloc(most, "f32")];
  for (const block of blocks) {
    const { start, out: rows, in: cols } = block;
    const size = rows * cols;
    const half = matrix(rows, cols, left.subarray(0, size));
    const whole = matrix(rows, cols, result.subarray(0, size));
    const [a, b] = by === "G'G" ? [block.singleB, block.singleA] : [block.LB, block.LA];
    kernels.gemm({
      a,
      transposeA: by === "G",
      b: matrix(rows, cols, source.subarray(start, start + size)),
      out: half,
    });
    kernels.gemm({ a: half, b, transposeB: by === "G'", out: whole });
    out.set(whole.data, start);
  }
  kernels.free(left);
  kernels.free(result);
}
