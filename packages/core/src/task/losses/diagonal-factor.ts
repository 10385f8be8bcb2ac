/** The root of a Hessian in the outputs that is diagonal: R = diag(sqrt h); for 1/2 |z - t|^2, h = 1. */

import type { OutputFactor } from "../task.ts";
import { only } from "./cross-entropy-factor.ts";

/**
 * @param spec.output - name of the tensor
 * @param spec.size - its numbers for one example
 * @param spec.curvature - h >= 0 of every number of every example; default 1
 * @param spec.drawn - the slope of number i for a target drawn from a likelihood; default: normal of variance h
 */
export function diagonalFactor(spec: {
  output: string;
  size: number;
  curvature?: Float64Array;
  drawn?: (random: () => number, i: number) => number;
}): OutputFactor {
  const { output, size, drawn } = spec;
  const root = spec.curvature?.map(Math.sqrt);
  return {
    columns: size,
    times(u, out) {
      const target = only(output, out);
      for (let i = 0; i < target.length; i++) target[i] = root ? root[i]! * u[i]! : u[i]!;
    },
    transposeTimes(t, out) {
      const source = t[output]!.data;
      for (let i = 0; i < source.length; i++) out[i] = root ? root[i]! * source[i]! : source[i]!;
    },
    draw(rng, out) {
      const target = only(output, out);
      for (let i = 0; i < target.length; i++) {
        target[i] = drawn ? drawn(() => rng.next(), i) : (root?.[i] ?? 1) * rng.normal();
      }
    },
  };
}
