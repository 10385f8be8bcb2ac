/** From the recorded factors of a pass to gradient rows: sums over examples, positions and uses of delta' x. */
import { type Kernels, type Mat, matrix } from "@secateur/core";
import type { Canonical } from "../canonical.ts";
import type { GradientKernels } from "./gradient-kernels.ts";
import type { UseKind } from "./weight-use.ts";

/** A use of a weight with its factors on the host. */
export interface HostUse {
  readonly use: UseKind;
  readonly input: Float32Array;
  readonly delta: Float32Array;
}

/** Everything that makes gradient rows out of factors. */
export interface RowMaker {
  readonly kernels: Kernels;
  readonly gradientKernels: GradientKernels;
}

/**
 * Adds to canonical rows: `row(r)` += alpha * the gradient of the summed loss of the examples of run r, all uses together.
 *
 * @param spec.uses - of one weight
 * @param spec.batch - examples in the recorded pass; those after the last run are left out
 * @param spec.runs - consecutive examples [from, to) of the pass that belong to one row
 * @param spec.row - the canonical row [out * in] to add to
 */
export function addRows(
  maker: RowMaker,
  spec: {
    readonly uses: readonly HostUse[];
    readonly canonical: Canonical;
    readonly batch: number;
    readonly runs: readonly (readonly [from: number, to: number])[];
    readonly alpha: number;
    readonly row: (run: number) => Float32Array;
  },
): void {
  const { uses, canonical, runs, alpha, row } = spec;
  const { order } = canonical;
  for (const [{ column, width }, group] of productGroups(uses)) {
    runs.forEach((run, r) => {
      const factors = stackFactors({ ...spec, group, run, width });
      addProduct(maker.kernels, { ...factors, alpha, out: outRange(row(r), { column, width, canonical }) });
    });
  }
  for (const { use, input, delta } of uses) {
    if (use.kind === "matmul") continue;
    const add = (gradient: Float32Array, r: number): void => {
      const out = row(r);
      for (let k = 0; k < out.length; k++) out[k] = out[k]! + alpha * gradient[order[k]!]!;
    };
    const { geometry } = use;
    const kernels = maker.gradientKernels;
    if (use.kind === "depthwise") kernels.depthwiseFilterGradient({ geometry, x: input, dy: delta, runs }, add);
    else if (use.kind === "conv") kernels.filterGradient({ geometry, x: input, dy: delta, runs }, add);
    // The adjoint's filter gradient: images and outputs change places.
    else kernels.filterGradient({ geometry, x: delta, dy: input, runs }, add);
  }
}

type ColumnRange = { readonly column: number; readonly width: number };

/** Uses by matrix products, those of the same columns together. */
function productGroups(uses: readonly HostUse[]): readonly (readonly [ColumnRange, readonly HostUse[]])[] {
  const groups = new Map<string, [ColumnRange, HostUse[]]>();
  for (const one of uses) {
    if (one.use.kind !== "matmul") continue;
    const { column, width } = one.use;
    const key = `${column} ${width}`;
    const group = groups.get(key) ?? [{ column, width }, []];
    group[1].push(one);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The factors of a run of examples, positions and uses one below the other: delta [m, out], input [m, in]. */
function stackFactors(spec: {
  group: readonly HostUse[];
  run: readonly [from: number, to: number];
  batch: number;
  width: number;
}): { delta: Mat; input: Mat } {
  const { group, run, batch, width } = spec;
  const parts = group.map(({ input, delta }) => {
    const positions = delta.length / width / batch;
    const inputs = input.length / (positions * batch);
    const part = (values: Float32Array, extent: number) => {
      return values.subarray(run[0] * positions * extent, run[1] * positions * extent);
    };
    return { delta: part(delta, width), input: part(input, inputs), inputs };
  });
  const [first] = parts;
  if (parts.length === 1) {
    return {
      delta: matrix(first!.delta.length / width, width, first!.delta),
      input: matrix(first!.input.length / first!.inputs, first!.inputs, first!.input),
    };
  }
  const { inputs } = first!;
  const rows = parts.reduce((sum, { delta }) => sum + delta.length / width, 0);
  const delta = matrix(rows, width);
  const input = matrix(rows, inputs);
  let start = 0;
  for (const part of parts) {
    delta.data.set(part.delta, start * width);
    input.data.set(part.input, start * inputs);
    start += part.delta.length / width;
  }
  return { delta, input };
}

/** A dense weight's outputs are rows of its canonical matrix, so columns of the stored one are a range of a gradient row. */
function outRange(row: Float32Array, spec: ColumnRange & { canonical: Canonical }): Mat {
  const { column, width, canonical } = spec;
  const { cols } = canonical;
  return matrix(width, cols, row.subarray(column * cols, (column + width) * cols));
}

/** Below this many multiply-adds a product costs less than handing it to the kernels. */
const handOver = 4096;

function addProduct(kernels: Kernels, spec: { delta: Mat; input: Mat; alpha: number; out: Mat }): void {
  const { delta, input, alpha, out } = spec;
  if (delta.rows * out.data.length > handOver) {
    kernels.gemm({ a: delta, transposeA: true, b: input, out, alpha, beta: 1 });
    return;
  }
  for (let m = 0; m < delta.rows; m++) {
    for (let o = 0; o < out.rows; o++) {
      const scale = alpha * delta.data[m * delta.cols + o]!;
      if (scale === 0) continue;
      for (let i = 0; i < out.cols; i++) out.data[o * out.cols + i]! += scale * input.data[m * input.cols + i]!;
    }
  }
}
