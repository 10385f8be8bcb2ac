/** gemm and gram on the blocked product. */
import { checkGemm, checkGram, type GemmSpec, type GramSpec, type Mat } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { bitsOf, multiplyMatrices } from "./product.ts";

/** out = alpha op(a) op(b) + beta out. */
export function gemm(engine: Engine, spec: GemmSpec): void {
  const shape = checkGemm(spec);
  const { a, b, out, transposeA = false, transposeB = false, alpha = 1, beta = 0 } = spec;
  multiplyMatrices(engine, { a, transposeA, b, transposeB, out, alpha, beta, ...shape, part: "all" });
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
