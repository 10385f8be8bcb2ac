/**
 * Gradient rows of a dense layer kept as outer products: row r = sum over the group's examples j of delta_j' x_j, with
 * delta [N, out], x [N, in], N = n * group. Storage N (out + in) instead of n * out * in, and every product is a matrix
 * product:
 *   (G w)_r   = sum_j delta_j . (W x_j)              W = w as [out, in]
 *   G'u       = sum_j u_r(j) delta_j' x_j            = (u .* delta)' X
 *   (G G')_rs = sum_ij (delta_i . delta_j)(x_i . x_j)    a Hadamard product of two small Gram matrices
 */
import { dtypeOf, type Kernels, type Mat, matrix, type Vec } from "@secateur/core";
import { gemmSpeedUp } from "@secateur/core/linalg";
import type { RowBlock } from "./row-block.ts";
import { rowRange, rowTiles } from "./row-tiles.ts";

/** Examples of one side of a tile of the row Gram: two tiles of f32 fit a core's cache. */
const gramTile = 256;

/** The factors of one layer; `delta` and `input` [n * group, ...] are kept, not copied. */
export interface Factors {
  readonly delta: Mat;
  readonly input: Mat;
  /** Examples summed into one row, >= 1. */
  readonly group: number;
}

/** A block over the factors of a dense layer. Scratch: n * group * out numbers while a product runs. */
export function factoredBlock({ delta, input, group }: Factors, kernels: Kernels): RowBlock {
  const [out, cols] = [delta.cols, input.cols];
  const dtype = dtypeOf(delta.data);
  return {
    size: out * cols,
    productCost: (delta.rows * out * cols) / gemmSpeedUp,
    addTimes(x, result) {
      const w = matrix(out, cols, x);
      for (const { delta: d, input: a, start } of factorTiles(dtypeOf(x))) {
        const z = matrix(d.rows, out, kernels.alloc(d.rows * out, dtypeOf(x)));
        kernels.gemm({ a, b: w, transposeB: true, out: z });
        addGroupDots(d, z, result.subarray(start / group));
        kernels.free(z.data);
      }
    },
    transposeTimes(u, result) {
      for (const { delta: d, input: a, start } of factorTiles(dtypeOf(u))) {
        const scales = repeat(u.subarray(start / group, (start + d.rows) / group), group);
        const scaled = matrix(d.rows, out, kernels.alloc(d.rows * out, dtypeOf(u)));
        kernels.scaleRows(d, scales, scaled);
        kernels.gemm({ a: scaled, transposeA: true, b: a, out: matrix(out, cols, result), beta: start === 0 ? 0 : 1 });
        kernels.free(scaled.data);
      }
    },
    addRowGram,
    writeColumns({ support, start, first, out: target }) {
      const rows = delta.rows / group;
      const [outs, ins] = [support.map((j) => Math.floor((j - start) / cols)), support.map((j) => (j - start) % cols)];
      for (let r = 0; r < rows; r++) {
        const place = r * target.cols + first;
        target.data.fill(0, place, place + support.length);
        for (let i = r * group; i < (r + 1) * group; i++) {
          const [d, a] = [i * out, i * cols];
          for (let s = 0; s < support.length; s++) {
            target.data[place + s]! += delta.data[d + outs[s]!]! * input.data[a + ins[s]!]!;
          }
        }
      }
    },
    columnNormsSquared,
  };

  function* factorTiles(wanted: "f32" | "f64"): Generator<{ delta: Mat; input: Mat; start: number }> {
    for (const { tile, start } of rowTiles(input, { dtype: wanted, kernels, multiple: group })) {
      const rows = rowRange(delta, start, start + tile.rows);
      yield { delta: dtype === wanted ? rows : { ...rows, data: Float64Array.from(rows.data) }, input: tile, start };
    }
  }

  function addGroupDots(d: Mat, z: Mat, result: Vec): void {
    if (group === 1) {
      kernels.rowDots(d, z, result.subarray(0, d.rows), 1);
      return;
    }
    const dots = new Float64Array(d.rows);
    for (let i = 0; i < d.rows; i++) {
      for (let o = 0; o < out; o++) dots[i]! += d.data[i * out + o]! * z.data[i * out + o]!;
    }
    for (let i = 0; i < d.rows; i++) result[Math.floor(i / group)]! += dots[i]!;
  }

  function addRowGram(gram: Mat): void {
    const tile = Math.max(group, Math.floor(gramTile / group) * group);
    const count = delta.rows;
    const buffers = [kernels.alloc(tile * tile, dtype), kernels.alloc(tile * tile, dtype)] as const;
    for (let i = 0; i < count; i += tile) {
      for (let j = 0; j <= i; j += tile) {
        const [rowEnd, colEnd] = [Math.min(i + tile, count), Math.min(j + tile, count)];
        const [m, n] = [rowEnd - i, colEnd - j];
        const [dots, products] = buffers.map((buffer) => matrix(m, n, buffer.subarray(0, m * n))) as [Mat, Mat];
        kernels.gemm({ a: rowRange(delta, i, rowEnd), b: rowRange(delta, j, colEnd), transposeB: true, out: dots });
        kernels.gemm({ a: rowRange(input, i, rowEnd), b: rowRange(input, j, colEnd), transposeB: true, out: products });
        addGramTile({ gram, dots, products, row: i / group, col: j / group });
      }
    }
    for (const buffer of buffers) kernels.free(buffer);
  }

  /** Sums the Hadamard product of two tiles over groups into the lower triangle of the Gram matrix, and mirrors it. */
  function addGramTile(spec: { gram: Mat; dots: Mat; products: Mat; row: number; col: number }): void {
    const { gram, dots, products, row, col } = spec;
    const [rows, cols] = [dots.rows / group, dots.cols / group];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols && col + c <= row + r; c++) {
        let sum = 0;
        for (let i = r * group; i < (r + 1) * group; i++) {
          for (let j = c * group; j < (c + 1) * group; j++)
            sum += dots.data[i * dots.cols + j]! * products.data[i * dots.cols + j]!;
        }
        const value = gram.data[(row + r) * gram.cols + col + c]! + sum;
        gram.data[(row + r) * gram.cols + col + c] = value;
        gram.data[(col + c) * gram.cols + row + r] = value;
      }
    }
  }

  function columnNormsSquared(result: Float64Array): void {
    if (group === 1) {
      const product = matrix(out, cols, kernels.alloc(out * cols, dtype));
      kernels.gemm({ a: squares(delta), transposeA: true, b: squares(input), out: product });
      result.set(product.data);
      kernels.free(product.data);
      return;
    }
    result.fill(0);
    const row = matrix(out, cols, kernels.alloc(out * cols, dtype));
    for (let i = 0; i < delta.rows; i += group) {
      kernels.gemm({ a: rowRange(delta, i, i + group), transposeA: true, b: rowRange(input, i, i + group), out: row });
      for (let j = 0; j < result.length; j++) result[j]! += row.data[j]! ** 2;
    }
    kernels.free(row.data);
  }
}

function repeat(u: Vec, times: number): Vec {
  if (times === 1) return u;
  const out = u instanceof Float64Array ? new Float64Array(u.length * times) : new Float32Array(u.length * times);
  for (let i = 0; i < out.length; i++) out[i] = u[Math.floor(i / times)]!;
  return out;
}

function squares(m: Mat): Mat {
  const data = m.data.slice();
  for (let i = 0; i < data.length; i++) data[i] = data[i]! * data[i]!;
  return { ...m, data };
}
