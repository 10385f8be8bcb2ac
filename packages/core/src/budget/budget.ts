/** What must hold of a pruned network, as plain data: limits in any unit, and what is kept or removed together. */

/**
 * What lives or dies together in a parameter's canonical matrix [out, in * kh * kw]: single weights; at most `keep` of every `of` in a
 * row; blocks of rows x cols; all weights of one output channel and one input channel ("kernels"); of one output channel
 * ("rows", "channels"); one column.
 */
export type UnitSpec =
  | { readonly kind: "weights" | "kernels" | "rows" | "columns" | "channels" }
  | { readonly kind: "of-every"; readonly keep: number; readonly of: number }
  | { readonly kind: "blocks"; readonly rows: number; readonly cols: number };

/** What is limited: numbers of weights, operations of a forward pass of one example, bytes of the packed file, milliseconds of a run. */
export type LimitKind = "weights" | "flops" | "bytes" | "milliseconds";

/** One limit. */
export interface Limit {
  readonly kind: LimitKind;
  /** What is kept, as a fraction of the dense prunable parameters in (0, 1], or with `absolute` in the limit's own unit. */
  readonly amount: number;
  /** Default false. */
  readonly absolute?: boolean;
}

/** One limit or several at once, over units of any kind. */
export interface Budget {
  /** All of them hold. May be empty where every parameter has a pattern "of-every". */
  readonly limits?: readonly Limit[];
  /** The first pattern that matches a parameter's name decides, "*" standing for any text; default: weights. */
  readonly units?: readonly { readonly match: string; readonly units: UnitSpec }[];
}
