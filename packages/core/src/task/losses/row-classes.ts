/**
 * Cross-entropies over rows of class scores, an example having one or many rows: what classification by position and the next token
 * share. Rows with the label -1 do not count.
 */
import type { FloatTensors, Tensor, Tensors } from "../../data/tensor.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { type Mat, matrix, type Vec } from "../../problem/matrix.ts";
import type { LossSum, Measure, OutputFactor } from "../task.ts";
import { crossEntropyFactor, only } from "./cross-entropy-factor.ts";
import { largestOfRows } from "./softmax.ts";

/** Scores by row, in the order of the output or with classes moved to the end. */
export interface ClassRows {
  readonly output: string;
  /** [rows, classes] */
  readonly scores: Mat;
  readonly rowsPerExample: number;
  /** Extents behind the classes of the output [n, classes, ...]: their product; 1 where the classes come last. */
  readonly behind: number;
}

/** The same with a label a row. */
export interface LabelledRows extends ClassRows {
  /** [rows], -1 where a row does not count */
  readonly labels: Int32Array;
}

/** Rows of an output [n, ..., classes], or [n, classes, ...] with `isFirst`: then a copy in another order. */
export function classRows(output: Tensor<Vec> & { readonly name: string }, isFirst = false): ClassRows {
  const { shape, data, name } = output;
  const [examples = 1] = shape;
  const classes = (isFirst ? shape[1] : shape.at(-1)) ?? 1;
  const rows = data.length / classes;
  const behind = isFirst ? rows / examples : 1;
  const scores = matrix(rows, classes, behind === 1 ? data : moved(data, { classes, behind, toRows: true }));
  return { output: name, scores, rowsPerExample: rows / examples, behind };
}

/** From [n, classes, behind] to [n, behind, classes], or back. */
function moved(data: Vec, spec: { classes: number; behind: number; toRows: boolean }, out: Vec = data.slice()): Vec {
  const { classes, behind, toRows } = spec;
  const block = classes * behind;
  for (let start = 0; start < data.length; start += block) {
    for (let c = 0; c < classes; c++) {
      for (let b = 0; b < behind; b++) {
        const [planes, rows] = [start + c * behind + b, start + b * classes + c];
        if (toRows) out[rows] = data[planes]!;
        else out[planes] = data[rows]!;
      }
    }
  }
  return out;
}

/** Sum over the rows that count; their slopes are written to the output's delta, zeros for the others. */
export function rowLoss(rows: LabelledRows, kernels: Kernels, delta: FloatTensors | undefined): LossSum {
  const { scores, labels, output, behind } = rows;
  const { rows: count, cols: classes } = scores;
  const losses = new Float64Array(count);
  const target = delta?.[output]?.data;
  const slope = target && (behind === 1 ? target : target.slice());
  kernels.softmaxCrossEntropy({
    logits: scores,
    labels: Uint32Array.from(labels, (label) => Math.max(label, 0)),
    loss: losses,
    ...(slope ? { delta: matrix(count, classes, slope) } : {}),
  });
  let [sum, counted] = [0, 0];
  for (let row = 0; row < count; row++) {
    if (labels[row]! < 0) {
      slope?.fill(0, row * classes, (row + 1) * classes);
      continue;
    }
    sum += losses[row]!;
    counted++;
  }
  if (target && slope && behind > 1) moved(slope, { classes, behind, toRows: false }, target);
  return { sum, count: counted };
}

/** The root of the Hessian; rows that do not count have none. Without labels all count. */
export function rowFactor(
  rows: ClassRows,
  { labels, temperature }: { labels?: Int32Array | undefined; temperature?: number | undefined },
): OutputFactor {
  const { output, scores, rowsPerExample, behind } = rows;
  const weights = labels && Float64Array.from(labels, (label) => (label < 0 ? 0 : 1));
  const inner = crossEntropyFactor({ output, scores, temperature, rowsPerExample, ...(weights ? { weights } : {}) });
  if (behind === 1) return inner;
  const { cols: classes } = scores;
  const written = (out: FloatTensors, write: (rows: FloatTensors) => void): void => {
    const target = only(output, out);
    const own = { [output]: { ...out[output]!, data: target.slice() } };
    write(own);
    moved(own[output]!.data, { classes, behind, toRows: false }, target);
  };
  return {
    columns: inner.columns,
    times: (u, out) => written(out, (own) => inner.times(u, own)),
    transposeTimes(t, out) {
      const given = t[output]!;
      inner.transposeTimes({ [output]: { ...given, data: moved(given.data, { classes, behind, toRows: true }) } }, out);
    },
    draw: (rng, out) => written(out, (own) => inner.draw(rng, own)),
  };
}

/** Percent of the rows that count whose largest score is the label's. */
export function rowAccuracy(read: (outputs: FloatTensors, targets: Tensors | undefined) => LabelledRows): Measure {
  return {
    name: "accuracy",
    unit: "%",
    better: "higher",
    add(outputs, targets) {
      const { scores, labels } = read(outputs, targets);
      let [sum, count] = [0, 0];
      largestOfRows(scores.data, scores.cols).forEach((label, row) => {
        if (labels[row]! < 0) return;
        count++;
        if (label === labels[row]) sum++;
      });
      return { sum: 100 * sum, count };
    },
  };
}
