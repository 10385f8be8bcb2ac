/** A Kronecker-factored curvature over some weights: with G'G only these are multiplied and only these come out. */
import { type FactorView, type Kernels, plainView, type Vec, zeros } from "@secateur/core";
import { gemmSpeedUp, pick } from "@secateur/core/linalg";
import { columnPanels, keptProducts, wholeProducts } from "./kept-products.ts";
import { type Block, writeColumnGram } from "./kronecker-block.ts";

/** The view over some weights, ascending. Products are to be made one after the other. Release it. */
export function restrictedView(
  view: FactorView,
  spec: { blocks: readonly Block[]; support: Uint32Array; kernels: Kernels },
): FactorView & { release(): void } {
  const { blocks, support, kernels } = spec;
  const { dim, dtype } = view;
  let first = 0;
  const found = blocks.flatMap((block) => {
    const end = block.start + block.in * block.out;
    const from = first;
    while (first < support.length && support[first]! < end) first++;
    if (first === from) return [];
    const places = support.subarray(from, first).map((j) => j - block.start);
    block.panels ??= kernels.sparseGradients ? columnPanels(block.singleA, kernels) : undefined;
    const factors = { A: block.singleA, B: block.singleB };
    const few = block.panels && keptProducts({ ...factors, panels: block.panels }, places, kernels);
    return [{ from, to: first, few, whole: { factors, places } }];
  });
  // One room for all that are taken whole: products are made one after the other.
  const most = Math.max(0, ...found.map(({ few, whole: { factors } }) => (few ? 0 : factors.A.rows * factors.B.rows)));
  const room: readonly [Vec, Vec] | undefined =
    most > 0 ? [kernels.alloc(most, "f32"), kernels.alloc(most, "f32")] : undefined;
  const parts = found.map(({ from, to, few, whole: { factors, places } }) => ({
    ...{ from, to },
    products: few ?? wholeProducts(factors, places, { kernels, room: room! }),
  }));
  const scattered = (x: Vec): Vec => {
    const whole = zeros(dim, dtype);
    for (let s = 0; s < support.length; s++) whole[support[s]!] = x[s]!;
    return whole;
  };
  return {
    ...{ rows: view.rows, dim: support.length, dtype, scale: view.scale, damping: view.damping },
    productCost: parts.reduce((sum, { products: { cost } }) => sum + cost.dense / gemmSpeedUp + cost.sparse, 0),
    times: (x, out) => view.times(scattered(x), out),
    async transposeTimes(u, out) {
      const all = zeros(dim, dtype);
      await view.transposeTimes(u, all);
      for (let s = 0; s < support.length; s++) out[s] = all[support[s]!]!;
    },
    gramTimes(given, result) {
      const [x, out] = [plainView(given), plainView(result)];
      for (const { from, to, products } of parts) products.multiply(x.subarray(from, to), out.subarray(from, to));
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
      for (const { products } of parts) products.release();
      for (const vector of room ?? []) kernels.free(vector);
    },
  };
}
