/**
 * A task read through a map of the outputs, s = f(z): with f's Jacobian J, dl/dz = J' dl/ds, and R_z = J' R_s is a root of the
 * Gauss-Newton part of the Hessian, J' B J.
 */
import type { FloatTensors, OutputFactor, Task, Vec } from "@secateur/core";

/** A map of rows of numbers at a point, with products. */
export interface MappedRows {
  /** f(z) [rows, columns] */
  readonly values: Float64Array;
  /** J t */
  times(t: Vec): Float64Array;
  /** J' d */
  transposeTimes(d: Vec): Float64Array;
}

/** A map of rows [rows, columns]. */
export type RowMap = (z: Vec, columns: number) => MappedRows;

/** A task whose output goes through a map first. @param spec.output - the output it reads */
export function throughMap(inner: Task, { output, map }: { output: string; map: RowMap }): Task {
  const at = (outputs: FloatTensors) => {
    const { shape, data } = outputs[output]!;
    const mapped = map(data, shape.at(-1) ?? 1);
    return { mapped, outputs: { [output]: { shape, data: mapped.values } } };
  };
  return {
    ...inner,
    loss(call) {
      const { mapped, outputs } = at(call.outputs);
      const { shape, data } = outputs[output]!;
      const own = call.delta && { [output]: { shape, data: new Float64Array(data.length) } };
      const found = inner.loss({ ...call, outputs, ...(own ? { delta: own } : {}) });
      if (call.delta && own) call.delta[output]!.data.set(mapped.transposeTimes(own[output]!.data));
      return found;
    },
    outputFactor(call): OutputFactor {
      const { mapped, outputs } = at(call.outputs);
      const factor = inner.outputFactor({ ...call, outputs });
      const behind = (out: FloatTensors, write: (own: FloatTensors) => void): void => {
        for (const { data } of Object.values(out)) data.fill(0);
        const { shape, data } = out[output]!;
        const own = { [output]: { shape, data: new Float64Array(data.length) } };
        write(own);
        data.set(mapped.transposeTimes(own[output]!.data));
      };
      return {
        columns: factor.columns,
        times: (u, out) => behind(out, (own) => factor.times(u, own)),
        transposeTimes(t, out) {
          const { shape, data } = t[output]!;
          factor.transposeTimes({ [output]: { shape, data: mapped.times(data) } }, out);
        },
        draw: (rng, out) => behind(out, (own) => factor.draw(rng, own)),
      };
    },
    measures: inner.measures.map((measure) => ({
      ...measure,
      add: (outputs, targets) => measure.add(at(outputs).outputs, targets),
    })),
  };
}

/**
 * s_c = log sigmoid(z_c), so that softmax(s) are sigmoids divided by their sum: what Keras makes of independent probabilities under the
 * categorical cross-entropy. ds_c / dz_c = 1 - sigmoid(z_c).
 */
export const logSigmoids: RowMap = (z) => {
  const slope = Float64Array.from(z, (value) => 1 / (1 + Math.exp(value)));
  const scaled = (x: Vec): Float64Array => slope.map((factor, k) => factor * x[k]!);
  return {
    values: Float64Array.from(z, (value) => Math.min(value, 0) - Math.log1p(Math.exp(-Math.abs(value)))),
    times: scaled,
    transposeTimes: scaled,
  };
};

/**
 * s_c = log(p_c / (1 - p_c)) for p = softmax(z), so that sigmoid(s) = p: what the binary cross-entropy makes of exclusive probabilities.
 * With e_c = exp(z_c - max z) and o_c = sum over k != c of e_k:  s_c = z_c - max z - log o_c,  ds_c / dz_k = -e_k / o_c for k != c, 1 for k = c.
 */
export const logOdds: RowMap = (z, columns) => {
  const e = new Float64Array(z.length);
  const others = new Float64Array(z.length);
  const values = new Float64Array(z.length);
  const largest = new Uint32Array(z.length / columns);
  for (let start = 0; start < z.length; start += columns) {
    let top = start;
    for (let k = start; k < start + columns; k++) if (z[k]! > z[top]!) top = k;
    let [sum, below] = [0, 0];
    for (let k = start; k < start + columns; k++) {
      e[k] = Math.exp(z[k]! - z[top]!);
      sum += e[k]!;
      // The sum without the largest, whose difference to the whole would cancel.
      if (k !== top) below += e[k]!;
    }
    largest[start / columns] = top;
    for (let k = start; k < start + columns; k++) {
      others[k] = Math.max(k === top ? below : sum - e[k]!, Number.MIN_VALUE);
      values[k] = z[k]! - z[top]! - Math.log(others[k]!);
    }
  }
  const eachRow = (visit: (start: number, top: number) => void): void => {
    largest.forEach((top, row) => {
      visit(row * columns, top);
    });
  };
  return {
    values,
    times(t) {
      const out = new Float64Array(z.length);
      eachRow((start, top) => {
        let rest = 0;
        for (let k = start; k < start + columns; k++) if (k !== top) rest += e[k]! * t[k]!;
        const all = rest + e[top]! * t[top]!;
        for (let k = start; k < start + columns; k++) {
          out[k] = t[k]! - (k === top ? rest : all - e[k]! * t[k]!) / others[k]!;
        }
      });
      return out;
    },
    transposeTimes(d) {
      const out = new Float64Array(z.length);
      eachRow((start, top) => {
        let rest = 0;
        for (let k = start; k < start + columns; k++) if (k !== top) rest += d[k]! / others[k]!;
        const all = rest + d[top]! / others[top]!;
        for (let k = start; k < start + columns; k++) {
          out[k] = d[k]! - e[k]! * (k === top ? rest : all - d[k]! / others[k]!);
        }
      });
      return out;
    },
  };
};
