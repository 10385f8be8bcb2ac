/** A Kronecker-factored curvature over some weights: with G'G only these are multiplied and only these come out. */
import { type FactorView, type Kernels, plainView, type Vec, zeros } from "@secateur/core";
import { gemmSpeedUp, pick } from "@secateur/core/linalg";
import { columnPanels, keptProducts } from "./kept-products.ts";
import { type Block, costOf, multiply, writeColumnGram } from "./kronecker-block.ts";

/** The view over some weights, ascending. Products are to be made one after the other. Release it. */
export function restrictedView(
  view: FactorView,
  spec: { blocks: readonly Block[]; support: Uint32Array; kernels: Kernels },
): FactorView & { release(): void } {
  const { blocks, support, kernels } = spec;
  const { dim, dtype } = view;
  let first = 0;
  const parts = blocks.flatMap((block) => {
    const end = block.start + block.in * block.out;
    const from = first;
    while (first < support.length && support[first]! < end) first++;
    if (first === from) return [];
    const places = support.subarray(from, first).map((j) => j - block.start);
    block.panels ??= kernels.sparseGradients ? columnPanels(block.singleA, kernels) : undefined;
    const products =
      block.panels && keptProducts({ A: block.singleA, B: block.singleB, panels: block.panels }, places, kernels);
    const size = products ? 0 : block.in * block.out;
    return [{ block, from, places, products, X: zeros(size, dtype), whole: zeros(size, dtype) }];
  });
  const scattered = (x: Vec): Vec => {
    const whole = zeros(dim, dtype);
    for (let s = 0; s < support.length; s++) whole[support[s]!] = x[s]!;
    return whole;
  };
  return {
    ...{ rows: view.rows, dim: support.length, dtype, scale: view.scale, damping: view.damping },
    productCost: parts.reduce((sum, { block, products }) => {
      const { dense, sparse } = products?.cost ?? { dense: costOf(block), sparse: 0 };
      return sum + dense / gemmSpeedUp + sparse;
    }, 0),
    times: (x, out) => view.times(scattered(x), out),
    async transposeTimes(u, out) {
      const all = zeros(dim, dtype);
      await view.transposeTimes(u, all);
      for (let s = 0; s < support.length; s++) out[s] = all[support[s]!]!;
    },
    gramTimes(given, result) {
      const [x, out] = [plainView(given), plainView(result)];
      for (const { block, from, places, products, X, whole } of parts) {
        const to = from + places.length;
        if (products) {
          products.multiply(x.subarray(from, to), out.subarray(from, to));
          continue;
        }
        // One layer, as a whole; where nothing is kept X stays zero.
        for (let e = 0; e < places.length; e++) X[places[e]!] = x[from + e]!;
        multiply({ blocks: [{ ...block, start: 0 }], x: X, out: whole, kernels, by: "G'G" });
        for (let e = 0; e < places.length; e++) out[from + e] = whole[places[e]!]!;
      }
    },
    columnGramCost: view.columnGramCost!,
    columnGram: (inner, out) =>
      writeColumnGram(
        blocks,
        inner.map((s) => support[s]!),
        out,
      ),
    columnNormsSquared() {
      return pick(view.columnNormsSquared(), support);
    },
    release() {
      for (const { products } of parts) products?.release();
    },
  };
}
