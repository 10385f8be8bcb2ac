/** Linearisations of a network's one output as rows [examples, outputs], and under core's named tensors. */
import {
  type Batch,
  batchDataset,
  type Dataset,
  type FloatTensors,
  type Linearization,
  type Mat,
  type Vec,
} from "@secateur/core";
import { asOutputs, rowsOfOutputs } from "../network-tensors.ts";

/** Core's Linearization with matrices in place of named tensors. */
export interface RowLinearization extends Pick<Linearization, "dim" | "cost" | "release"> {
  /** [examples, outputs], at the present weights */
  readonly logits: Mat;
  forward(x: Vec, out: Mat): void;
  backward(u: Mat, out: Vec): void;
  sumOfSquares(us: Iterable<Mat>, out: Vec): void;
  /** @param p - [examples, outputs] */
  softmaxGram?(p: Float64Array, x: Vec, out: Vec): void;
  softmaxSquares?(p: Float64Array, out: Vec): void;
  columnGram?(us: Iterable<Mat>, columns: Uint32Array, out: Mat): void;
  restricted(columns: Uint32Array): RowLinearization;
}

/** The same under the output's name, with the batch of examples it was taken over. */
export function namedLinearization(
  rows: RowLinearization,
  { data, batch }: { data: Dataset; batch: Batch },
): Linearization {
  const sample = batchDataset(data, batch);
  const named = (inner: RowLinearization): Linearization => ({
    dim: inner.dim,
    sample,
    outputs: asOutputs(inner.logits),
    ...(batch.targets ? { targets: batch.targets } : {}),
    cost: inner.cost,
    forward: (x, out) => inner.forward(x, rowsOfOutputs(out)),
    backward: (u, out) => inner.backward(rowsOfOutputs(u), out),
    sumOfSquares: (us, out) => inner.sumOfSquares(allRows(us), out),
    ...(inner.softmaxSquares && {
      softmaxSquares: ({ probabilities }, out) => inner.softmaxSquares!(probabilities, out),
    }),
    ...(inner.softmaxGram && {
      softmaxGram: ({ probabilities }, x, out) => inner.softmaxGram!(probabilities, x, out),
    }),
    ...(inner.columnGram
      ? {
          columnGram: (us: Iterable<FloatTensors>, columns: Uint32Array, out: Mat) =>
            inner.columnGram!(allRows(us), columns, out),
        }
      : {}),
    restricted: (columns) => named(inner.restricted(columns)),
    release: () => inner.release(),
  });
  return named(rows);
}

function* allRows(us: Iterable<FloatTensors>): Generator<Mat> {
  for (const u of us) yield rowsOfOutputs(u);
}
