/** What must hold of a pruned network, as plain data: limits in any unit, and what is kept or removed together. */
import type { BudgetRule } from "./budget-rule.ts";

/**
 * What lives or dies together in a parameter's canonical matrix [out, in * kh * kw]: single weights; at most `keep` of every `of` in a
 * row, or `along` "channels" of every `of` input channels at the same tap of a convolution; blocks of rows x cols; all weights of one output channel and one input channel ("kernels"); of one output channel
 * ("rows", "channels"); one column.
 */
export type UnitSpec =
  | { readonly kind: "weights" | "kernels" | "rows" | "columns" | "inputs" | "channels" }
  | { readonly kind: "of-every"; readonly keep: number; readonly of: number; readonly along?: "columns" | "channels" }
  | { readonly kind: "blocks"; readonly rows: number; readonly cols: number };

/** What is limited: numbers of weights, operations of a forward pass of one example, bytes of the packed file, milliseconds of a run. */
export type LimitKind = "weights" | "flops" | "bytes" | "milliseconds";

/** One limit. */
export interface Limit {
  readonly kind: LimitKind;
  /** What is kept, as a fraction in (0, 1] of what the dense network has (weights and flops: of its prunable parameters), or with `absolute` in the limit's own unit. */
  readonly amount: number;
  /** Default false. */
  readonly absolute?: boolean;
}

/** A limit and what a mask comes to, in the same measure. */
export interface LimitReached {
  readonly kind: LimitKind;
  readonly asked: number;
  readonly reached: number;
  /** Whether the two are in the limit's own unit rather than fractions. */
  readonly absolute: boolean;
  /** What the dense network comes to, in the limit's own unit. */
  readonly dense: number;
}

/** One limit or several at once, over units of any kind. */
export interface Budget {
  /** All of them hold. May be empty where every parameter has a pattern "of-every". */
  readonly limits?: readonly Limit[];
  /** The first pattern that matches a parameter's name, with or without ".weight", decides; "*" stands for any text. Default: weights. */
  readonly units?: readonly { readonly match: string; readonly units: UnitSpec }[];
  /** Patterns of parameters that stay dense within the limits; default none. */
  readonly exclude?: readonly string[];
  /** The largest sparsity of parameters, by pattern, in [0, 1]; of several that match one the smallest holds. */
  readonly bounds?: readonly { readonly match: string; readonly sparsity: number }[];
  /** Spreads single weights over the layers, such as `allocation({ method: "erk" })` of @secateur/imp-scheduler; default: anywhere. */
  readonly allocation?: BudgetRule;
  /**
   * What bytes and milliseconds are, for limits on them; `costModels` of @secateur/runtime/pack makes both. Operations too, where they are no
   * sum over weights; default: flopsPerWeight of each kept weight.
   */
  readonly costs?: Readonly<Partial<Record<"flops" | "bytes" | "milliseconds", CostModel>>>;
}

/** One way to store or run a parameter: a fixed cost, and one for every block of `outputs` rows x 1 column of its matrix in which anything is kept. */
export interface CostWay {
  readonly fixed: number;
  readonly each: number;
  readonly outputs: number;
}

/** A cost that is no sum over weights, as data: of every parameter the cheapest way counts. */
export interface CostModel {
  /** Of everything but the parameters below. */
  readonly other: number;
  /** At least one way each, among them one without `each`, which is dense; all numbers >= 0. */
  readonly params: Readonly<Record<string, readonly CostWay[]>>;
  /** Costs on top, of products of several parameters' kept units; default none. */
  readonly products?: readonly CostProduct[];
}

/** A cost each * prod over factors: what a convolution takes that loses output channels of its own and input channels with the layer before. */
export interface CostProduct {
  /** At every factor 1, >= 0. */
  readonly each: number;
  readonly factors: readonly CostFactor[];
}

/** How many of an axis are left: a number that stays, and so many for every kept unit of parameters by name; all >= 0. */
export interface CostFactor {
  readonly fixed: number;
  readonly units: Readonly<Record<string, number>>;
  /** Rounded up to multiples of this where a mask is given, >= 1; default: not rounded. */
  readonly multiple?: number;
  /** And to no more than this: what a whole axis counts. */
  readonly most?: number;
  /** Whether units of a parameter have different numbers of places, of which `units` are means: then nothing is taken to be free up to a multiple. */
  readonly isMean?: boolean;
}
