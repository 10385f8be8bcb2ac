/** The root of the cross-entropy's Hessian in the scores of every row (an example, or a position of one); see classification.ts. */
import type { FloatTensors } from "../../data/tensor.ts";
import type { Mat, Vec } from "../../problem/matrix.ts";
import type { OutputFactor } from "../task.ts";
import { drawClass, softmaxRows } from "./softmax.ts";

/**
 * @param spec.output - name of the tensor that holds the scores
 * @param spec.scores - [rows, classes]; copied
 * @param spec.rowsPerExample - default 1
 * @param spec.weights - what each row's loss is multiplied by, >= 0 [rows]; 0 leaves a row out. Default 1.
 */
export function crossEntropyFactor(spec: {
  output: string;
  scores: Mat;
  temperature?: number | undefined;
  rowsPerExample?: number;
  weights?: Float64Array;
}): OutputFactor {
  const { output, temperature = 1, rowsPerExample = 1, weights } = spec;
  const { rows, cols: classes } = spec.scores;
  const p = softmaxRows(spec.scores.data, classes, temperature);
  const root = p.map(Math.sqrt);
  const scale = (row: number): number => (weights ? Math.sqrt(weights[row]!) : 1);
  return {
    columns: rowsPerExample * classes,
    ...(rowsPerExample === 1 && !weights && { softmax: { output, probabilities: p } }),
    times(u, out) {
      const target = only(output, out);
      for (let row = 0; row < rows; row++) {
        const [start, factor] = [row * classes, scale(row)];
        let sum = 0;
        for (let c = start; c < start + classes; c++) sum += root[c]! * u[c]!;
        for (let c = start; c < start + classes; c++) target[c] = factor * (root[c]! * u[c]! - p[c]! * sum);
      }
    },
    column(index, out) {
      const target = only(output, out);
      const [place, label] = [Math.floor(index / classes), index % classes];
      // An example's columns are those of its rows, one after the other.
      if (rowsPerExample > 1) target.fill(0);
      for (let row = place; row < rows; row += rowsPerExample) {
        const start = row * classes;
        const [factor, own] = [scale(row), root[start + label]!];
        // The very numbers that `times` gives.
        for (let c = 0; c < classes; c++) target[start + c] = factor * ((c === label ? own : 0) - p[start + c]! * own);
      }
    },
    transposeTimes(t, out) {
      const source = t[output]!.data;
      for (let row = 0; row < rows; row++) {
        const [start, factor] = [row * classes, scale(row)];
        let mean = 0;
        for (let c = start; c < start + classes; c++) mean += p[c]! * source[c]!;
        for (let c = start; c < start + classes; c++) out[c] = factor * root[c]! * (source[c]! - mean);
      }
    },
    draw(rng, out) {
      const target = only(output, out);
      for (let row = 0; row < rows; row++) {
        const [start, factor] = [row * classes, scale(row)];
        const label = drawClass(p, { start, classes }, rng);
        for (let c = 0; c < classes; c++) target[start + c] = factor * (p[start + c]! - (c === label ? 1 : 0));
      }
    },
  };
}

/** The tensor of one output; all others are set to zero. */
export function only(output: string, out: FloatTensors): Vec {
  for (const [name, { data }] of Object.entries(out)) if (name !== output) data.fill(0);
  return out[output]!.data;
}
