/**
 * What zeros buy at inference: one layer times one vector, on the dense kernel as weights turn to zeros, and on a plain
 * loop over a compressed-sparse-row layer. The figures behind docs/smaller-and-faster.md. Run:
 * `npm run bench -- zeros`.
 */
import { createWasmKernels } from "@secateur/backends-wasm";
import { createRng, type Mat, matrix } from "@secateur/core";

interface SparseRows {
  readonly starts: Uint32Array;
  readonly columns: Uint32Array;
  readonly values: Float32Array;
}

const sparsities = [0, 0.5, 0.8, 0.9, 0.95, 0.98];
const [rows, cols] = [1024, 1024];
const repeats = 200;

const kernels = await createWasmKernels({ threads: 1 });
const x = kernels.alloc(cols, "f32");
const out = kernels.alloc(rows, "f32");
const rng = createRng(0);
for (let j = 0; j < cols; j++) x[j] = rng.normal();

console.log(`${rows} x ${cols} weights times a vector, one thread, microseconds, best of ${repeats}`);
console.log("sparsity  dense kernel  sparse rows  sparse/dense");
for (const sparsity of sparsities) {
  const w = layer(sparsity);
  const sparse = compress(w);
  const dense = best(() => kernels.gemv({ a: w, x, out }));
  const expected = out.slice();
  const csr = best(() => multiply(sparse, x, out));
  assertNear(out, expected);
  console.log(
    [
      `${Math.round(100 * sparsity)} %`.padStart(8),
      dense.toFixed(0).padStart(13),
      csr.toFixed(0).padStart(12),
      (csr / dense).toFixed(2).padStart(13),
    ].join(""),
  );
}
await kernels.close();

/** Random weights, of which a random part is zero. */
function layer(sparsity: number): Mat {
  const data = kernels.alloc(rows * cols, "f32");
  for (let i = 0; i < data.length; i++) data[i] = rng.next() < sparsity ? 0 : rng.normal();
  return matrix(rows, cols, data);
}

function compress({ data }: Mat): SparseRows {
  const starts = new Uint32Array(rows + 1);
  const columns: number[] = [];
  const values: number[] = [];
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      const value = data[i * cols + j]!;
      if (value === 0) continue;
      columns.push(j);
      values.push(value);
    }
    starts[i + 1] = columns.length;
  }
  return { starts, columns: Uint32Array.from(columns), values: Float32Array.from(values) };
}

function multiply({ starts, columns, values }: SparseRows, x: ArrayLike<number>, out: { [i: number]: number }): void {
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let at = starts[i]!; at < starts[i + 1]!; at++) sum += values[at]! * x[columns[at]!]!;
    out[i] = sum;
  }
}

/** Microseconds of the fastest run: others wait for the machine. */
function best(run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < repeats; i++) {
    const started = performance.now();
    run();
    least = Math.min(least, performance.now() - started);
  }
  return least * 1000;
}

/** Sums of a thousand f32 products in two orders differ by some 1e-7 of their terms; 1e-2 catches every mistake. */
function assertNear(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  for (let i = 0; i < found.length; i++) {
    if (!(Math.abs(found[i]! - expected[i]!) < 1e-2)) throw new Error("zeros: the sparse product is wrong");
  }
}
