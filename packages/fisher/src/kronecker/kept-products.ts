/**
 * Products with a Kronecker-factored block, out = (B X A) at the kept weights, X zero elsewhere: Y' = X' B by a dense product, small because a layer
 * has fewer outputs than inputs, then of Y A only the entries that are kept, each a scalar product of a row of Y and a row of A. With a share s
 * of the weights kept that is out in (out + s in) multiply-adds, where the whole product takes out in (out + in). Entries go input by input: a line of
 * A, which does not fit the first-level caches, is then read once, and what is read again and again are the few lines of Y.
 */
import { type Kernels, type Mat, matrix, panelWidth, plainView, type SparsePattern, type Vec } from "@secateur/core";

/** One block: A and B f32, symmetric, in kernel memory. */
export interface KeptBlock {
  readonly A: Mat;
  readonly B: Mat;
  /** A in panels of 32 of its columns, [panels, in, 32]. */
  readonly panels: Vec;
}

/** Products of a block over some weights. */
export interface KeptProducts {
  /** out = (B X A) at the kept weights. @param x - [kept] @param out - [kept], overwritten */
  multiply(x: Vec, out: Vec): void;
  /** Multiply-adds of one: of dense products, and of those over few entries. */
  readonly cost: { readonly dense: number; readonly sparse: number };
  release(): void;
}

/** Above this share of a layer's weights the whole product is faster. */
const mostKept = 0.6;

/** A's columns in panels of 32, filled up with zeros: what {@link keptProducts} reads. In kernel memory. */
export function columnPanels(A: Mat, kernels: Kernels): Vec {
  const padded = paddedTo(A.cols);
  const rows = kernels.alloc(padded * A.cols, "f32");
  rows.set(A.data);
  rows.fill(0, A.data.length);
  const panels = kernels.alloc(padded * A.cols, "f32");
  kernels.transposeBlocks(rows, { count: padded / panelWidth, rows: panelWidth, cols: A.cols }, panels);
  kernels.free(rows);
  return panels;
}

/**
 * Sets products over some weights of a block up; undefined where the whole product is faster or the kernels have none over few entries.
 *
 * @param places - ascending, in the block's [out, in]
 */
export function keptProducts(
  { A, B, panels }: KeptBlock,
  places: Uint32Array,
  kernels: Kernels,
): KeptProducts | undefined {
  const [inputs, outputs] = [A.rows, B.rows];
  if (places.length === 0) return { multiply() {}, cost: { dense: 0, sparse: 0 }, release() {} };
  if (!kernels.sparseGradients || places.length > mostKept * inputs * outputs) return undefined;
  const padded = paddedTo(inputs);
  const count = padded / panelWidth;
  const { pattern, order } = byInputs(places, { inputs, outputs });
  const owned = [padded * outputs, padded * outputs, padded * outputs, places.length].map((size) =>
    kernels.alloc(size, "f32"),
  );
  const [x, y, lines, products] = owned.map(plainView) as [Vec, Vec, Vec, Vec];
  const [X, Y] = [matrix(padded, outputs, x), matrix(padded, outputs, y)];
  // X' [in, out]: where the entries go.
  const targets = places.map((place) => (place % inputs) * outputs + Math.floor(place / inputs));
  const one = { height: 1, width: 1, groups: 1, kernel: [1, 1], stride: 1, padding: 0, dilation: 1 } as const;
  const shape = { ...one, batch: count, channels: outputs, outputs: inputs };
  return {
    cost: { dense: padded * outputs ** 2, sparse: places.length * padded },
    multiply(values, out) {
      for (let e = 0; e < targets.length; e++) x[targets[e]!] = values[e]!;
      kernels.gemm({ a: X, b: B, out: Y });
      kernels.transposeBlocks(Y.data, { count, rows: panelWidth, cols: outputs }, lines);
      kernels.sparseGradients!({ shape, pattern, images: lines, deltas: panels, out: products });
      for (let e = 0; e < order.length; e++) out[e] = products[order[e]!]!;
    },
    release() {
      for (const vector of owned) kernels.free(vector);
    },
  };
}

/**
 * Sets products over many weights of a block up: B X and then (B X) A as a whole, of which the kept entries are read.
 *
 * @param room - two vectors of at least [out, in] in kernel memory, which products of other blocks may use in between
 */
export function wholeProducts(
  { A, B }: Pick<KeptBlock, "A" | "B">,
  places: Uint32Array,
  { kernels, room }: { kernels: Kernels; room: readonly [Vec, Vec] },
): KeptProducts {
  const [inputs, outputs] = [A.rows, B.rows];
  const size = outputs * inputs;
  const [X, Y] = room.map((data) => matrix(outputs, inputs, data.subarray(0, size))) as [Mat, Mat];
  const entries = plainView(X.data);
  return {
    cost: { dense: size * (inputs + outputs), sparse: 0 },
    multiply(values, out) {
      entries.fill(0);
      for (let e = 0; e < places.length; e++) entries[places[e]!] = values[e]!;
      kernels.gemm({ a: B, b: X, out: Y });
      kernels.gemm({ a: Y, b: A, out: X });
      for (let e = 0; e < places.length; e++) out[e] = entries[places[e]!]!;
    },
    release() {},
  };
}

function paddedTo(size: number): number {
  return Math.ceil(size / panelWidth) * panelWidth;
}

/** The pattern [inputs, outputs] of places in [outputs, inputs], and where each of them stands in it. */
function byInputs(
  places: Uint32Array,
  { inputs, outputs }: { inputs: number; outputs: number },
): { pattern: SparsePattern; order: Uint32Array } {
  const starts = new Uint32Array(inputs + 1);
  for (const place of places) starts[(place % inputs) + 1]! += 1;
  for (let i = 0; i < inputs; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice();
  const columns = new Uint32Array(places.length);
  const order = places.map((place) => {
    const at = next[place % inputs]!++;
    columns[at] = Math.floor(place / inputs);
    return at;
  });
  return { pattern: { rows: inputs, cols: outputs, starts, columns }, order };
}
