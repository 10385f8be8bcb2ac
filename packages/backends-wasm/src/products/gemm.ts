/** gemm and gram on the blocked product. */
import { checkGemm, checkGram, type GemmEachSpec, type GemmSpec, type GramSpec, type Mat } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { ownMemory, readyWorkspace } from "../memory/thread-memory.ts";
import { bitsOf, multiplyMatrices, SUM_BLOCK } from "./product.ts";
import { ceilTo } from "./tiles.ts";

/** out = alpha op(a) op(b) + beta out. */
export function gemm(engine: Engine, spec: GemmSpec): void {
  const shape = checkGemm(spec);
  const { a, b, out, transposeA = false, transposeB = false, alpha = 1, beta = 0 } = spec;
  multiplyMatrices(engine, { a, transposeA, b, transposeB, out, alpha, beta, ...shape, part: "all" });
}

/** out_i = a_i b_i, each as gemm does it; one by one where matrices lie elsewhere or are large. */
export function gemmEach(engine: Engine, spec: GemmEachSpec): void {
  const { a, b, out, count } = spec;
  const [m, k, n] = [a.rows / count, a.cols, b.cols];
  const fits =
    [m, b.rows / count].every(Number.isInteger) && b.rows === count * k && out.rows === a.rows && out.cols === n;
  if (count > 0 && !fits) throw new RangeError(`gemmEach: operands are no ${count} products`);
  if (count === 0 || out.data.length === 0) return;
  const size = out.data.BYTES_PER_ELEMENT;
  const bytes = ceilTo(Math.max(1, k) * ceilTo(n, 16 / size) * size, 64);
  const [space, missing] = readyWorkspace(engine, engine.threads * bytes);
  const addresses = [a, b, out].map(({ data }) => engine.memory.addressOf(data));
  if (k === 0 || missing > 0 || addresses.includes(undefined)) {
    for (let i = 0; i < count; i++) gemm(engine, { a: part(a, i, m), b: part(b, i, k), out: part(out, i, m) });
    return;
  }
  const values = [...ownMemory(engine, space, bytes), ...(addresses as number[]), m, n, k, SUM_BLOCK];
  engine.run(`gemmEach${size * 8}`, count, (count * m * n * k) / (size === 4 ? 8 : 4), ...values);
}

function part({ data, cols }: Mat, i: number, rows: number): Mat {
  return { rows, cols, data: data.subarray(i * rows * cols, (i + 1) * rows * cols) };
}

/** out = alpha a a' + beta out (or a'a): the lower triangle is computed and copied to the upper one. */
export function gram(engine: Engine, spec: GramSpec): void {
  const { n, k } = checkGram(spec);
  const { a, out, transpose = false, alpha = 1, beta = 0 } = spec;
  multiplyMatrices(engine, {
    a,
    transposeA: transpose,
    b: a,
    transposeB: !transpose,
    out,
    alpha,
    beta,
    m: n,
    n,
    k,
    part: "lower",
  });
  const address = engine.memory.addressOf(out.data);
  if (address === undefined) mirrorHere(out);
  else engine.run(`mirrorUnits${bitsOf(out)}`, Math.ceil(n / 32), n * n * 0.5, address, n);
}

// Out lies outside the wasm memory: blocks of 32 x 32 keep both triangles in the cache.
function mirrorHere({ data, rows: n }: Mat): void {
  const step = 32;
  for (let i = 0; i < n; i += step) {
    for (let j = 0; j <= i; j += step) {
      for (let r = i; r < Math.min(i + step, n); r++) {
        const end = Math.min(j + step, r);
        for (let c = j; c < end; c++) data[c * n + r] = data[r * n + c] as number;
      }
    }
  }
}
