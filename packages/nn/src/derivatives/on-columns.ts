/** What linearisations share: products over some of the weights. */
import { dtypeOf, type Vec, zeros } from "@secateur/core";
import type { RowLinearization } from "./row-linearization.ts";

/** The places that columns of a selection have in what they were selected from. */
export function within(columns: Uint32Array, inside: Uint32Array): Uint32Array {
  return inside.map((s) => columns[s]!);
}

/** The products of `whole` for flat vectors that hold the weights at `columns` only; the others stay as they are. */
export function onColumns(
  whole: RowLinearization,
  columns: Uint32Array,
): Pick<RowLinearization, "dim" | "forward" | "backward" | "sumOfSquares" | "softmaxSquares"> {
  const full = zeros(whole.dim, dtypeOf(whole.logits.data));
  const gather = (out: Vec): void => {
    for (let s = 0; s < columns.length; s++) out[s] = full[columns[s]!]!;
  };
  return {
    dim: columns.length,
    forward(x, out) {
      full.fill(0);
      for (let s = 0; s < columns.length; s++) full[columns[s]!] = x[s]!;
      whole.forward(full, out);
    },
    backward(u, out) {
      whole.backward(u, full);
      gather(out);
    },
    ...(whole.softmaxSquares && {
      softmaxSquares(p: Float64Array, out: Vec) {
        whole.softmaxSquares!(p, full);
        gather(out);
      },
    }),
    sumOfSquares(us, out) {
      whole.sumOfSquares(us, full);
      gather(out);
    },
  };
}
