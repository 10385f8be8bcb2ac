/**
 * Gradient rows of a model, stored as a view wants them. Rows that are written out are taken a piece of the examples at a time, each piece
 * written to its place and freed before the next is asked for, so that the factors of all examples are never held beside the rows.
 */
import {
  dtypeOf,
  type GradientBlock,
  type GradientRequest,
  type GradientRows,
  type Kernels,
  type Mat,
  type Model,
  matrix,
  type RunContext,
  type Vec,
} from "@secateur/core";
import { denseBlock } from "./dense-block.ts";
import { factoredBlock } from "./factored-block.ts";
import type { RowBlock } from "./row-block.ts";
import { rowRange } from "./row-tiles.ts";

/** Examples a factored row may sum before its product costs more than the stored row's, which is bound by memory. */
export const largestGroup = 4;

/** Examples of a piece: what a network takes in one pass. */
const pieceExamples = 2048;

/** Rows as a view holds them. */
export interface StoredRows {
  readonly blocks: readonly RowBlock[];
  readonly dtype: "f32" | "f64";
  /** Mean loss of the examples; of several pieces the mean of theirs, by rows. */
  readonly loss: number;
  release(): void;
}

/** Takes all rows. @throws what the model's `gradientRows` throws */
export async function takeRows(
  spec: GradientRequest & { readonly model: Model; readonly layout: "auto" | "factored" | "dense" },
  ctx: RunContext,
): Promise<StoredRows> {
  const { model, layout, ...request } = spec;
  const { examples, batch } = request;
  const expands = layout === "dense" || (layout === "auto" && batch > largestGroup);
  const step = batch * Math.max(1, Math.floor(pieceExamples / batch));
  if (!expands || step >= examples.length) {
    return storeRows(await model.gradientRows!(request, ctx), expands, ctx.kernels);
  }
  const { kernels } = ctx;
  const rows = examples.length / batch;
  const stored: Mat[] = [];
  let loss = 0;
  try {
    for (let start = 0; start < examples.length; start += step) {
      const piece = await model.gradientRows!(
        { ...request, examples: examples.subarray(start, start + step) },
        within(ctx, { start, total: examples.length }),
      );
      for (const [b, block] of piece.blocks.entries()) {
        const cols = block.kind === "dense" ? block.rows.cols : block.delta.cols * block.input.cols;
        stored[b] ??= matrix(rows, cols, kernels.alloc(rows * cols, dtypeOf(vectorsOf(block)[0]!)));
        writeRows(block, rowRange(stored[b], start / batch, start / batch + piece.rows), kernels);
      }
      loss += (piece.loss * piece.rows) / rows;
      for (const vector of new Set(piece.blocks.flatMap(vectorsOf))) kernels.free(vector);
    }
  } catch (error) {
    for (const { data } of stored) kernels.free(data);
    throw error;
  }
  return {
    blocks: stored.map((block) => denseBlock(block, kernels)),
    dtype: dtypeOf(stored[0]!.data),
    loss,
    release() {
      for (const { data } of stored) kernels.free(data);
    },
  };
}

/** The same context, whose progress counts the pieces before. */
function within(ctx: RunContext, { start, total }: { start: number; total: number }): RunContext {
  return { ...ctx, tick: (progress) => ctx.tick({ ...progress, done: start + progress.done, total }) };
}

function vectorsOf(block: GradientBlock): readonly Vec[] {
  return block.kind === "dense" ? [block.rows.data] : [block.delta.data, block.input.data];
}

/** Rows that came in one piece: as they are, or factored ones written out. */
function storeRows(gradients: GradientRows, expands: boolean, kernels: Kernels): StoredRows {
  // Blocks of one layer share factors: what no block uses any more is freed once, at the end.
  const owned = new Set<Vec>();
  const spent = new Set<Vec>();
  const blocks = gradients.blocks.map((block) => {
    const isSpent = expands && block.kind === "factored";
    for (const vector of vectorsOf(block)) (isSpent ? spent : owned).add(vector);
    if (block.kind === "dense") return denseBlock(block.rows, kernels);
    if (!expands) return factoredBlock(block, kernels);
    const rows = expandRows(block, kernels);
    owned.add(rows.data);
    return denseBlock(rows, kernels);
  });
  for (const vector of spent) if (!owned.has(vector)) kernels.free(vector);
  return {
    blocks,
    dtype: dtypeOf([...owned][0]!),
    loss: gradients.loss,
    release() {
      for (const vector of owned) kernels.free(vector);
    },
  };
}

/** The rows [n, out * in] of a factored block, `group` examples summed in each, written out: n * out * in numbers. */
export function expandRows(block: Extract<GradientBlock, { kind: "factored" }>, kernels: Kernels): Mat {
  const { delta, input, group } = block;
  const rows = delta.rows / group;
  const size = delta.cols * input.cols;
  const out = matrix(rows, size, kernels.alloc(rows * size, dtypeOf(delta.data)));
  writeRows(block, out, kernels);
  return out;
}

/** Writes the rows of a block to their place [rows, size]. */
function writeRows(block: GradientBlock, out: Mat, kernels: Kernels): void {
  if (block.kind === "dense") {
    out.data.set(block.rows.data);
    return;
  }
  const { delta, input, group } = block;
  for (let r = 0; r < out.rows; r++) {
    kernels.gemm({
      a: rowRange(delta, r * group, (r + 1) * group),
      transposeA: true,
      b: rowRange(input, r * group, (r + 1) * group),
      out: matrix(delta.cols, input.cols, out.data.subarray(r * out.cols, (r + 1) * out.cols)),
    });
  }
}
